"""What podman 5.4 has to be told in other words, as edits of the user's own text; what it cannot do is refused.

Every edit means the same to newer versions of podman, too, so none is asked for its version. What is not understood
here stays byte for byte as it was: then podman decides. Only stages that the build needs are refused.

Sources: BuildKit's ``frontend/dockerfile/instructions`` and ``dockerfile2llb``; what podman 5.4.2 lacks was tried.
"""

from __future__ import annotations

import csv
import io
import posixpath
import re
from typing import TYPE_CHECKING, NamedTuple

from podman_agent.build import copying, workdir
from podman_agent.build.dockerfile import UnsureError, parse
from podman_agent.build.stages import mount_fields, needed, stages
from podman_agent.errors import RefusalError

if TYPE_CHECKING:
    from pathlib import Path

    from podman_agent.build.dockerfile import Dockerfile, Flag, Instruction
    from podman_agent.build.stages import Stage

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_POSIX_SHELLS = frozenset(("sh", "ash", "bash", "dash", "ksh", "zsh"))
_SECRETS = "/run/secrets/podman-agent-env"


class Asked(NamedTuple):
    """What is known beside the file.

    Attributes:
        name: Of the file, for messages.
        target: ``--target``; None without.
        context: The directory of the context; None when it is none on this disk.
        isolated: Whether a step can have a network of its own here.
    """

    name: str
    target: str | None = None
    context: Path | None = None
    isolated: bool = True


class Rewritten(NamedTuple):
    """What podman is given.

    Attributes:
        data: The file; the very bytes that were read when podman understands them.
        target: ``--target`` as podman knows the stage.
    """

    data: bytes
    target: str | None


