"""Where things lie on a cache volume, and their names."""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from podman_agent.errors import ConfigError
from podman_agent.store.beneath import Root
from podman_agent.store.record import State

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOME = "podman-agent"
DEFAULT_KEY = "default"
_PODMANS = (
    *(f"{driver}{part}" for driver in ("overlay", "vfs") for part in ("", "-layers", "-images", "-containers")),
    *("overlay/l", "overlay/staging", "overlay/tempdirs", "vfs/dir", "db.sql"),
)
PLAIN = "../../../storage"  # from a store to VOLUME/storage
_FLAVOUR_LIMIT = 256  # bytes
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_NUMBER = re.compile(r"[0-9]{1,6}")
_STORE_NAME = re.compile(r"[0-9]{1,6}|pod-[A-Za-z0-9._-]{1,253}")


def check_key(key: str | None) -> str:
    """Return the directory name of a cache key.

    Raises:
        ConfigError: The key could leave its directory or is no plain name.
    """
    key = key or DEFAULT_KEY
    if not _KEY.fullmatch(key):
        what = f"PODMAN_AGENT_CACHE_KEY={key!r} is not a plain name"
        raise ConfigError(what, fix="use up to 63 letters, digits, '.', '_' or '-'")
    return key


def key_directory(volume: Path, key: str) -> Path:
    """The directory of one key, made if it is missing, with the volume's own mode and group.

    Raises:
        ConfigError: A symbolic link stands in its place.
        OSError: The volume is read-only, full or not ours.
    """
    mode = volume.stat().st_mode & 0o7777 | 0o700
    root, directory = Root(volume), volume
    for name in (HOME, check_key(key)):
        directory /= name
        if root.is_symlink(directory):
            what = f"{directory} is a symbolic link"
            raise ConfigError(what, "a cache key must not lead elsewhere", f"rm {directory}")
        with contextlib.suppress(FileExistsError):
            root.mkdir(directory)
            # A volume shared through fsGroup is group-writable; what lies on it must be too.
            root.chmod(directory, mode)
    return directory


def keys(volume: Path) -> list[str]:
    """The cache keys present on the volume.

    Raises:
        PermissionError: This user may not look.
    """
    if not os.path.isdir(volume):  # noqa: PTH112 - Path.is_dir raises where this user may not look
        return []
    root = Root(volume)
    entries = [] if root.is_symlink(volume / HOME) else root.entries(volume / HOME)
    return sorted(name for name, directory in entries if directory and _KEY.fullmatch(name))


def foreign_keys(volume: Path) -> list[str]:
    """The cache keys whose stores this user may not even list."""
    return [name for name in keys(volume) if not os.access(volume / HOME / name, os.R_OK | os.X_OK)]


def planted(graphroot: Path, root: Root) -> list[Path]:
    """Symbolic links in a graphroot where podman makes directories."""
    return [path for name in _PODMANS if root.is_symlink(path := graphroot / name)]


