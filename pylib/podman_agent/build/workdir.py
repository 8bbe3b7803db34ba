"""``WORKDIR`` behind ``USER``: BuildKit gives the directory to the user, podman only when the next step is a RUN.

Else podman leaves it out of the image, or the next COPY makes it as root's (tried with 5.4.2). So a step that does
nothing is put behind it, where the stage shows by a RUN of its own that it has a shell.

Source: BuildKit's ``dispatchWorkdir`` in ``dockerfile2llb/convert.go`` (Mkdir with the state's user and parents).
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from podman_agent.build.dockerfile import Instruction
    from podman_agent.build.stages import Stage

STEP = "RUN :"
_ROOT = frozenset(("root", "0"))


def behind(stage: Stage) -> list[Instruction]:
    """The WORKDIRs of a stage behind which `STEP` has to stand."""
    if not any(one.keyword == "run" and one.array() is None and not one.heredocs for one in stage.steps):
        return []
    if any(one.keyword == "shell" for one in stage.steps):
        return []
    found: list[Instruction] = []
    user, waiting = "root", None
    for one in stage.steps:
        if one.keyword == "workdir":
            if waiting and not _below(one.rest, waiting.rest):
                found.append(waiting)
            waiting = one if user not in _ROOT else None
        elif one.keyword == "run":
            waiting = None
        elif one.keyword in {"user", "copy", "add"}:
            found += [waiting] if waiting else []
            waiting = None
        if one.keyword == "user":
            user = one.rest.partition(":")[0]
    return [*found, waiting] if waiting else found


def _below(path: str, other: str) -> bool:
    """Whether making `path` makes `other` too."""
    return not posixpath.isabs(path) or posixpath.normpath(path).startswith(posixpath.normpath(other).rstrip("/") + "/")
