"""What a store remembers between its owners, and how the small JSON files on a volume are read and written."""

from __future__ import annotations

import contextlib
import errno
import json
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from podman_agent.errors import DataError
from podman_agent.store.beneath import RECORDS, STRANGE, Root

if TYPE_CHECKING:
    from pathlib import Path

FOREIGN = "another user's"
_LIMIT = 1 << 20  # bytes of a state.json: one has 50 jobs at the most
_MOST_TIME = 1 << 40
_MOST_STORES = 1 << 20


@dataclass
class State:
    """What a store remembers between its owners (``state.json``); all times are Unix seconds."""

    owner: str = ""
    boot: str = ""
    claimed: float = 0.0
    flavour: str = ""
    graphroot: str = ""
    sealed: int = 0
    adopted: float = 0.0
    locks: bool = True
    limit: int = 0  # stores its kind of pods may have, as its last owner was told (PODMAN_AGENT_CACHE_STORES)
    jobs: dict[str, float] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path, root: Root) -> State:
        """The state on disk; what is missing, torn or of another version in it is as in a new store.

        The flavour has a file of its own too, which a crash of the node cannot tear: a store must not be taken for
        one that every pod can use.

        Args:
            path: ``state.json``.
            root: What it lies below.
        """
        found = cls()
        try:
            with contextlib.suppress(DataError):
                raw = read_json(path, root, _LIMIT)
                known = raw if isinstance(raw, dict) else {}
                for name, kind in ((f.name, type(getattr(found, f.name))) for f in fields(cls)):
                    value = known.get(name)
                    if type(value) is kind or (kind is float and type(value) is int):
                        setattr(found, name, value)
                found._mend()
            if not found.flavour:
                with contextlib.suppress(DataError):
                    found.flavour = str(read_json(path.with_name("flavour"), root, _LIMIT) or "")
        except PermissionError:
            found.flavour = FOREIGN
        return found

    def _mend(self) -> None:
        """Let nothing through that no claim writes: numbers no clock shows, words that a terminal would obey."""
        self.jobs = {job: used for job, used in self.jobs.items() if isinstance(used, int | float) and _is_time(used)}
        self.claimed, self.adopted = (moment if _is_time(moment) else 0.0 for moment in (self.claimed, self.adopted))
        self.limit = self.limit if 0 <= self.limit <= _MOST_STORES else 0
        self.owner = self.owner if self.owner.isprintable() else ascii(self.owner)

    def write(self, path: Path, root: Root) -> None:
        """Write the record; a full volume is no reason to refuse a claim."""
        with contextlib.suppress(OSError):
            flavour = path.with_name("flavour")
            if self.flavour and not root.mode(flavour):
                write_json(flavour, self.flavour, root)
            write_json(path, vars(self), root, sync=False)


def _is_time(value: float) -> bool:
    return 0 <= value < _MOST_TIME


def write_json(path: Path, value: object, root: Root | None = None, *, sync: bool = True) -> None:
    """Replace a JSON file in one step, see `Root.replace`.

    Args:
        path: The file.
        value: What to write.
        root: What the file lies below; None where its directory is this container's own.
        sync: Whether it must survive a crash of the node at once; costs milliseconds.

    Raises:
        OSError: The volume is full, or the file is another user's and cannot be given to that user (no CHOWN); the
            old file is untouched then.
    """
    (root or Root(path.parent)).replace(path, json.dumps(value, separators=(",", ":")), sync=sync)


def read_json(path: Path, root: Root | None = None, limit: int = RECORDS) -> Any:
    """The parsed file, None when there is none.

    Args:
        path: The file.
        root: As for `write_json`.
        limit: Bytes it may have.

    Raises:
        DataError: The file is torn, or no regular file of that size.
        OSError: It cannot be read, for another reason.
    """
    try:
        return json.loads((root or Root(path.parent)).read(path, limit))
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno not in STRANGE:
            raise
        what = f"{path} is {'too large' if error.errno == errno.EFBIG else 'no plain file'}"
        raise DataError(what, error.strerror or "") from error
    except (ValueError, RecursionError) as error:
        what = f"{path} is torn"
        raise DataError(what, str(error)) from error
