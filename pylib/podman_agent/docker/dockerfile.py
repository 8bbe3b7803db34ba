"""The Dockerfile of a docker build on its way to podman: found where docker finds it, in words that podman knows."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from podman_agent.build import place
from podman_agent.build.ignored import translated
from podman_agent.build.rewrite import Asked, rewrite
from podman_agent.files import replace

if TYPE_CHECKING:
    from podman_agent.docker.build import BuildPlan
    from podman_agent.docker.call import Call


def hand_over(call: Call, plan: BuildPlan) -> BuildPlan:
    """Make podman read what docker would; podman gets the user's own file wherever it means the same to it.

    A rewritten copy is given on stdin, from memory: podman may replace this process, which then removes no file.

    Args:
        call: The docker call; its environment says how steps are isolated.
        plan: The build.

    Returns:
        The plan with ``--file``, ``--target`` and ``--ignorefile`` as podman needs them.

    Raises:
        RefusalError: A line that podman cannot follow here.
    """
    named = _values(plan, "--file=")
    context = place.directory(plan.context)
    if context is None or len(named) > 1 or any("://" in name for name in named):
        return plan
    stdin = named == ["-"]
    file = None if stdin else place.dockerfile(context, named[0] if named else None)
    if not stdin and file is None:
        return plan  # podman says what is missing
    data = sys.stdin.buffer.read() if file is None else file.read_bytes()
    target = next(reversed(_values(plan, "--target=")), None)
    isolation = (_values(plan, "--isolation=") or [call.env.get("BUILDAH_ISOLATION", "")])[-1]
    # where there is no user namespace either, the runtime only chroots (`podman_agent.nonamespace`)
    isolated = isolation != "chroot" and not call.podman.endswith("/podman-without-namespaces")
    asked = Asked(str(file or "stdin"), target, context, isolated)
    new = rewrite(data, asked)
    options = [option for option in plan.options if not option.startswith(("--file=", "--target="))]
    if new.target:
        options.append(f"--target={new.target}")
    in_memory = stdin or new.data != data
    if in_memory:
        _as_stdin(new.data)
        options.append("--file=-")
    else:
        options.append(f"--file={file}")
    ignore = place.ignore_file(context, file)
    read = place.ignore_file_of_podman(context, None if in_memory else file)
    if ignore and not _values(plan, "--ignorefile="):
        ignore = _ignored(ignore)
        options += [f"--ignorefile={ignore}"] if ignore != read else []
    return dataclasses.replace(plan, options=options)


def _values(plan: BuildPlan, flag: str) -> list[str]:
    return [option.removeprefix(flag) for option in plan.options if option.startswith(flag)]


def _ignored(path: Path) -> Path:
    """The ignore file itself, or a copy in podman's words, named by what is in it: nobody is left to remove it."""
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    if (new := translated(text)) == text:
        return path
    import hashlib  # noqa: PLC0415 - rarely needed, and every build comes by here
    import tempfile  # noqa: PLC0415

    data = new.encode("utf-8", "surrogateescape")
    digest = hashlib.sha256(data).hexdigest()
    copy = Path(tempfile.gettempdir()) / f"podman-agent-{os.geteuid()}-{digest[:32]}.dockerignore"
    replace(copy, data)
    return copy


def _as_stdin(data: bytes) -> None:
    memory = os.memfd_create("Dockerfile")
    with os.fdopen(memory, "wb", closefd=False) as file:
        file.write(data)
    os.lseek(memory, 0, os.SEEK_SET)
    os.dup2(memory, 0)
    os.close(memory)