class _Edits:
    """Replacements in the source, and who refuses what."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.found: list[tuple[int, int, str]] = []

    def replace(self, one: Instruction, at: tuple[int, int], text: str) -> None:
        """Write `text` where a part of the instruction is."""
        self.found.append((*one.span(*at), text))

    def insert(self, place: int, text: str) -> None:
        """Write `text` before a place of the source."""
        self.found.append((place, place, text))

    def refuse(self, line: int, what: str, why: str, fix: str) -> None:
        """Refuse one line.

        Raises:
            RefusalError: Always.
        """
        msg = f"{self.asked.name}:{line}: {what}"
        raise RefusalError(msg, why, fix)

    def applied(self, source: str) -> str:
        """The source with all of them."""
        for start, end, text in sorted(self.found, reverse=True):
            source = source[:start] + text + source[end:]
        return source


def rewrite(data: bytes, asked: Asked) -> Rewritten:
    """Put a Dockerfile into podman's words.

    Args:
        data: The file.
        asked: What is known beside it.

    Returns:
        The file for podman.

    Raises:
        RefusalError: A line that podman cannot follow here; names file and line.
    """
    try:
        file = parse(data)
        found = stages(file)
        edits = _Edits(asked)
        needs = needed(found, asked.target)
        _whole(file, edits)
        names = frozenset(stage.name for stage in found if stage.name)
        for number, stage in enumerate(found):
            _names(stage, names, edits)
            if number in needs:
                _steps(stage, edits)
                for one in workdir.behind(stage):
                    edits.insert(one.place(len(one.text.rstrip()) - 1) + 1, f"\n{workdir.STEP}")
    except UnsureError:
        return Rewritten(data, asked.target)
    target = asked.target.lower() if asked.target and asked.target.lower() in names else asked.target
    if not edits.found:
        return Rewritten(data, target)
    return Rewritten(edits.applied(file.source).encode("utf-8", "surrogateescape"), target)


def _whole(file: Dockerfile, edits: _Edits) -> None:
    for line in file.doubled:
        escape = file.escape
        edits.refuse(
            line, f"the line ends with {escape}{escape}", "podman goes on with the next line there, BuildKit does not",
            "write something behind it",
        )  # fmt: skip
    if file.escape_line > 1 and file.escape != "\\":  # podman looks at the first line only
        edits.insert(1 if file.source.startswith("\ufeff") else 0, f"# escape={file.escape}\n")


def _names(stage: Stage, names: frozenset[str], edits: _Edits) -> None:
    """Podman compares the names of stages letter by letter, and would take an image of that name."""
    if stage.start.text[slice(*stage.name_at)] != stage.name:
        edits.replace(stage.start, stage.name_at, stage.name)
    if stage.base != stage.base.lower() and stage.base.lower() in names:
        edits.replace(stage.start, stage.base_at, stage.base.lower())
    for one in stage.steps:
        for flag in one.flags:
            if flag.name == "--from" and flag.value != flag.value.lower() and flag.value.lower() in names:
                edits.replace(one, flag.span, f"--from={flag.value.lower()}")
            elif flag.name == "--mount" and one.keyword == "run":
                _mount(one, flag, names, edits)


def _mount(one: Instruction, flag: Flag, names: frozenset[str], edits: _Edits) -> None:
    fields = [field.partition("=") for field in mount_fields(flag)]
    kind = next((value.lower() for key, _, value in fields if key.lower() == "type"), "bind")
    new: list[str] = []
    for key, sign, value in fields:
        match kind, key.lower():
            case _, "from" if value.lower() in names:
                new.append(f"from={value.lower()}")
            case "tmpfs", "size":
                new.append(f"tmpfs-size={value}")
            case "secret", "source" | "src":
                new.append(f"id={value}")
            case _:
                new.append(f"{key}{sign}{value}")
    known = {key.lower(): value for key, _, value in fields}
    if kind == "secret" and not known.keys() & {"id", "source", "src"}:
        named = known.get("target") or known.get("dst") or known.get("destination")
        new += [f"id={posixpath.basename(named)}"] if named else []
    if kind == "secret" and "env" in known:
        new = _secret_in_env(one, new, edits)
    if new != mount_fields(flag):
        edits.replace(one, flag.span, f"--mount={_csv(new)}")


def _csv(fields: list[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(fields)
    text = out.getvalue()
    if re.search(r"[\s'\"\\`]", text):  # a flag's own quotes would be needed, too
        msg = "a --mount with quotes"
        raise UnsureError(msg)
    return text


def _secret_in_env(one: Instruction, fields: list[str], edits: _Edits) -> list[str]:
    """``env=NAME``: the secret as a file that the step reads into the variable.

    Bytes are kept, trailing line breaks too; a secret that is not there leaves the variable unset, as with BuildKit.
    """
    name = next(value for key, _, value in (field.partition("=") for field in fields) if key.lower() == "env")
    what = f"RUN --mount=type=secret,env={name}"
    fix = "mount it as a file: --mount=type=secret,id=ID and read /run/secrets/ID"
    has_target = any(field.partition("=")[0].lower() in {"target", "dst", "destination"} for field in fields)
    if one.array() is not None or not _VARIABLE.fullmatch(name) or has_target:
        edits.refuse(one.line, what, "podman gives secrets as files, and this step has no shell to read one", fix)
    path = f"{_SECRETS}-{name}"
    code = f'if [ -e {path} ]; then {name}="$(cat {path}; printf x)"; export {name}="${{{name}%x}}"; fi'
    if not one.heredocs or not re.fullmatch(r"\d*<<-?\s*\S+", one.rest):
        if one.rest.startswith("<<"):
            edits.refuse(one.line, what, "podman gives secrets as files, and this heredoc has none to be told", fix)
        edits.insert(one.place(one.rest_at), f"{code}; ")
    else:
        edits.insert(one.heredocs[0].body[0], f"{code}\n")
    kept = [field for field in fields if field.partition("=")[0].lower() not in {"env", "mode", "uid", "gid"}]
    return [*kept, f"target={path}", "mode=0444"]


def _steps(stage: Stage, edits: _Edits) -> None:
    shell = "sh"
    for one in stage.steps:
        if one.keyword == "shell":
            shell = posixpath.basename((one.array() or ["?"])[0])
        elif one.keyword == "run":
            _run(one, edits, shell)
        elif one.keyword in {"copy", "add"}:
            copying.rewrite(one, edits, edits.asked.context)


def _run(one: Instruction, edits: _Edits, shell: str) -> None:
    for flag in one.flags:
        what = f"RUN {flag.text}"
        match flag.name, flag.value:
            case ("--security", "sandbox") | ("--network", "default"):
                edits.replace(one, flag.span, "")
            case "--security", _:
                edits.refuse(one.line, what, "podman has no entitlements for one step",
                             "leave it out, or build with --cap-add and --security-opt")  # fmt: skip
            case "--device", _:
                edits.refuse(one.line, what, "podman has no devices for one step", "build with --device")
            case "--network", "none" if not edits.asked.isolated:
                edits.refuse(one.line, what, "steps are isolated by chroot in this pod and have the pod's own network",
                             "leave it out, or build in a pod that is privileged or has hostUsers: false")  # fmt: skip
            case "--mount", value if shell not in _POSIX_SHELLS and re.search(r"(^|,)env=", value):
                edits.refuse(one.line, what, f"podman gives secrets as files, and the SHELL {shell} is none that reads "
                             "one here", "mount it as a file")  # fmt: skip
