"""What a store remembers between its owners, and how the small JSON files on a volume are read and written."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from podman_agent import files
from podman_agent.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

FOREIGN = "another user's"


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
    def read(cls, path: Path) -> State:
        """The state on disk; what is missing, torn or of another version in it is as in a new store.

        The flavour has a file of its own too, which a crash of the node cannot tear: a store must not be taken for
        one that every pod can use.
        """
        found = cls()
        try:
            with contextlib.suppress(DataError):
                raw = read_json(path)
                known = raw if isinstance(raw, dict) else {}
                for name, kind in ((f.name, type(getattr(found, f.name))) for f in fields(cls)):
                    value = known.get(name)
                    if type(value) is kind or (kind is float and type(value) is int):
                        setattr(found, name, value)
                found.jobs = {job: used for job, used in found.jobs.items() if isinstance(used, int | float)}
            if not found.flavour:
                with contextlib.suppress(DataError):
                    found.flavour = str(read_json(path.with_name("flavour")) or "")
        except PermissionError:
            found.flavour = FOREIGN
        return found

    def write(self, path: Path) -> None:
        """Write the record; a full volume is no reason to refuse a claim."""
        with contextlib.suppress(OSError):
            flavour = path.with_name("flavour")
            if self.flavour and not flavour.exists():
                write_json(flavour, self.flavour)
            write_json(path, vars(self), sync=False)


def write_json(path: Path, value: object, *, sync: bool = True) -> None:
    """Replace a JSON file in one step; it keeps its owner and mode, a new one is its directory's owner's alone.

    So garbage collection as root leaves the store of another user readable to that user.

    Args:
        path: The file.
        value: What to write.
        sync: Whether it must survive a crash of the node at once; costs milliseconds.

    Raises:
        OSError: The volume is full, or the file is another user's and cannot be given to that user (no CHOWN); the
            old file is untouched then.
    """
    try:
        old = os.lstat(path)
        mode = old.st_mode & 0o777
    except FileNotFoundError:
        old, mode = os.lstat(path.parent), 0o600
    files.replace(path, json.dumps(value, separators=(",", ":")), mode=mode, sync=sync, like=old)


def read_json(path: Path) -> Any:
    """The parsed file, None when there is none.

    Raises:
        DataError: The file is torn.
    """
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        what = f"{path} is torn"
        raise DataError(what, str(error)) from error
