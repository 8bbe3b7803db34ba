"""A pod of an ordinary user that owns one cache key, and plants what root will meet once root has looked."""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import shutil
import signal
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

USER = 1000
# inotify(7)
_IN_ACCESS, _IN_CLOSE, _IN_OPEN, _IN_CREATE, _IN_DELETE, _IN_MOVED, _IN_MODIFY = 1, 0x18, 0x20, 0x100, 0x200, 0xC0, 2
_EVENTS = _IN_ACCESS | _IN_CLOSE | _IN_OPEN | _IN_CREATE | _IN_DELETE | _IN_MOVED | _IN_MODIFY
WATCHED = (".", "0", "0/storage", "0/storage.tmp", "0/trash", "0/storage/overlay", "0/storage/overlay-layers")
VICTIM = "../other/0"
# what is put aside, and what stands there then; paths from the attacker's key
SWAPS = (
    ("0", VICTIM),
    ("0/storage", f"../{VICTIM}/storage"),
    ("0/storage.tmp", f"../{VICTIM}/storage"),
    ("0/storage.tmp", "{outside}"),
    ("0/trash", f"../{VICTIM}"),
    ("0/trash", "{outside}"),
    ("0/storage/overlay", f"../../{VICTIM}/storage/overlay"),
    ("0/storage/overlay/l", "{outside}"),
    ("0/storage/overlay-layers", f"../../{VICTIM}/storage/overlay-layers"),
    ("0/storage/overlay-images", f"../../{VICTIM}/storage/overlay-images"),
    ("0/storage/overlay-containers", f"../../{VICTIM}/storage/overlay-containers"),
    ("0/lock", f"../{VICTIM}/state.json"),
    ("0/state.json", f"../{VICTIM}/state.json"),
    ("0/storage/overlay-layers/layers.json", f"../../../{VICTIM}/storage/overlay-layers/layers.json"),
    ("sealed", f"{VICTIM}/storage"),
    ("sealed/1", f"../{VICTIM}/storage"),
)


class Attacker:
    """One attack in a process of its own: after so many events one swap."""

    def __init__(self, key: Path, outside: Path, seed: int) -> None:
        self.key, self.outside = key, outside
        choice = random.Random(seed)
        self.after = choice.randrange(0, 40)
        self.name, self.target = choice.choice(SWAPS)
        self.pid = 0

    def __enter__(self) -> Self:
        ready, tell = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            with contextlib.suppress(BaseException):
                self._attack(tell)
            os._exit(0)
        os.close(tell)
        os.read(ready, 1)
        os.close(ready)
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    def _attack(self, tell: int) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        os.chdir(self.key)
        os.setgroups([])
        os.setresgid(USER, USER, USER)
        os.setresuid(USER, USER, USER)
        events = libc.inotify_init1(os.O_CLOEXEC)
        for name in WATCHED:
            libc.inotify_add_watch(events, name.encode(), _EVENTS)
        os.write(tell, b".")
        seen = 0
        while seen < self.after:
            data = os.read(events, 4096)
            while data:  # struct inotify_event: wd, mask, cookie, len, name
                seen += 1
                data = data[16 + int.from_bytes(data[12:16], "little") :]
        with contextlib.suppress(OSError):
            Path(self.name).rename(f"{self.name}.mine")
        Path(self.name).symlink_to(self.target.format(outside=self.outside))
        signal.pause()


def snapshot(*trees: Path) -> dict[str, tuple[int, int, int, bytes]]:
    """Mode, owner, inode and bytes of all there is."""
    found = {}
    for tree in trees:
        for path in sorted([tree, *tree.rglob("*")]):
            status = path.lstat()
            data = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
            found[str(path)] = status.st_mode, status.st_uid, status.st_ino, data
    return found


def lay_out(template: Path, key: Path) -> None:
    """Put the attacker's store in its place once more."""
    for entry in key.iterdir():
        shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    for entry in template.iterdir():
        shutil.copytree(entry, key / entry.name, symlinks=True)
    for path in (key, *key.rglob("*")):
        os.chown(path, USER, USER, follow_symlinks=False)
