"""Runs one command, streams its output, and never leaves it behind."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from podman_agent.errors import EngineMissingError
from podman_agent.registry.retry import RetryableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_COLUMNS = 250  # podman shortens its progress lines to the terminal
_GRACE = 10.0


_running: set[subprocess.Popen[bytes]] = set()


def end_all() -> None:
    """End every command that another thread is running: their `run` then returns."""
    for child in tuple(_running):
        _end(child)


@dataclass(frozen=True)
class Finished:
    """Exit code and the whole output."""

    returncode: int
    stdout: str
    stderr: str


def run(
    argv: Sequence[str],
    *,
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
    on_line: Callable[[str], None] | None = None,
    terminal: bool = False,
    timeout: float | None = None,
) -> Finished:
    """Run a command to its end.

    Args:
        argv: Program and arguments; no shell.
        stdin: What it reads; nothing when None.
        env: Its environment; ours when None.
        on_line: Gets each line of either stream as it comes.
        terminal: Give it a terminal as stderr: podman shows sizes and skipped layers only there.
        timeout: Seconds until it is ended.

    Raises:
        EngineMissingError: If there is no such program.
        RetryableError: If the time was over.
    """
    master = -1
    stderr: int = subprocess.PIPE
    if terminal:
        master, stderr = pty.openpty()
        fcntl.ioctl(stderr, termios.TIOCSWINSZ, struct.pack("HHHH", 50, _COLUMNS, 0, 0))
    try:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=None if env is None else dict(env),
            start_new_session=True,
        )
    except OSError as error:
        what = f"cannot run {argv[0]}"
        fix = f"install {argv[0]} or put it on PATH"
        raise EngineMissingError(what, error.strerror or "", fix) from error
    finally:
        if terminal:
            os.close(stderr)
    assert child.stdout is not None  # noqa: S101 - for the type checker
    source = master if terminal else child.stderr.fileno() if child.stderr else -1
    collected: dict[int, list[str]] = {child.stdout.fileno(): [], source: []}

    def collect(descriptor: int) -> None:
        for line in _lines(descriptor):
            collected[descriptor].append(line)
            if on_line:
                on_line(line)

    threads = [threading.Thread(target=collect, args=(d,), daemon=True) for d in collected]
    out = child.stdout.fileno()
    try:
        with _ended(child):
            for thread in threads:
                thread.start()
            if child.stdin:
                with contextlib.suppress(BrokenPipeError):
                    child.stdin.write(stdin or b"")
                    child.stdin.close()
            try:
                child.wait(timeout)
            except subprocess.TimeoutExpired as error:
                why = f"no end after {timeout:.0f} s"
                raise RetryableError(why, why=f"{argv[0]} {argv[1]}: {why}") from error
    finally:
        for thread in threads:
            thread.join(_GRACE)
        for stream in (child.stdout, child.stderr):
            if stream:
                stream.close()
        if terminal:
            os.close(master)
    return Finished(child.returncode, "\n".join(collected[out]), "\n".join(collected[source]))


@contextlib.contextmanager
def _ended(child: subprocess.Popen[bytes]) -> Iterator[None]:
    """End the child whatever ends us: a timeout, Ctrl-C, an error of a listener."""
    _running.add(child)
    try:
        yield
    finally:
        _running.discard(child)
        if child.poll() is None:
            _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a command with all it started.

    Podman alone would leave a build step running: it is its helper process that kills the step's
    container (`runUsingRuntime` in https://github.com/containers/buildah/blob/main/run_common.go).
    """
    family = _family(child.pid)
    _signal(family, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(_GRACE)
    deadline = time.monotonic() + _GRACE / 2
    while time.monotonic() < deadline and _alive(family):
        time.sleep(0.05)
    _signal(_alive(family), signal.SIGKILL)
    child.wait()


def _family(pid: int) -> dict[int, str]:
    """Give a process and its descendants, each with its start time: a number may be used again."""
    parents: dict[int, tuple[int, str]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
            parents[int(stat.parent.name)] = (int(fields[1]), fields[19])
    found = {pid: parents[pid][1]} if pid in parents else {}
    grown = True
    while grown:
        more = {p: start for p, (parent, start) in parents.items() if parent in found}
        grown = not more.keys() <= found.keys()
        found.update(more)
    return found


def _alive(family: Mapping[int, str]) -> dict[int, str]:
    found = {}
    for pid, start in family.items():
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
            if fields[19] == start and fields[0] != "Z":
                found[pid] = start
    return found


def _signal(family: Mapping[int, str], number: signal.Signals) -> None:
    for pid in family:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _lines(descriptor: int) -> Iterator[str]:
    rest = b""
    while True:
        try:
            chunk = os.read(descriptor, 65536)
        except OSError:  # a terminal's way of saying that nobody writes any more
            chunk = b""
        if not chunk:
            break
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line.decode(errors="replace").rstrip("\r") for line in lines)
    if rest:
        yield rest.decode(errors="replace")
