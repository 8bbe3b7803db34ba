"""Which stores this container holds: the records of its claims, each beside the FIFO that its holder reads."""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from podman_agent import planfile
from podman_agent.errors import DataError
from podman_agent.store import layout, locks
from podman_agent.store.record import read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Held:
    """A claim as it is recorded; paths are texts, as in JSON.

    Attributes:
        volume: Where the cache volume is mounted.
        graphroot: podman's.
        tmp: Room for image copies.
        store: ``KEY/N``.
        alive: The FIFO, see `locks.alive`.
    """

    volume: str
    graphroot: str
    tmp: str
    store: str
    alive: str

    @property
    def path(self) -> Path:
        """The store's directory."""
        return Path(self.volume) / layout.HOME / self.store

    def write(self, record: Path) -> None:
        """Write the record.

        Raises:
            OSError: There is no room, or it is not ours.
        """
        write_json(record, asdict(self), sync=False)


def read(record: Path) -> Held | None:
    """A claim that is still held; None where there is no record, a torn one, or nobody holds the lock any more."""
    with contextlib.suppress(DataError, TypeError):
        value = read_json(record)
        if value and locks.alive((found := Held(**value)).alive):
            return found
    return None


def here(run: Path) -> Iterator[Held]:
    """All claims that are recorded in a run directory and still held."""
    for record in run.glob("claim-*.json"):
        if found := read(record):
            yield found


def everywhere() -> Iterator[Held]:
    """All claims of this container that this user may have recorded."""
    for place in planfile.state_directories():
        yield from here(Path(place))


def find_again(volume: Path, key: str, record: Path, proc: Path = Path("/proc")) -> None:
    """Write the record of a claim anew whose record was removed, with all of /run say, while its holder lives.

    Else the next call would claim another store, in which none of this container's images and containers are.

    Args:
        volume: The cache volume.
        key: The cache key.
        record: Where the record belongs.
        proc: Where processes are.
    """
    directory = volume / layout.HOME / key
    if record.exists() or not directory.is_dir():
        return
    ours = (proc / "self/root").stat()
    for process in proc.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            lock = (process / f"fd/{locks.LOCK_FD}").readlink()
            fifo = process / f"fd/{locks.FIFO_FD}"
            if (
                lock.name == "lock"
                and lock.parent.parent == directory
                and str(fifo.readlink()).removesuffix(" (deleted)") == str(record.with_suffix(".alive"))
                and stat.S_ISFIFO(fifo.stat().st_mode)
                and os.path.samestat(ours, (process / "root").stat())
            ):
                store = layout.Store(lock.parent)
                Held(str(volume), str(store.graphroot), str(store.tmp), store.name, str(fifo)).write(record)
                return