@dataclass(frozen=True)
class Store:
    """One store of one key.

    Attributes:
        path: VOLUME/podman-agent/KEY/NAME.
        within: The volume, where it is open already.
    """

    path: Path
    within: Root | None = field(default=None, compare=False, repr=False)

    @cached_property
    def root(self) -> Root:
        """The volume: what is done in this store is done below it."""
        return self.within or Root(self.volume)

    @property
    def volume(self) -> Path:
        """Where the volume is mounted."""
        return self.path.parents[2]

    @property
    def name(self) -> str:
        """The store as users name it, ``KEY/N``."""
        return f"{self.path.parent.name}/{self.path.name}"

    @property
    def number(self) -> int | None:
        """Its number; None for one named by a pod."""
        return int(self.path.name) if self.path.name.isdigit() else None

    @property
    def provable(self) -> bool:
        """Whether its free lock proves that no pod has it: not for one named by a pod.

        Those are made where locks may not reach other nodes, whatever their state.json says or has lost.
        """
        return self.number is not None

    @property
    def lock(self) -> Path:
        """The file whose lock is the claim."""
        return self.path / "lock"

    @property
    def graphroot(self) -> Path:
        """What podman is given; an adopted store is where it always was.

        Where a link leads anywhere else it is a path at which there is nothing, see `removal.unlink_planted`.
        """
        storage = self.path / "storage"
        if not self.root.is_symlink(storage):
            return storage
        return self.volume / "storage" if self.adopted else self.path / "planted"

    @property
    def adopted(self) -> bool:
        """Whether this is a plain /var/lib/containers/storage from before: the one link that is followed."""
        if self.path.parent.name != DEFAULT_KEY:
            return False
        try:
            link = self.root.readlink(self.path / "storage")
        except OSError:
            return False
        return link == PLAIN and not self.root.is_symlink(self.volume / "storage")

    @property
    def planted(self) -> list[Path]:
        """Symbolic links here, where there are directories: they would have led to another store."""
        own = (self.path / "storage", self.path / "storage.tmp", self.trash, self.tmp)
        is_link = self.root.is_symlink
        found = {path: None for path in own if is_link(path) and not (path.name == "storage" and self.adopted)}
        return [*found, *planted(self.graphroot, self.root)]

    @property
    def has_content(self) -> bool:
        """Whether podman has written here."""
        return any(name.endswith("-layers") for name, _ in self.root.entries(self.graphroot))

    @property
    def tmp(self) -> Path:
        """Room for image copies beside the graphroot: what the plan makes TMPDIR."""
        root = self.graphroot
        return root.with_name(f"{root.name}.tmp")

    @property
    def trash(self) -> Path:
        """What is already out of the store and only waits for its bytes to be freed."""
        return self.path / "trash"

    @property
    def state(self) -> State:
        """The record, read anew."""
        return State.read(self.path / "state.json", self.root)

    def save(self, state: State) -> None:
        """Write the record; a full volume is no reason to refuse a claim."""
        state.write(self.path / "state.json", self.root)


def stores(directory: Path, within: Root | None = None) -> list[Store]:
    """All stores of a key directory, numbered ones first; none where another user's may not be listed.

    Args:
        directory: VOLUME/podman-agent/KEY.
        within: The volume, where it is open already.
    """
    root = within or Root(directory.parents[1])
    try:
        found = [
            Store(directory / n, root) for n, is_dir in root.entries(directory) if is_dir and _STORE_NAME.fullmatch(n)
        ]
    except PermissionError:
        return []
    return sorted(found, key=lambda s: (s.number is None, s.number or 0, s.path.name))


def all_stores(volume: Path, key: str | None = None) -> Iterator[Store]:
    """Every store of the volume, or of one key."""
    if os.path.isdir(volume):  # noqa: PTH112 - as above
        root = Root(volume)
        for name in [check_key(key)] if key else keys(volume):
            yield from stores(volume / HOME / name, root)


def new_store(directory: Path, start: int = 0) -> Store:
    """Make the store with the lowest free number."""
    root, number = Root(directory.parents[1]), start
    while True:
        path = directory / str(number)
        try:
            root.mkdir(path)
        except FileExistsError:
            number += 1
            continue
        root.chmod(path, root.lstat(directory).st_mode & 0o7777)
        return Store(path, root)


def sealed_generations(directory: Path, flavour: str | None = None) -> list[tuple[int, Path]]:
    """Complete sealed base-image stores of a key, newest first.

    Args:
        directory: The key's.
        flavour: Only those that a pod of this flavour made.
    """
    home, root = directory / "sealed", Root(directory.parents[1])
    found = [
        (int(n), home / n) for n, is_dir in root.entries(home) if is_dir and n.isdecimal() and _STORE_NAME.fullmatch(n)
    ]
    return [
        (n, p / "storage")
        for n, p in sorted(found, reverse=True)
        if flavour in (None, sealed_flavour(p, root)) and not root.is_symlink(p / "storage")
    ]


def sealed_flavour(generation: Path, root: Root) -> str:
    """Which pods can use a generation; ``root`` for one from before this was written down, none where it is odd."""
    try:
        return root.read(generation / "flavour", _FLAVOUR_LIMIT).decode("ascii", "replace").strip()
    except FileNotFoundError:
        return "root"
    except OSError:
        return ""
