"""Take things out of a store: quickly to its trash, and their bytes freed later."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING

from podman_agent import files
from podman_agent.pod import ids
from podman_agent.store.beneath import Root
from podman_agent.store.layout import HOME

if TYPE_CHECKING:
    from pathlib import Path

    from podman_agent.store.layout import Store


def discard(store: Store, *paths: Path) -> None:
    """Move files or directories of a store to its trash: quick whatever their size."""
    if paths:
        _make_trash(store)
    for path in paths:
        aside = store.trash / files.token()
        try:
            store.root.rename(path, aside)
        except FileNotFoundError:
            continue
        except OSError:  # another file system, a mount point, or a directory of a mapped owner
            ids.inside(functools.partial(_rename_or_remove, store.root, path, aside))


def discard_storage(store: Store) -> None:
    """Take everything out of the graphroot; an adopted one may be the volume itself."""
    graphroot = store.graphroot
    if store.root.is_dir(graphroot):
        discard(store, *(graphroot / name for name, _ in store.root.entries(graphroot) if name != HOME), store.tmp)


def set_aside(store: Store) -> Path:
    """Take a store out of its key under its lock; an adopted one loses what is in its place.

    Returns:
        Where it is now, to be removed without the lock.
    """
    if store.adopted:
        discard_storage(store)
    aside = store.path.with_name(f".trash-{files.token()}")
    store.root.rename(store.path, aside)
    return aside


def unlink_planted(store: Store) -> list[str]:
    """Take away symbolic links where podman makes directories; the caller holds the store's lock.

    Returns:
        Names of the links.
    """
    found = store.planted
    for path in found:
        store.root.unlink(path)
    return sorted({path.name for path in found})


def empty_trash(store: Store) -> str:
    """Free what `discard` took away; safe beside another process that does the same.

    Returns:
        Why something is still there; empty when nothing is.
    """
    return store.root.remove(store.trash)


def remove(path: Path) -> str:
    """Delete a file or a tree in a directory that is this container's own; as `Root.remove`."""
    try:
        return Root(path.parent).remove(path)
    except FileNotFoundError:
        return ""


def leftovers(directory: Path, before: float, root: Root) -> list[Path]:
    """What killed processes left beside the stores of a key: removed stores, lock trials, half adoptions.

    Args:
        directory: The key's.
        before: Trials and adoptions last written before this (Unix seconds) are left over; an hour ago will do.
        root: The volume.
    """
    found = []
    for name, _ in root.entries(directory):
        if name.startswith(".trash-"):
            found.append(directory / name)
        elif name.startswith((".lock-trial-", ".adopt-", files.ASIDE)):
            with contextlib.suppress(FileNotFoundError):
                if root.lstat(directory / name).st_mtime < before:
                    found.append(directory / name)
    return found


def _make_trash(store: Store) -> None:
    try:
        store.root.mkdir(store.trash)
    except FileExistsError:
        return
    with contextlib.suppress(OSError):  # its owner can still delete in place
        store.root.give(store.trash, store.root.lstat(store.path))


def _rename_or_remove(root: Root, path: Path, aside: Path) -> None:
    try:
        root.rename(path, aside)
    except OSError:
        root.remove(path)
