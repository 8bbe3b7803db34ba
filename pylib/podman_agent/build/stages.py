"""The stages of a Dockerfile: their names in any case, what each takes from others, and which a target needs.

Source: BuildKit's ``instructions/parse.go`` (parseBuildStageName) and ``dockerfile2llb/convert.go`` (addState,
findStateByName, toCommand), where names are compared in lower case.
"""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING, NamedTuple

from podman_agent.build.dockerfile import UnsureError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from podman_agent.build.dockerfile import Dockerfile, Flag, Instruction

_NAME = re.compile(r"[a-z][a-z0-9-_.]*")
_FROM = re.compile(r"(\S+)(?:\s+[aA][sS]\s+(\S+))?")


class Stage(NamedTuple):
    """One stage.

    Attributes:
        start: Its FROM.
        base: What FROM names, as written.
        base_at: Where that is in the text of `start`.
        name: In lower case; empty when it has none.
        name_at: Where the name is in the text of `start`.
        steps: What follows the FROM.
    """

    start: Instruction
    base: str
    base_at: tuple[int, int]
    name: str
    name_at: tuple[int, int]
    steps: tuple[Instruction, ...]


def stages(file: Dockerfile) -> list[Stage]:
    """The stages in their order.

    Raises:
        UnsureError: A FROM that BuildKit would refuse, none at all, or two stages of one name.
    """
    found: list[Stage] = []
    for one in file.instructions:
        if one.keyword == "from":
            found.append(_stage(one))
        elif found:
            found[-1] = found[-1]._replace(steps=(*found[-1].steps, one))
    names = [stage.name for stage in found if stage.name]
    if not found or len(set(names)) != len(names):
        msg = "no stage, or two of one name"
        raise UnsureError(msg)
    return found


def _stage(one: Instruction) -> Stage:
    match = _FROM.fullmatch(one.rest)
    name = (match[2] or "").lower() if match else ""
    if match is None or (match[2] and not _NAME.fullmatch(name)):
        msg = f"line {one.line}: no such FROM"
        raise UnsureError(msg)
    at = one.rest_at
    named = (at + match.start(2), at + match.end(2)) if match[2] else (at, at)
    return Stage(one, match[1], (at + match.start(1), at + match.end(1)), name, named, ())


def mount_fields(flag: Flag) -> list[str]:
    """The ``key=value`` fields of a ``--mount``."""
    try:
        return next(csv.reader([flag.value], strict=True), [])
    except csv.Error as error:
        msg = f"--mount: {error}"
        raise UnsureError(msg) from error


def sources(one: Instruction) -> Iterator[str]:
    """What an instruction takes from elsewhere: names of stages or images, or numbers of stages."""
    for flag in one.flags:
        if flag.name == "--from" and one.keyword in {"copy", "add"}:
            yield flag.value
        elif flag.name == "--mount" and one.keyword == "run":
            for field in mount_fields(flag):
                key, _, value = field.partition("=")
                if key.strip().lower() == "from":
                    yield value


def needed(found: list[Stage], target: str | None) -> set[int]:
    """The numbers of the stages that a build of `target` executes (the last one without a target)."""
    names = {stage.name: number for number, stage in enumerate(found) if stage.name}
    last = len(found) - 1
    if target:
        last = names.get(target.lower(), int(target) if target.isdecimal() and int(target) < len(found) else last)
    out: set[int] = set()
    todo = [last]
    while todo:
        number = todo.pop()
        if number in out:
            continue
        out.add(number)
        stage = found[number]
        for name in (stage.base, *(name for step in stage.steps for name in sources(step))):
            if "$" in name:  # any of those before it
                todo.extend(range(number))
            elif name.lower() in names:
                todo.append(names[name.lower()])
            elif name.isdecimal() and int(name) < len(found):
                todo.append(int(name))
    return out
