"""The end of a pod: builds and containers are ended by name before Kubernetes kills whatever is left.

A build that is killed leaves a half-written layer on the cache volume; one that is told to end removes it. When the
last has ended the store is given back, for the next pod of the key: this one may take its whole grace yet.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from podman_agent import planfile
from podman_agent.files import replace
from podman_agent.store import durable, held
from podman_agent.store.release import release

ENGINES = frozenset({"podman", "buildah", "skopeo"})
# Kubernetes allows 30 s by default, and java wants a few of them after us.
SECONDS = 20.0
CONTAINER_SECONDS = 5
FLUSH_SECONDS = 4.0
POLL_SECONDS = 0.1


def drain(seconds: float = SECONDS, *, podman: str = "podman", buildah: str = "buildah") -> int:
    """End every engine process and container of this pod's container.

    Args:
        seconds: How long all of it may take; what is left then is killed.
        podman: The program that stops containers.
        buildah: The program that removes what builds leave behind.

    Returns:
        How many processes had to be killed.
    """
    deadline = time.monotonic() + seconds
    places = [place for name in planfile.state_directories() if os.access(place := Path(name), os.W_OK)]
    for place in places:
        with contextlib.suppress(OSError):  # then a build's log does not say why it ended
            replace(place / planfile.ENDING, planfile.stamp())
    _ask_engines(until=deadline - CONTAINER_SECONDS)
    _run(podman, "stop", "--all", "--time", str(CONTAINER_SECONDS), until=deadline)
    _ask_engines(until=deadline)
    survivors = engines()
    _send(survivors, signal.SIGKILL)
    # podman build ends on SIGTERM at once and leaves its working containers in the store.
    _run(buildah, "rm", "--all", until=deadline)
    if stores := [str(claim.path) for claim in held.everywhere()]:
        _run(sys.executable, "-c", durable.marking(), *stores, until=min(deadline, time.monotonic() + FLUSH_SECONDS))
    if not engines():
        for place in places:
            release(place)
    return len(survivors)


def _run(*argv: str, until: float) -> None:
    left = max(1.0, until - time.monotonic())
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(argv, timeout=left, check=False, capture_output=True, stdin=subprocess.DEVNULL)


def engines() -> set[int]:
    """Process ids of the engines that run in this container, our own ancestors left out."""
    root = _root("self")
    ours = _ancestors()
    return {
        int(process.name)
        for process in Path("/proc").iterdir()
        if process.name.isdigit()
        and int(process.name) not in ours
        and _program(process) in ENGINES
        # In a pod that shares the node's process ids, those of another root file system are not ours to end.
        and _root(process.name) == root
    }


def _program(process: Path) -> str:
    """The first word of the command line, which podman's own helper processes keep."""
    try:
        return (process / "cmdline").read_bytes().partition(b"\0")[0].rpartition(b"/")[2].decode(errors="replace")
    except OSError:
        return ""


def _root(process: str) -> tuple[int, int] | None:
    try:
        found = Path(f"/proc/{process}/root").stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _ancestors() -> set[int]:
    found = set()
    process = os.getpid()
    while process > 0 and process not in found:
        found.add(process)
        try:
            # Fields after the command, which may hold blanks: proc_pid_stat(5).
            process = int(Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
        except (OSError, IndexError, ValueError):
            break
    return found


def _send(processes: set[int], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process, number)


def _ask_engines(until: float) -> None:
    """Tell each once to end, and wait; a script may start the next one when one ends, hence the second look."""
    told: set[int] = set()
    looks = 0
    while looks < 2 and time.monotonic() < until:
        running = engines()
        looks = 0 if running else looks + 1
        _send(running - told, signal.SIGTERM)
        told |= running
        time.sleep(POLL_SECONDS)
