"""What garbage collection does with sealed stores, the base images of ``podman-agent cache warm``."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections import Counter
from typing import TYPE_CHECKING

from podman_agent.store import layout
from podman_agent.store.beneath import Root

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_KEPT = 2  # of a flavour: the older of them may be in the midst of being linked


def names(directory: Path) -> dict[str, Path]:
    """The sealed stores of a key as ``podman-agent cache rm`` takes them, newest first."""
    return {f"{directory.name}/sealed/{number}": path.parent for number, path in layout.sealed_generations(directory)}


@contextlib.contextmanager
def _unwarmed(directory: Path) -> Iterator[bool]:
    """Hold the lock of ``cache warm``; False while one is at work, or where there is nothing sealed."""
    try:
        fd = Root(directory.parents[1]).regular(directory / "sealed/lock", os.O_RDWR)
    except OSError:
        yield False
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(fd)


def collect(directory: Path) -> None:
    """Remove what a killed ``cache warm`` left, and all but the newest sealed stores of each flavour."""
    root, home = Root(directory.parents[1]), directory / "sealed"
    kept: Counter[str] = Counter()
    gone: list[Path] = []
    with _unwarmed(directory) as free:
        if free:
            gone += [home / name for name, _ in root.entries(home) if name.startswith(".new-")]
    for _, storage in layout.sealed_generations(directory):
        flavour = layout.sealed_flavour(storage.parent, root)
        kept[flavour] += 1
        if kept[flavour] > _KEPT:
            gone.append(storage.parent)
    for path in gone:
        root.remove(path)
