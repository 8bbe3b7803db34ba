"""Work on files that belong to the ids podman maps: as podman itself does, from inside a user namespace.

A pod without privilege has files on its volume that are not its user's: what an image gives to uid 1000 belongs to a
subordinate id, and overlay leaves directories of mode 0. Only a namespace with these ids in it may read, link, give
away and delete them (https://man7.org/linux/man-pages/man7/user_namespaces.7.html).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from podman_agent.pod import capabilities

if TYPE_CHECKING:
    from collections.abc import Callable

    from podman_agent.pod.capabilities import Capability

T = TypeVar("T")

_PYLIB = Path(__file__).parents[2]
_CLONE_NEWUSER = 0x10000000  # linux/sched.h


def subordinate(file: str, ident: int) -> list[tuple[int, int]]:
    """First id and count of the ranges that ``/etc/subuid`` or ``/etc/subgid`` gives this process's user.

    Args:
        file: One of the two.
        ident: The user id: subgid(5) names users too.
    """
    import pwd  # noqa: PLC0415 - NSS is slow to load, and few pods need it

    names = {str(ident)}
    with contextlib.suppress(KeyError):
        names.add(pwd.getpwuid(ident).pw_name)
    try:
        with open(file, encoding="utf-8", errors="replace") as lines:  # noqa: PTH123
            rows = [line.strip().split(":") for line in lines]
    except OSError:
        return []
    return [(int(r[1]), int(r[2])) for r in rows if len(r) == 3 and r[0] in names and r[1].isdigit() and r[2].isdigit()]


def subordinate_count(ident: int) -> int:
    """How many ids ``/etc/subuid`` gives this user."""
    return sum(count for _, count in subordinate("/etc/subuid", ident))


def foreign(*, giving: bool = False) -> bool:
    """Whether files may belong to somebody else than this process can act for.

    Args:
        giving: Files are to be given away too; reading and deleting need no CHOWN.
    """
    wanted: list[Capability] = ["DAC_OVERRIDE", "FOWNER", "CHOWN"]
    return not capabilities.includes(capabilities.effective(), *wanted[: 3 if giving else 2])


def inside(action: Callable[[], T], *, giving: bool = False) -> T:
    """Run `action` where podman's ids are ours; here and now where that is so already or cannot be had.

    Args:
        action: Runs in a forked child; what it returns or raises must be picklable.
        giving: As for `foreign`.
    """
    if not foreign(giving=giving):
        return action()
    import pickle  # noqa: PLC0415 - milliseconds that a privileged pod need not pay

    asked, answer = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - the child is never measured
        # with its own end open it would wait for ever for a parent that could map nothing
        os.close(asked[1])
        os.close(answer[0])
        _child(action, asked[0], answer[1])
    os.close(asked[0])
    os.close(answer[1])
    with open(answer[0], "rb") as told, open(asked[1], "wb") as go:  # noqa: PTH123
        entered = told.read(1) == b"y" and _map_ids(child)
        if entered:
            go.write(b"y")
        go.close()
        text = told.read()
    os.waitpid(child, 0)
    if not text:
        return action()
    worked, value = pickle.loads(text)  # noqa: S301 - our own child's
    if not worked:
        raise value
    result: T = value
    return result


def _child(action: Callable[[], object], asked: int, answer: int) -> None:
    import pickle  # noqa: PLC0415

    try:
        if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWUSER) == 0:
            os.write(answer, b"y")
            if os.read(asked, 1) == b"y":
                try:
                    told = pickle.dumps((True, action()))
                except Exception as error:  # noqa: BLE001 - the parent raises it
                    told = pickle.dumps((False, error))
                with open(answer, "wb") as pipe:
                    pipe.write(told)
    finally:
        os._exit(0)


def _map_ids(child: int) -> bool:
    """Give the child's namespace all ids podman would use, or at least this process's own."""
    import subprocess  # noqa: PLC0415 - as above

    uid, gid = os.geteuid(), os.getegid()
    for program, file, own in (("newuidmap", "/etc/subuid", uid), ("newgidmap", "/etc/subgid", gid)):
        path, first = shutil.which(program), 1
        rows = [0, own, 1]
        for start, count in subordinate(file, uid):
            rows += [first, start, count]
            first += count
        if path and first > 1:
            argv = [path, str(child), *map(str, rows)]
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False)
            if done.returncode == 0:
                continue
        if capabilities.includes(capabilities.effective(), "DAC_OVERRIDE"):
            return False  # a namespace of one id would hide the files of others, which can be reached from here
        try:
            if program == "newgidmap":
                _write(child, "setgroups", "deny")
            _write(child, program.removeprefix("new").replace("map", "_map"), f"0 {own} 1")
        except OSError:
            return False
    return True


def _write(child: int, name: str, text: str) -> None:
    with open(f"/proc/{child}/{name}", "w", encoding="ascii") as file:  # noqa: PTH123
        file.write(text)


def delete(paths: list[str]) -> None:
    """Remove trees as far as podman itself may."""

    def action() -> None:
        for path in paths:
            shutil.rmtree(path, ignore_errors=True)

    inside(action)


def deleting(pylib: Path = _PYLIB) -> str:
    """The text of a program that deletes what it is given, as `delete` does; as for `program`."""
    return program("from podman_agent.pod import ids; ids.delete(sys.argv[1:])", pylib)


def program(statements: str, pylib: Path = _PYLIB) -> str:
    """The text of a program that uses this package, for an interpreter in isolated mode.

    Args:
        statements: What it does; `sys` is there.
        pylib: Where `podman_agent` is.
    """
    return f"import sys; sys.path.insert(0, {str(pylib)!r}); {statements}"
