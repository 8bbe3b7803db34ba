"""Verbs that print the id of an image made or removed: docker writes it with ``sha256:``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from podman_agent.docker import flags
from podman_agent.docker.inspect import familiar, sha256

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


_WORD = re.compile(r"(Untagged|Deleted): (.+)")


def remove(call: Call, _verb: str, args: list[str]) -> int:
    """``docker rmi``: what was untagged and deleted, by docker's names."""
    code, text = call.read("rmi", *args)
    for line in text.splitlines():
        found = _WORD.fullmatch(line)
        print(f"{found[1]}: {sha256(familiar(found[2]))}" if found else line)
    return code
