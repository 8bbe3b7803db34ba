"""``COPY`` and ``ADD``: the flags that podman 5.4 lacks or reads otherwise.

Sources: BuildKit's ``dockerfile2llb/convert_copy.go``; buildah v1.39.3 ``imagebuildah/stage_executor.go``, and of later
ones ``joinExcludePatternWithCopySource``, which does what is done here with ``--exclude``.
"""

from __future__ import annotations

import json
import posixpath
import re
import stat
from typing import TYPE_CHECKING, Protocol

from podman_agent.build import modes
from podman_agent.build.dockerfile import UnsureError

if TYPE_CHECKING:
    from pathlib import Path

    from podman_agent.build.dockerfile import Flag, Instruction

_REMOTE = re.compile(r"(?:https?|git|ssh)://|git@|github\.com/")
_WILD = re.compile(r"[*?\[\\$]")
_PLAIN_MODE = 0o755


class Edits(Protocol):
    """Where changes go."""

    def replace(self, one: Instruction, at: tuple[int, int], text: str) -> None:
        """Write `text` where a part of the instruction is."""

    def refuse(self, line: int, what: str, why: str, fix: str) -> None:
        """Refuse one line."""


def rewrite(one: Instruction, edits: Edits, context: Path | None) -> None:
    """Put one COPY or ADD into podman's words.

    Args:
        one: The instruction.
        edits: Where changes go.
        context: The directory of the context; None when it is none on this disk.

    Raises:
        UnsureError: Its meaning is not proven here.
    """
    *taken, _ = one.words() or [""]
    elsewhere = any(flag.name == "--from" for flag in one.flags)
    if any(flag.text in {"--parents", "--parents=true"} for flag in one.flags):
        _parents(one, edits, None if elsewhere else context)
        return
    for flag in one.flags:
        if text := _flag(one, flag, taken, edits, None if elsewhere else context):
            edits.replace(one, flag.span, "" if text == "-" else text)


def _flag(one: Instruction, flag: Flag, taken: list[str], edits: Edits, context: Path | None) -> str:
    """The new text of a flag; empty to leave it, ``-`` to leave it out.

    ``--link`` changes how layers depend on each other, not what is in the image.
    """
    what = f"{one.keyword.upper()} {flag.text}"
    match flag.name, flag.value:
        case ("--link", _) | ("--parents", "false"):
            return "-"
        case "--keep-git-dir", "false":
            return "-"
        case "--keep-git-dir", _:
            edits.refuse(one.line, what, "podman leaves .git out", "clone it in a RUN")
        case "--unpack", value:
            return _unpack(one, value, taken, edits)
        case "--chmod", value if not modes.is_octal(value) and "$" not in value:
            return f"--chmod={_octal(one, value, taken, edits, context)}"
        case "--exclude", value:
            return _exclude(value, taken)
    return ""


def _unpack(one: Instruction, value: str, taken: list[str], edits: Edits) -> str:
    remote = any(_REMOTE.match(source) or "$" in source for source in taken)
    if remote:
        edits.refuse(one.line, f"ADD --unpack={value or 'true'}", "podman decides by itself what it unpacks",
                     "fetch and unpack it in a RUN")  # fmt: skip
    if value == "false":  # local sources only: that is COPY
        begin = len(one.text) - len(one.text.lstrip())
        edits.replace(one, (begin, begin + len("ADD")), "COPY")
    return "-"


def _octal(one: Instruction, text: str, taken: list[str], edits: Edits, context: Path | None) -> str:
    """The one mode that a change in symbols makes of all that is copied.

    Raises:
        RefusalError: It is not one mode.
    """
    mode = modes.absolute(text)
    if mode is not None:
        return f"{mode:04o}"
    found: set[int | None] = set()
    for source in taken:
        path = context / source.lstrip("/") if context and not _WILD.search(source) else None
        try:
            state = path.stat() if path else None
        except OSError:
            state = None
        regular = state is not None and stat.S_ISREG(state.st_mode)
        found.add(modes.apply(text, stat.S_IMODE(state.st_mode)) if state is not None and regular else None)
    only = found.pop() if len(found) == 1 else None
    if only is None:
        edits.refuse(one.line, f"{one.keyword.upper()} --chmod={text}",
                     "podman sets one mode for all files, and this gives them several",
                     "write it in octal, or chmod in a RUN")  # fmt: skip
        raise UnsureError
    return f"{only:04o}"


def _exclude(pattern: str, taken: list[str]) -> str:
    """BuildKit matches below what is copied, podman 5.4 below the whole context."""
    sign, pattern = ("!", pattern[1:]) if pattern.startswith("!") else ("", pattern)
    if not pattern or any(_REMOTE.match(source) or source.startswith("<<") for source in taken):
        return ""
    new = []
    for source in taken:
        clean = posixpath.normpath("/" + source).lstrip("/")
        new.append(f"--exclude={sign}{posixpath.join(clean, pattern.lstrip('/'))}")
    if re.search(r"[\s'\"\\`]", "".join(new)):
        msg = "an --exclude with quotes"
        raise UnsureError(msg)
    return " ".join(new)


def _parents(one: Instruction, edits: Edits, context: Path | None) -> None:
    """One COPY for each source, with the parents in its destination.

    BuildKit copies the parents' modes and owners; podman makes them 0755 of root, so others are refused.
    """
    *taken, dest = one.words()
    lines = []
    others = [one.text[slice(*flag.span)] for flag in one.flags if flag.name not in {"--parents", "--link"}]
    easy = all(re.match(r"--(?:chown|chmod)=[^\s'\"\\`]+$", text) for text in others)
    if any("--chmod" in text and not modes.is_octal(text.partition("=")[2]) for text in others):
        easy = False
    for source in taken:
        pivot, sign, below = source.partition("/./")
        inner = posixpath.normpath("/" + (below if sign else source)).lstrip("/")
        outer = posixpath.normpath("/" + pivot).lstrip("/") if sign else ""
        if not easy or context is None or _WILD.search(source) or not inner or not _plain(context / outer, inner):
            edits.refuse(one.line, f"COPY --parents {source}", "podman has no such COPY in this version",
                         f"copy each with its directory: COPY {inner or 'DIR'} {posixpath.join(dest, inner)}"
                         )  # fmt: skip
        pair = json.dumps([posixpath.join(outer, inner), posixpath.join(dest, inner)], ensure_ascii=False)
        lines.append(" ".join(["COPY", *others, pair]))
    begin = len(one.text) - len(one.text.lstrip())
    edits.replace(one, (begin, len(one.text.rstrip())), "\n".join(lines))


def _plain(root: Path, inner: str) -> bool:
    """Whether it is there and all directories above it are as podman would make them."""
    try:
        for parent in posixpath.dirname(inner).split("/"):
            root = root / parent
            state = root.lstat()
            if parent and (not stat.S_ISDIR(state.st_mode) or stat.S_IMODE(state.st_mode) != _PLAIN_MODE):
                return False
        (root / posixpath.basename(inner)).stat()
    except OSError:
        return False
    return True
