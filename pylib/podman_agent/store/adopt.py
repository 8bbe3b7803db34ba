"""Make the plain store of before a store of the default key, in place."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from podman_agent.store import clock, layout, locks, record
from podman_agent.store.beneath import Root

if TYPE_CHECKING:
    from pathlib import Path

    from podman_agent.store.layout import Store


def adopt(volume: Path, directory: Path, legacy: Path) -> Store | None:
    """Give the plain graphroot the lowest free number of the default key, once.

    Args:
        volume: The cache volume.
        directory: The key's directory; nothing is done for another key.
        legacy: The plain graphroot; nothing is done unless podman has written there and it is no link elsewhere.

    Returns:
        The store it became just now.

    Raises:
        OSError: The volume cannot be written.
    """
    root = Root(volume)
    if directory.name != layout.DEFAULT_KEY or legacy != volume / "storage" or not _is_podmans(legacy, root):
        return None
    if _adopted(directory):
        return None
    # a lock of its own: two pods at once would make two stores of it
    fd = root.open(directory / "adopt.lock", os.O_RDWR | os.O_CREAT | os.O_NONBLOCK, 0o660)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        return None if _adopted(directory) else _adopt(directory)
    finally:
        os.close(fd)


def _is_podmans(legacy: Path, root: Root) -> bool:
    """Whether podman has written there, and nothing in it leads elsewhere."""
    return any(name.endswith("-layers") for name, _ in root.entries(legacy)) and not layout.planted(legacy, root)


def _adopted(directory: Path) -> bool:
    return any(store.adopted for store in layout.stores(directory))


def _adopt(directory: Path) -> Store:
    store, fd = locked_new_store(directory)
    try:
        store.save(record.State(flavour="root", adopted=clock.now()))
        store.root.symlink(layout.PLAIN, store.path / "storage")
    finally:
        os.close(fd)
    return store


def locked_new_store(directory: Path) -> tuple[Store, int]:
    """Make a store with the lowest free number, and the descriptor that holds its lock.

    Raises:
        OSError: The volume cannot be written.
    """
    while True:
        store = layout.new_store(directory)
        fd = locks.try_lock(store)
        if fd is not None:
            return store, fd
