"""Volumes with real locks and real holder processes, which are ended after each test."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from podman_agent.store import Claim, claim

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def holders(volume: Path) -> list[int]:
    """Processes other than this one that have a lock file of the volume open."""
    return [
        int(process.name)
        for process in Path("/proc").glob("[0-9]*")
        if process.name != str(os.getpid())
        and any(t.startswith(f"{volume}/") and t.endswith("/lock") for t in opened(process))
    ]


def opened(process: Path) -> list[str]:
    """What a process has open; what it closes meanwhile (a new one the libraries it loads) hides nothing else."""
    targets = []
    with contextlib.suppress(OSError):  # it ended, or is not ours to see
        for fd in (process / "fd").iterdir():
            with contextlib.suppress(OSError):
                targets.append(str(fd.readlink()))
    return targets


def end(volume: Path) -> None:
    """Kill holders and the children that delete for them, and wait until they are gone."""
    while found := holders(volume):
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                process = os.pidfd_open(pid)
                signal.pidfd_send_signal(process, signal.SIGKILL)
                select.select([process], [], [])  # readable when it has ended
                os.close(process)


class Volume:
    """A cache volume and the pods on it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "volume").mkdir()

    @property
    def root(self) -> Path:
        """The mount point."""
        return self.path / "volume"

    def pod(self, name: str, key: str | None = None, **env: str) -> Claim:
        """Claim as a pod of this name does; its run directory is its own."""
        env = {"HOSTNAME": name, **env}
        return claim(self.root, key=key, env=env, legacy=self.root / "storage", run=self.path / f"run-{name}")

    def kill(self, ours: Claim) -> None:
        """What the end of a pod does to its holder."""
        end(self.root / "podman-agent" / ours.store)


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Volume]:
    """An empty volume."""
    made = Volume(tmp_path)
    yield made
    end(made.root)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], Any]:
    """Set the time that claims and collections see."""

    def at(moment: float) -> None:
        monkeypatch.setattr("podman_agent.store.clock.now", lambda: moment)

    return at
