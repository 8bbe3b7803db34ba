"""Where things lie on a cache volume, and their names."""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from podman_agent.errors import ConfigError
from podman_agent.store.record import State

if TYPE_CHECKING:
    from collections.abc import Iterator

HOME = "podman-agent"
DEFAULT_KEY = "default"
_PODMANS = (
    *(f"{driver}{part}" for driver in ("overlay", "vfs") for part in ("", "-layers", "-images", "-containers")),
    *("overlay/l", "overlay/staging", "overlay/tempdirs", "vfs/dir", "db.sql"),
)
PLAIN = "../../../storage"  # from a store to VOLUME/storage
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
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
    directory = volume
    for name in (HOME, check_key(key)):
        directory /= name
        if directory.is_symlink():
            what = f"{directory} is a symbolic link"
            raise ConfigError(what, "a cache key must not lead elsewhere", f"rm {directory}")
        with contextlib.suppress(FileExistsError):
            directory.mkdir()
            # A volume shared through fsGroup is group-writable; what lies on it must be too.
            directory.chmod(mode)
    return directory


def keys(volume: Path) -> list[str]:
    """The cache keys present on the volume.

    Raises:
        PermissionError: This user may not look.
    """
    home = volume / HOME
    try:
        entries = os.scandir(home)
    except (FileNotFoundError, NotADirectoryError):
        return []
    if home.is_symlink():
        return []
    return sorted(e.name for e in entries if _KEY.fullmatch(e.name) and e.is_dir(follow_symlinks=False))


def foreign_keys(volume: Path) -> list[str]:
    """The cache keys whose stores this user may not even list."""
    return [name for name in keys(volume) if not os.access(volume / HOME / name, os.R_OK | os.X_OK)]


def planted(root: Path) -> list[Path]:
    """Symbolic links in a graphroot where podman makes directories: they may lead to another store."""
    found = (f"{root}/{name}" for name in _PODMANS)
    return [Path(path) for path in found if os.path.islink(path)]  # noqa: PTH114 - at every claim


@dataclass(frozen=True)
class Store:
    """One store of one key; `path` is VOLUME/podman-agent/KEY/NAME."""

    path: Path

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
        if not storage.is_symlink():
            return storage
        return storage.resolve() if self.adopted else self.path / "planted"

    @property
    def adopted(self) -> bool:
        """Whether this is a plain /var/lib/containers/storage from before: the one link that is followed."""
        try:
            link = (self.path / "storage").readlink()
        except OSError:
            return False
        if self.path.parent.name != DEFAULT_KEY or str(link) != PLAIN:
            return False
        return not (self.path.parents[2] / "storage").is_symlink()

    @property
    def planted(self) -> list[Path]:
        """Symbolic links here that would lead whoever looks after this store to another one."""
        own = (self.path / "storage", self.path / "storage.tmp", self.trash, self.tmp)
        found = {path: None for path in own if path.is_symlink() and not (path.name == "storage" and self.adopted)}
        return [*found, *planted(self.graphroot)]

    @property
    def has_content(self) -> bool:
        """Whether podman has written here."""
        return any(self.graphroot.glob("*-layers"))

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
        return State.read(self.path / "state.json")

    def save(self, state: State) -> None:
        """Write the record; a full volume is no reason to refuse a claim."""
        state.write(self.path / "state.json")


def stores(directory: Path) -> list[Store]:
    """All stores of a key directory, numbered ones first; none where another user's may not be listed."""
    if directory.is_symlink():
        return []
    try:
        entries = os.scandir(directory)
    except (PermissionError, FileNotFoundError, NotADirectoryError):
        return []
    found = [Store(Path(e.path)) for e in entries if _STORE_NAME.fullmatch(e.name) and e.is_dir(follow_symlinks=False)]
    return sorted(found, key=lambda s: (s.number is None, s.number or 0, s.path.name))


def all_stores(volume: Path, key: str | None = None) -> Iterator[Store]:
    """Every store of the volume, or of one key."""
    for name in [check_key(key)] if key else keys(volume):
        yield from stores(volume / HOME / name)


def new_store(directory: Path, start: int = 0) -> Store:
    """Make the store with the lowest free number."""
    number = start
    while True:
        path = directory / str(number)
        try:
            path.mkdir()
        except FileExistsError:
            number += 1
            continue
        path.chmod(directory.stat().st_mode & 0o7777)
        return Store(path)


def sealed_generations(directory: Path, flavour: str | None = None) -> list[tuple[int, Path]]:
    """Complete sealed base-image stores of a key, newest first.

    Args:
        directory: The key's.
        flavour: Only those that a pod of this flavour made.
    """
    home = directory / "sealed"
    if not home.is_dir() or home.is_symlink() or directory.is_symlink():
        return []
    found = [
        (int(e.name), Path(e.path))
        for e in os.scandir(home)
        if _STORE_NAME.fullmatch(e.name) and e.name.isdigit() and e.is_dir(follow_symlinks=False)
    ]
    return [
        (n, p / "storage")
        for n, p in sorted(found, reverse=True)
        if flavour in (None, sealed_flavour(p)) and not (p / "storage").is_symlink()
    ]


def sealed_flavour(generation: Path) -> str:
    """Which pods can use a generation; ``root`` for one from before this was written down."""
    try:
        return (generation / "flavour").read_text(encoding="ascii").strip()
    except OSError:
        return "root"
