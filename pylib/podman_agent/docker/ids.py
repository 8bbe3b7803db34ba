"""Verbs that print the id of a new image: docker writes it with ``sha256:``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from podman_agent.docker import flags
from podman_agent.docker.inspect import sha256

if TYPE_CHECKING:
    from podman_agent.docker.call import Call


def print_ids(call: Call, *args: str) -> int:
    """Run podman and print its stdout with every bare image id as docker writes it."""
    code, text = call.read(*args)
    for line in text.splitlines():
        print(sha256(line))
    return code


def run(call: Call, verb: str, args: list[str]) -> int:
    """``docker commit`` and ``docker import``."""
    return print_ids(call, *flags.translate(verb, args))
