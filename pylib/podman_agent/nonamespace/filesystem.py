"""What a container expects to find mounted, laid into its root file system and taken away again.

Without mounts a bound file is copied in, and everything put there is taken back before the engine
looks at the root file system again, so that nothing of it reaches a layer.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
from pathlib import Path
from typing import Any

# name: minor number of major 1, and of major 5 for tty
# (https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md#default-devices)
_DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9),
            "tty": (5, 0)}  # fmt: skip
_KERNEL = {"proc", "sysfs", "cgroup", "cgroup2", "devpts", "mqueue", "tmpfs"}


def processes_in(rootfs: Path) -> list[int]:
    """Ids of the processes whose root directory is `rootfs`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if (entry / "root").readlink() == rootfs:
                    found.append(int(entry.name))
    return found


class Overlay:
    """The files laid over one root file system.

    Args:
        rootfs: The container's root directory.
        undo: Directory for what was replaced and the list of what to take back.
    """

    def __init__(self, rootfs: Path, undo: Path) -> None:
        self.rootfs, self.undo = rootfs, undo
        self.log: list[dict[str, Any]] = []
        self.times: dict[str, list[int]] = {}

    def apply(self, mounts: list[dict[str, Any]]) -> None:
        """Lay in devices and bound files and directories; kernel file systems are left out.

        Args:
            mounts: The ``mounts`` of the container's OCI configuration.

        Raises:
            OSError: When something cannot be copied; `revert` takes back what was done.
        """
        self.undo.mkdir(parents=True)
        self._directory(self.rootfs / "dev")
        for name, (major, minor) in _DEVICES.items():
            node = self.rootfs / "dev" / name
            if not os.path.lexists(node):
                with contextlib.suppress(PermissionError):  # no CAP_MKNOD
                    self._record(node)
                    os.mknod(node, 0o666 | stat.S_IFCHR, os.makedev(major, minor))
                    node.chmod(0o666)
        for mount in mounts:
            if mount.get("type") in _KERNEL:
                continue
            target = self._inside(mount["destination"])
            top = target.relative_to(self.rootfs).parts[:1]
            if top and top[0] in {"proc", "sys", "dev"}:
                continue
            self._bind(Path(mount["source"]).resolve(), target, mount.get("options") or [])

    def revert(self) -> None:
        """Take everything back, newest first; safe to call twice and after a crash."""
        journal = self.undo / "log.json"
        if not journal.exists():
            return
        data = json.loads(journal.read_text())
        for step in reversed(data["log"]):
            target = Path(step["target"])
            if step.get("back") and target.is_dir():
                shutil.copytree(target, step["back"], symlinks=True, dirs_exist_ok=True)
            if step["made"]:
                with contextlib.suppress(OSError):  # the command put something there: keep it
                    target.rmdir()
                continue
            _remove(target)
            if step.get("aside") and os.path.lexists(step["aside"]):
                Path(step["aside"]).rename(target)
        for name, times in data["times"].items():
            with contextlib.suppress(FileNotFoundError):
                os.utime(name, ns=(times[0], times[1]))
        journal.unlink()

    def _inside(self, destination: str) -> Path:
        """`destination` below the root file system, its own links followed without leaving it."""
        path = self.rootfs
        parts = [p for p in destination.split("/") if p not in {"", "."}][::-1]
        for _ in range(255):
            if not parts:
                return path
            part = parts.pop()
            if part == "..":
                path = path if path == self.rootfs else path.parent
                continue
            if (path / part).is_symlink():
                link = str((path / part).readlink())
                path = self.rootfs if link.startswith("/") else path
                parts += [p for p in link.split("/") if p not in {"", "."}][::-1]
            else:
                path = path / part
        msg = f"too many levels of symbolic links in {destination}"
        raise OSError(msg)

    def _bind(self, source: Path, target: Path, options: list[str]) -> None:
        self._directory(target.parent)
        aside = None
        if os.path.lexists(target):
            # inside the same file system, so that it moves there and back by rename
            aside = target.with_name(f".podman-agent-{len(self.log)}")
        writable = "ro" not in options and source.is_dir()
        self._record(target, aside=aside, back=source if writable else None)
        if aside:
            target.rename(aside)
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True)
        else:
            shutil.copy2(source, target)

    def _directory(self, path: Path) -> None:
        if not path.is_dir():
            self._directory(path.parent)
            self._record(path, made=True)
            path.mkdir()

    def _record(self, target: Path, *, aside: Path | None = None, back: Path | None = None, made: bool = False) -> None:
        parent = target.parent
        info = parent.stat()
        self.times.setdefault(str(parent), [info.st_atime_ns, info.st_mtime_ns])
        self.log.append({"target": str(target), "aside": aside and str(aside),
                         "back": back and str(back), "made": made})  # fmt: skip
        journal = self.undo / "log.json.new"
        journal.write_text(json.dumps({"log": self.log, "times": self.times}))
        journal.rename(self.undo / "log.json")


def _remove(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
