"""Runs of the tests, the demo and the benchmarks that share one cache directory, at once or one after a killed one.

Standard library only.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

_marker: list[int] = []  # the descriptor that says that this run lives


class Podman(Protocol):
    """Calls the podman of the store that runs share."""

    def __call__(self, *args: str, check: bool) -> subprocess.CompletedProcess[str]:
        """Run it with these arguments."""


def begin(cache: Path, name: str, podman: Podman | None) -> None:
    """Say that this run lives, and clear away what runs left that were killed: pods, volumes, directories.

    A run is a file named as its pods are, with a lock that the kernel drops with its last process. Runs that live are
    left alone, in whatever PID namespace they are.

    Args:
        cache: The directory that runs share.
        name: First part of the name of all that this run starts.
        podman: None when there is no store yet.
    """
    if _marker:
        return
    runs = cache / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    all_runs = os.open(runs, os.O_RDONLY)
    fcntl.flock(all_runs, fcntl.LOCK_EX)
    try:
        for path in runs.iterdir():
            fd = os.open(path, os.O_RDWR)
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _clear_away(cache, path.name, podman)
                path.unlink()
            os.close(fd)
        _marker.append(os.open(runs / name, os.O_RDWR | os.O_CREAT, 0o600))
        fcntl.flock(_marker[0], fcntl.LOCK_SH)
    finally:
        os.close(all_runs)


@contextlib.contextmanager
def signals_as_exceptions() -> Iterator[None]:
    """Let SIGTERM and SIGHUP unwind as Ctrl-C does, so that nothing stays behind."""

    def stop(number: int, _frame: object) -> NoReturn:
        raise KeyboardInterrupt(signal.Signals(number).name)

    heard = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) is not signal.SIG_IGN]  # nohup
    before = {number: signal.signal(number, stop) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def unmount_below(path: Path) -> None:
    """Detach what is mounted at `path` and below it."""
    for mount in _mounts_below(path):
        subprocess.run(["umount", "-l", mount], stdin=subprocess.DEVNULL, capture_output=True, check=False)


def _clear_away(cache: Path, name: str, podman: Podman | None) -> None:
    if podman and shutil.which("podman"):
        for kind, remove in (("pod", "pod rm -f -t 0"), ("container", "rm -f -t 0"), ("volume", "volume rm -f")):
            shown = ("-a", "--format", "{{.Names}}") if kind == "container" else ("--format", "{{.Name}}")
            for found in podman(kind, "ls", *shown, check=False).stdout.split():
                if found.startswith(f"{name}-"):
                    podman(*remove.split(), found, check=False)
    for path in cache.glob(f"{name}-*"):
        unmount_below(path)
        if not _mounts_below(path):
            shutil.rmtree(path, ignore_errors=True)


def _mounts_below(path: Path) -> list[str]:
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    return sorted((m for m in mounts if m == str(path) or m.startswith(f"{path}/")), reverse=True)
