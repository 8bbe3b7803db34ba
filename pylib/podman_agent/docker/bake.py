"""``docker buildx bake``: reads the files, then builds target after target.

Reference: https://docs.docker.com/reference/cli/docker/buildx/bake/.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podman_agent.docker.call import note
from podman_agent.docker.options import Parsed, Spec, letters, parse, words
from podman_agent.errors import EngineMissingError
from podman_agent.files import replace

if TYPE_CHECKING:
    from podman_agent.bake import Bake, Target
    from podman_agent.docker.call import Call

_SPEC = Spec(
    words("allow builder call file list metadata-file progress provenance sbom set"),
    words("check debug load no-cache print pull push"),
    letters("f=file D=debug"),
)


def run(call: Call, _verb: str, args: list[str]) -> int:
    """Bake.

    Args:
        call: The docker call.
        args: What follows ``bake``.

    Returns:
        The exit code of the first build that failed, or 0.
    """
    try:
        from podman_agent.bake import default_files, load  # noqa: PLC0415  (needs PyPI packages)
    except ImportError as error:
        what = f"buildx bake needs {error.name}"
        raise EngineMissingError(what, fix="install the package with its dependencies") from error

    parsed = parse(args, _SPEC)
    named = parsed.all("file")
    with tempfile.TemporaryDirectory(prefix="docker-bake-") as scratch:
        files = [_file(name, scratch) for name in named] or default_files(Path())
        # buildx makes its own flags ones of every target
        flags = [f"*.{name}=true" for name in ("push", "load", "no-cache", "pull") if parsed.has(name)]
        bake = load(files, call.env, [*parsed.all("set"), *flags])
        for line in bake.notes:
            note(line)
        if parsed.has("print"):
            print(json.dumps(_printed(bake, parsed.operands), indent=2))
            return 0
        if parsed.get("list") is not None:
            sys.stdout.write(_listed(bake))
            return 0
        return _build_all(call, parsed, bake.order(parsed.operands), scratch)


def _file(name: str, scratch: str) -> Path:
    """A bake file; ``-`` is stdin."""
    if name != "-":
        return Path(name)
    path = Path(scratch) / "stdin"
    path.write_bytes(sys.stdin.buffer.read())
    return path


def _printed(bake: Bake, names: list[str]) -> dict[str, Any]:
    """What ``bake --print`` shows."""
    groups = {name: {"targets": list(targets)} for name, targets in sorted(bake.shown_groups(names).items())}
    return {"group": groups, "target": {t.name: t.as_dict() for t in sorted(bake.order(names), key=lambda t: t.name)}}


def _listed(bake: Bake) -> str:
    rows = bake.descriptions().items()
    return "TARGET\tDESCRIPTION\n" + "".join(f"{name}\t{text}\n" for name, text in rows)


def _build_all(call: Call, parsed: Parsed, targets: list[Target], scratch: str) -> int:
    from podman_agent.docker.build import translate  # noqa: PLC0415
    from podman_agent.docker.building import execute  # noqa: PLC0415

    metadata: dict[str, Any] = {}
    linked = {link for target in targets for link in target.links}
    for target in targets:
        note(f"bake: building {target.name}")
        args = arguments(target, parsed, scratch)
        report = Path(scratch) / f"{target.name}.json"
        if target.name in linked:
            args.append(f"--tag={_local(target.name)}")
        plan = translate([*args, f"--metadata-file={report}", target.context], call.env)
        if code := execute(call, plan):
            return code
        metadata[target.name] = json.loads(report.read_text(encoding="utf-8"))
    if path := parsed.get("metadata-file"):
        replace(path, json.dumps(metadata, indent=2))
    return 0


def _local(name: str) -> str:
    """The name under which another target finds this one's result."""
    return f"localhost/docker-bake/{name.lower()}:latest"


def arguments(target: Target, parsed: Parsed, scratch: str) -> list[str]:
    """One target as arguments of ``docker build``, without the context.

    Args:
        target: The target.
        parsed: Bake's own command line: ``--push``, ``--no-cache`` and the like hold for all.
        scratch: A directory for an inline Dockerfile.

    Returns:
        Flags.
    """
    from podman_agent.bake.flags import flags  # noqa: PLC0415 - as above

    args = list(flags(target, _linked))
    if target.platforms:
        args.append("--platform=" + ",".join(target.platforms))
    args += [f"--{n}={parsed.get(n)}" for n in ("provenance", "sbom") if parsed.get(n) is not None]
    if target.dockerfile_inline is not None:
        path = Path(scratch) / f"{target.name}.Dockerfile"
        path.write_text(target.dockerfile_inline, encoding="utf-8")
        return [*args, f"--file={path}"]
    if "://" in target.context or target.dockerfile.startswith("/"):
        return [*args, f"--file={target.dockerfile}"]
    return [*args, f"--file={Path(target.context) / target.dockerfile}"]


def _linked(value: str) -> str:
    """``target:NAME`` as a build context is that target's image."""
    name = value.removeprefix("target:")
    return value if name == value else f"container-image://{_local(name)}"
