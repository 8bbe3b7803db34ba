"""Take things out of a store: quickly to its trash, and their bytes freed later."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
from typing import TYPE_CHECKING

from podman_agent import files
from podman_agent.pod import ids
from podman_agent.store.layout import HOME

if TYPE_CHECKING:
    from pathlib import Path

    from podman_agent.store.layout import Store


def discard(store: Store, *paths: Path) -> None:
    """Move files or directories of a store to its trash: quick whatever their size."""
    _make_trash(store)
    for path in paths:
        aside = store.trash / files.token()
        try:
            path.rename(aside)
        except FileNotFoundError:
            continue
        except OSError:  # another file system, a mount point, or a directory of a mapped owner
            ids.inside(functools.partial(_rename_or_remove, path, aside))


def discard_storage(store: Store) -> None:
    """Take everything out of the graphroot; an adopted one may be the volume itself."""
    root = store.graphroot
    if root.is_dir():
        discard(store, *(root / e.name for e in os.scandir(root) if e.name != HOME), store.tmp)


def set_aside(store: Store) -> Path:
    """Take a store out of its key under its lock; an adopted one loses what is in its place.

    Returns:
        Where it is now, to be removed without the lock.
    """
    if store.adopted:
        discard_storage(store)
    aside = store.path.with_name(f".trash-{files.token()}")
    store.path.rename(aside)
    return aside


def unlink_planted(store: Store) -> list[str]:
    """Take away symbolic links that would lead the repair of this store elsewhere; the caller holds its lock.

    Whoever can write one key could otherwise have garbage collection as root work on another.

    Returns:
        Names of the links.
    """
    found = store.planted
    for path in found:
        path.unlink(missing_ok=True)
    return sorted({path.name for path in found})


def empty_trash(store: Store) -> None:
    """Free what `discard` took away; safe beside another process that does the same."""
    remove(store.trash)


def remove(path: Path) -> None:
    """Delete a file or a tree; what vanishes meanwhile or is busy is not an error."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        if path.is_dir() and ids.foreign():
            ids.inside(lambda: ids.delete([os.fspath(path)]))
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def leftovers(directory: Path, before: float) -> list[Path]:
    """What killed processes left beside the stores of a key: removed stores, lock trials, half adoptions.

    Args:
        directory: The key's.
        before: Trials and adoptions last written before this (Unix seconds) are left over; an hour ago will do.
    """
    found = list(directory.glob(".trash-*"))
    for pattern in (".lock-trial-*", ".adopt-*", f"{files.ASIDE}*"):
        for path in directory.glob(pattern):
            with contextlib.suppress(FileNotFoundError):
                if path.lstat().st_mtime < before:
                    found.append(path)
    return found


def _make_trash(store: Store) -> None:
    try:
        store.trash.mkdir()
    except FileExistsError:
        return
    with contextlib.suppress(OSError):  # its owner can still delete in place
        fd = os.open(store.trash, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            files.give(fd, store.path.stat())
        finally:
            os.close(fd)


def _rename_or_remove(path: Path, aside: Path) -> None:
    try:
        path.rename(aside)
    except OSError:
        remove(path)
