"""Which stores this container holds: the records of its claims, each beside the FIFO that its holder reads."""

from __future__ import annotations

import contextlib
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
