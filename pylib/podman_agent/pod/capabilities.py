"""Which capabilities a process has: the one reader of CapEff (capabilities(7))."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Container

Capability = Literal[
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "NET_ADMIN",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_ADMIN",
    "SYS_RESOURCE",
    "MKNOD",
    "SETFCAP",
]
# linux/capability.h: bit number of each capability that anything here asks for
BITS: dict[Capability, int] = {
    "CHOWN": 0, "DAC_OVERRIDE": 1, "FOWNER": 3, "FSETID": 4, "KILL": 5, "SETGID": 6, "SETUID": 7, "NET_ADMIN": 12,
    "SYS_CHROOT": 18, "SYS_PTRACE": 19, "SYS_ADMIN": 21, "SYS_RESOURCE": 24, "MKNOD": 27, "SETFCAP": 31,
}  # fmt: skip


def status(process: Path = Path("/proc/self")) -> dict[str, str]:
    """The lines of a process's status, by name (proc_pid_status(5)).

    Args:
        process: Its directory below /proc.
    """
    lines = (process / "status").read_text(encoding="ascii", errors="replace").splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def effective(process: Path = Path("/proc/self")) -> tuple[Capability, ...]:
    """The capabilities that a process has in force, of those in `BITS`.

    Args:
        process: Its directory below /proc.
    """
    mask = int(status(process)["CapEff"], 16)
    return tuple(name for name, bit in BITS.items() if mask >> bit & 1)


def includes(held: Container[Capability], *wanted: Capability) -> bool:
    """Whether all of these are held: mypy takes any text for ``"X" in held``.

    Args:
        held: As `effective` gives them.
        wanted: What is asked for.
    """
    return all(name in held for name in wanted)
