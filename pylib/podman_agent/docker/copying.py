"""``docker cp``: what a folder's contents are, and whose the files become.

Source: https://github.com/docker/cli/blob/v28.5.2/cli/command/container/cp.go, and `containerExtractToDir`,
daemon/archive_unix.go, of https://github.com/moby/moby at the same tag.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from podman_agent.docker.options import Option, Spec, letters, parse, words

if TYPE_CHECKING:
    from typing import NoReturn

    from podman_agent.docker.call import Call

SPEC = Spec(words("overwrite"), words(""), letters("a=archive L=follow-link q=quiet"))
_DROPPED = ("archive", "follow-link", "quiet")


def container_of(arg: str) -> str:
    """The container that an operand names; empty for a path of this side or `-` (`splitCpArg`)."""
    container, colon, _ = arg.partition(":")
    return container if colon and not arg.startswith(("/", ".")) else ""


def translate(args: list[str]) -> list[str]:
    """Podman's arguments, verb first.

    Docker keeps the owners that an archive or a file has, and with ``-a`` gives them to the container's user; podman
    does the latter unless it is told not to. And podman takes ``.`` for the directory of that name, docker for what is
    in it.
    """
    parsed = parse(args, SPEC)
    operands = list(parsed.operands)
    if operands and not container_of(operands[0]) and os.path.basename(operands[0].rstrip("/")) == ".":  # noqa: PTH119
        operands[0] = os.path.join(os.path.abspath(operands[0]), ".")  # noqa: PTH100, PTH118
    rest = [token for option in parsed.without(*_DROPPED) for token in option.tokens()]
    archive = Option("archive", "true" if parsed.has("archive") else "false")
    return ["cp", *archive.tokens(), *rest, *operands]


def run(call: Call, _verb: str, args: list[str]) -> NoReturn:
    """Translate and become podman."""
    call.become(*translate(args))
