"""Which layers of a store are on disk for certain: what a crash of the node cannot have torn.

The kernel may keep a file's bytes in memory for half a minute, and for as long as a disk is busy, while the records
that speak of it are flushed at once. No clock tells what was lost: a layer can take minutes to be written. So a store
keeps a list of the layers that were complete before a flush of its whole file system (syncfs(2)) ended. It is written
after a claim by the claim's holder, at the end of a pod and in garbage collection: once each, not per layer. What is
not on it after a crash is read again, whoever wrote it and when.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from pathlib import Path
from typing import TYPE_CHECKING

from podman_agent.errors import DataError
from podman_agent.pod import ids
from podman_agent.store.content import DRIVERS, Content
from podman_agent.store.layout import Store
from podman_agent.store.record import read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Iterable

FILE = "durable.json"
Known = dict[str, dict[str, str]]


def complete(content: Content) -> dict[str, str]:
    """The layers that nothing will write to any more, each with its time of creation: a new pull has another."""
    working = content.working_layers()
    return {
        layer: record.get("created") or ""
        for layer, record in content.layers.items()
        if layer not in working and not (record.get("flags") or {}).get("incomplete")
    }


def known(store: Store) -> Known:
    """What was flushed, by driver: layers and their times of creation; nothing where the list is odd or not there."""
    try:
        found = read_json(store.path / FILE, store.root)
    except (DataError, OSError):
        return {}
    found = found if isinstance(found, dict) else {}
    return {driver: layers for driver in DRIVERS if isinstance(layers := found.get(driver), dict)}


def doubtful(content: Content, flushed: Known) -> set[str]:
    """The layers that a crash of the node may have torn."""
    sure = flushed.get(content.driver, {})
    return {layer for layer, record in content.layers.items() if sure.get(layer) != (record.get("created") or "")}


def lacks(contents: Iterable[Content], flushed: Known) -> bool:
    """Whether a flush would prove more layers than the list has."""
    return any(doubtful(content, flushed).intersection(complete(content)) for content in contents)


def mark(store: Store) -> bool:
    """Flush the file system of a store and write down what is on disk since; nothing is done where all is.

    Args:
        store: A store whose lock the caller holds, or whose pod the caller is.

    Returns:
        Whether it flushed.

    Raises:
        DataError: The records are torn.
        OSError: The volume cannot be read or written.
    """
    contents = Content.of(store)
    if not lacks(contents, known(store)):
        return False
    now = {content.driver: complete(content) for content in contents}
    flush(store)
    write_json(store.path / FILE, now, store.root)
    return True


def forget(store: Store) -> None:
    """Take nothing for flushed any more: before records of another store come in, with its times of creation."""
    store.root.unlink(store.path / FILE)


def flush(store: Store) -> None:
    """Wait until all of the file system of a store is on disk; the graphroot may be a volume of its own.

    Raises:
        OSError: It could not be written.
    """
    fd = store.root.open(store.graphroot, os.O_RDONLY | os.O_DIRECTORY)
    try:
        syncfs(fd)
    finally:
        os.close(fd)


def syncfs(fd: int) -> None:
    """Flush the file system that a descriptor is of (syncfs(2), which Python does not have).

    Raises:
        OSError: It could not be written.
    """
    if ctypes.CDLL(None, use_errno=True).syncfs(fd):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def marking() -> str:
    """The text of a program that marks the stores it is given, see `ids.program`."""
    return ids.program("from podman_agent.store import durable; durable.main(sys.argv[1:])")


def main(stores: list[str]) -> None:
    """Mark stores; what fails leaves a store that is read again after a crash."""
    for path in stores:
        with contextlib.suppress(DataError, OSError):
            mark(Store(Path(path)))
