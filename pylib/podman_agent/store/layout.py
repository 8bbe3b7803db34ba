"""Where things lie on a cache volume, and the small record each store keeps about itself."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shutil
import time
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

from podman_agent.errors import ConfigError, DataError
from podman_agent.pod import ids
from podman_agent.store.files import FULL, give, read_json, token, write_json
from podman_agent.store.units import age_text, size_from, size_text

if TYPE_CHECKING:
    from collections.abc import Iterator

# one place to look, wherever it is kept
__all__ = ["FULL", "age_text", "give", "read_json", "size_from", "size_text", "token", "write_json"]

HOME = "podman-agent"
DEFAULT_KEY = "default"
_PODMANS = (
    *(f"{driver}{part}" for driver in ("overlay", "vfs") for part in ("", "-layers", "-images", "-containers")),
    *("overlay/l", "overlay/staging", "overlay/tempdirs", "vfs/dir", "db.sql"),
)
PLAIN = "../../../storage"  # from a store to VOLUME/storage
FOREIGN = "another user's"
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
    """The cache keys present on the volume."""
    home = volume / HOME
    if not home.is_dir() or home.is_symlink():
        return []
    return sorted(e.name for e in os.scandir(home) if _KEY.fullmatch(e.name) and e.is_dir(follow_symlinks=False))


def planted(root: Path) -> list[Path]:
    """Symbolic links in a graphroot where podman makes directories: they may lead to another store."""
    found = (f"{root}/{name}" for name in _PODMANS)
    return [Path(path) for path in found if os.path.islink(path)]  # noqa: PTH114 - at every claim


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

        Where a link leads anywhere else it is a path at which there is nothing, see `unlink_planted`.
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

    def unlink_planted(self) -> list[str]:
        """Take away symbolic links that would lead the repair of this store elsewhere; the caller holds its lock.

        Whoever can write one key could otherwise have garbage collection as root work on another.

        Returns:
            Names of the links.
        """
        found = self.planted
        for path in found:
            path.unlink(missing_ok=True)
        return sorted({path.name for path in found})

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
        with contextlib.suppress(OSError):
            flavour = self.path / "flavour"
            if state.flavour and not flavour.exists():
                write_json(flavour, state.flavour)
            write_json(self.path / "state.json", vars(state), sync=False)

    def discard(self, *paths: Path) -> None:
        """Move files or directories to the trash: quick whatever their size."""
        self._make_trash()
        for path in paths:
            aside = self.trash / token()
            try:
                path.rename(aside)
            except FileNotFoundError:
                continue
            except OSError:  # another file system, a mount point, or a directory of a mapped owner
                ids.inside(functools.partial(_rename_or_remove, path, aside))

    def _make_trash(self) -> None:
        try:
            self.trash.mkdir()
        except FileExistsError:
            return
        with contextlib.suppress(OSError):  # its owner can still delete in place
            fd = os.open(self.trash, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                give(fd, self.path.stat())
            finally:
                os.close(fd)

    def empty_trash(self) -> None:
        """Free what `discard` took away; safe beside another process that does the same."""
        remove(self.trash)

    def discard_storage(self) -> None:
        """Take everything out of the graphroot; an adopted one may be the volume itself."""
        root = self.graphroot
        if root.is_dir():
            self.discard(*(root / e.name for e in os.scandir(root) if e.name != HOME), self.tmp)


def remove(path: Path) -> None:
    """Delete a file or a tree; what vanishes meanwhile or is busy is not an error."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        if path.is_dir() and ids.foreign():
            ids.inside(lambda: ids.delete([os.fspath(path)]))
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def _rename_or_remove(path: Path, aside: Path) -> None:
    try:
        path.rename(aside)
    except OSError:
        remove(path)


def stores(directory: Path) -> list[Store]:
    """All stores of a key directory, numbered ones first."""
    if directory.is_symlink():
        return []
    found = [
        Store(Path(e.path))
        for e in os.scandir(directory)
        if _STORE_NAME.fullmatch(e.name) and e.is_dir(follow_symlinks=False)
    ]
    return sorted(found, key=lambda s: (s.number is None, s.number or 0, s.path.name))


def all_stores(volume: Path, key: str | None = None) -> Iterator[Store]:
    """Every store of the volume, or of one key."""
    for name in [check_key(key)] if key else keys(volume):
        directory = volume / HOME / name
        if directory.is_dir():
            yield from stores(directory)


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


def leftovers(directory: Path, before: float) -> list[Path]:
    """What killed processes left beside the stores of a key: removed stores, lock trials, half adoptions.

    Args:
        directory: The key's.
        before: Trials and adoptions last written before this (Unix seconds) are left over; an hour ago will do.
    """
    found = list(directory.glob(".trash-*"))
    for pattern in (".lock-trial-*", ".adopt-*", ".tmp-*"):
        for path in directory.glob(pattern):
            with contextlib.suppress(FileNotFoundError):
                if path.lstat().st_mtime < before:
                    found.append(path)
    return found


def sealed_flavour(generation: Path) -> str:
    """Which pods can use a generation; ``root`` for one from before this was written down."""
    try:
        return (generation / "flavour").read_text(encoding="ascii").strip()
    except OSError:
        return "root"


def boot_id() -> str:
    """The kernel's name for the time since the node last booted (proc_sys_kernel(5))."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def now() -> float:
    """Unix time; the one clock of this package, so that tests can set it."""
    return time.time()
