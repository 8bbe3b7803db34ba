"""Give a claimed store back before the container is gone: the next pod of the key then has it warm."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import stat
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 5.0


def release(run: Path) -> int:
    """End what holds this container's claims: the holder, and what it still deletes for it.

    The caller has seen to it that no engine works on the stores.

    Args:
        run: The directory of the claims' records.

    Returns:
        How many claims were given back.
    """
    given = 0
    for fifo in sorted(run.glob("claim-*.alive")):
        holders = list(_readers(fifo))
        for process in holders:
            _kill(process)
        given += bool(holders)
    return given


def _readers(fifo: Path) -> Iterator[int]:
    """Processes that keep the FIFO open, which nobody but a holder and its children do."""
    try:
        wanted = fifo.lstat()
    except OSError:
        return
    if not stat.S_ISFIFO(wanted.st_mode):
        return
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            found = [fd.stat() for fd in (process / "fd").iterdir()]
        except OSError:  # gone, or another user's
            continue
        if any(os.path.samestat(wanted, one) for one in found):
            yield int(process.name)


def _kill(process: int) -> None:
    """Kill it, and wait until it is gone: with it its lock."""
    with contextlib.suppress(OSError):
        fd = os.pidfd_open(process)
        try:
            signal.pidfd_send_signal(fd, signal.SIGKILL)
            gone = select.poll()
            gone.register(fd, select.POLLIN)
            gone.poll(SECONDS * 1000)
        finally:
            os.close(fd)
