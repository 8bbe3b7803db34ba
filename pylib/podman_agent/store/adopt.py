"""Make the plain store of before a store of the default key, in place."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from podman_agent.store import clock, layout, locks, record

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
    if directory.name != layout.DEFAULT_KEY or not any(legacy.glob("*-layers")) or _adopted(directory):
        return None
    if legacy != volume / "storage" or legacy.is_symlink() or layout.planted(legacy):
        return None
    # a lock of its own: two pods at once would make two stores of it
    fd = os.open(directory / "adopt.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o660)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        return None if _adopted(directory) else _adopt(directory)
    finally:
        os.close(fd)


def _adopted(directory: Path) -> bool:
    return any(store.adopted for store in layout.stores(directory))


def _adopt(directory: Path) -> Store:
    store, fd = locked_new_store(directory)
    try:
        store.save(record.State(flavour="root", adopted=clock.now()))
        (store.path / "storage").symlink_to(layout.PLAIN)
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
        fd = locks.try_lock(store.lock)
        if fd is not None:
            return store, fd
