"""Where things lie on a cache volume, and the small record each store keeps about itself."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podman_agent import ids
from podman_agent.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

HOME = "podman-agent"
DEFAULT_KEY = "default"
FOREIGN = "another user's"
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kMGT]?)(i?)B?", re.IGNORECASE)
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
    if not home.is_dir():
        return []
    return sorted(e.name for e in os.scandir(home) if _KEY.fullmatch(e.name) and e.is_dir(follow_symlinks=False))


def token() -> str:
    """A name that nobody else takes."""
    return os.urandom(16).hex()


def write_json(path: Path, value: object, *, sync: bool = True) -> None:
    """Replace a JSON file in one step, readable by the owner only.

    Args:
        path: The file.
        value: What to write.
        sync: Whether it must survive a crash of the node at once; costs milliseconds.
    """
    aside = path.with_name(f".tmp-{path.name}-{token()}")
    try:
        with aside.open("x", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o600)
            json.dump(value, file, separators=(",", ":"))
            if sync:
                file.flush()
                os.fsync(file.fileno())
        aside.replace(path)
    except OSError:
        aside.unlink(missing_ok=True)
        raise


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
    jobs: dict[str, float] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> State:
        """The state on disk; an empty one when it is missing, torn or from another version."""
        try:
            raw = read_json(path)
            return cls(**raw) if isinstance(raw, dict) else cls()
        except PermissionError:
            return cls(flavour=FOREIGN)
        except (DataError, TypeError):
            return cls()


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
    def lock(self) -> Path:
        """The file whose lock is the claim."""
        return self.path / "lock"

    @property
    def graphroot(self) -> Path:
        """What podman is given; an adopted store is where it always was."""
        storage = self.path / "storage"
        return storage.resolve() if storage.is_symlink() else storage

    @property
    def adopted(self) -> bool:
        """Whether this is a plain /var/lib/containers/storage from before."""
        return (self.path / "storage").is_symlink()

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
            write_json(self.path / "state.json", vars(state), sync=False)

    def discard(self, *paths: Path) -> None:
        """Move files or directories to the trash: quick whatever their size."""
        self.trash.mkdir(exist_ok=True)
        for path in paths:
            aside = self.trash / token()
            try:
                path.rename(aside)
            except FileNotFoundError:
                continue
            except OSError:  # another file system, a mount point, or a directory of a mapped owner
                ids.inside(functools.partial(_rename_or_remove, path, aside))

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
    if not home.is_dir():
        return []
    found = [(int(e.name), Path(e.path)) for e in os.scandir(home) if e.name.isdigit()]
    return [(n, p / "storage") for n, p in sorted(found, reverse=True) if flavour in (None, sealed_flavour(p))]


def sealed_flavour(generation: Path) -> str:
    """Which pods can use a generation; ``root`` for one from before this was written down."""
    try:
        return (generation / "flavour").read_text(encoding="ascii").strip()
    except OSError:
        return "root"


def boot_id() -> str:
    """The kernel's name for the time since the node last booted (proc_sys_kernel(5))."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def age_text(seconds: float) -> str:
    """A duration as people write it: ``3d``, ``5h``, ``12m``, ``40s``."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f}{unit}"
    return f"{max(seconds, 0):.0f}s"


def size_text(size: float) -> str:
    """A size in bytes as people write it: decimal units, as podman prints them."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit in ("B", "kB") else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def size_from(text: str) -> int | None:
    """Bytes of ``40G`` (decimal) or ``500Mi`` (binary); None when the text is no size."""
    match = _SIZE.fullmatch(text.strip())
    if not match:
        return None
    base = 1024 if match[3] else 1000
    return int(float(match[1]) * base ** " KMGT".index(match[2].upper() or " "))


def now() -> float:
    """Unix time; the one clock of this package, so that tests can set it."""
    return time.time()
