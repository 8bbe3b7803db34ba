"""All that this package does below a volume which other pods write to, whoever they are.

Whoever can write one cache key may put a link, a FIFO or another directory in any place at any moment, also between a
look and the deed, and garbage collection is root on all keys. So no name below the volume is ever followed: each is
resolved from one descriptor of the mount (`podman_agent.store.openat2`), and what is done is done to the last component
of it in its parent's descriptor. What is read is a regular file of a bounded size; anything else is not even opened.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from podman_agent import files
from podman_agent.pod import ids
from podman_agent.store.openat2 import open_below

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RECORDS = 16 << 20  # bytes: podman's records of ten thousand layers have six million
_LONGEST = 4096  # bytes of a path, PATH_MAX: no engine reaches what is deeper
_DEPTH = 64  # directories held open at once while a tree is deleted; deeper ones are moved up first
# what a name means that is no plain file or directory: nothing of ours or of podman's
STRANGE = (errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EXDEV, errno.EFBIG, errno.EINVAL, errno.ENAMETOOLONG)


class Entry(NamedTuple):
    """A name in a directory, and whether it is one of a directory."""

    name: str
    directory: bool


class Root:
    """A directory that is trusted, the mount of a volume; all paths are of what lies below it, and absolute.

    Every method raises OSError as the system call does; ELOOP, ENOTDIR or EXDEV where a component is a link or a mount,
    EINVAL where a regular file was asked for and there is none, EFBIG where it is too large.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fd = -1
        self.fd = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._prefix = f"{os.fspath(path).rstrip('/')}/"

    def __del__(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)

    def _relative(self, path: Path | str) -> str:
        text = os.fspath(path)
        if text == os.fspath(self.path):
            return "."
        relative = text.removeprefix(self._prefix)
        if relative == text or ".." in relative.split("/"):
            raise OSError(errno.EXDEV, f"not below {self.path}", text)
        return relative

    def open(self, path: Path | str, flags: int, mode: int = 0o600) -> int:
        """A descriptor of what is there; with O_CREAT, of what is made there."""
        with _named(path):
            return open_below(self.fd, self._relative(path), flags, mode)

    def regular(self, path: Path | str, flags: int = os.O_RDONLY) -> int:
        """A descriptor of a regular file: a FIFO would wait, a device would act, already when it is opened."""
        found = self.open(path, os.O_PATH)
        try:
            with _named(path):
                if not stat.S_ISREG(os.fstat(found).st_mode):
                    raise OSError(errno.EINVAL, "not a regular file")
                return os.open(f"/proc/self/fd/{found}", flags | os.O_CLOEXEC | os.O_NOCTTY)
        finally:
            os.close(found)

    def read(self, path: Path | str, limit: int = RECORDS) -> bytes:
        """All of a regular file that has no more than `limit` bytes."""
        with open(self.regular(path), "rb", buffering=0) as file, _named(path):  # noqa: PTH123 - a descriptor
            data = b""
            while len(data) <= limit and (more := file.read(limit + 1 - len(data))):
                data += more
            if len(data) > limit:
                raise OSError(errno.EFBIG, f"more than {limit} bytes")
            return data

    @contextlib.contextmanager
    def parent(self, path: Path | str) -> Iterator[tuple[int, str]]:
        """A descriptor of the directory that a path is in, and the last component."""
        above, _, name = self._relative(path).rpartition("/")
        with _named(path):
            if not above:
                yield self.fd, name
                return
            fd = open_below(self.fd, above, os.O_PATH | os.O_DIRECTORY)
            try:
                yield fd, name
            finally:
                os.close(fd)

    def lstat(self, path: Path | str) -> os.stat_result:
        """What is there; a link is itself."""
        with self.parent(path) as (fd, name):
            return os.stat(name, dir_fd=fd, follow_symlinks=False)

    def mode(self, path: Path | str) -> int:
        """Its type and permissions (inode(7)); 0 where there is nothing, or a link on the way."""
        try:
            return self.lstat(path).st_mode
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                return 0
            raise

    def is_dir(self, path: Path | str) -> bool:
        """Whether a directory is there, and no link to one."""
        return stat.S_ISDIR(self.mode(path))

    def is_symlink(self, path: Path | str) -> bool:
        """Whether a link is there."""
        return stat.S_ISLNK(self.mode(path))

    def readlink(self, path: Path | str) -> str:
        """Where a link leads."""
        with self.parent(path) as (fd, name):
            return os.readlink(name, dir_fd=fd)

    def entries(self, path: Path | str) -> list[Entry]:
        """What a directory has; empty where there is none, but an error where a link or a mount stands in its place."""
        try:
            fd = self.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            return []
        try:
            return _entries(fd)
        finally:
            os.close(fd)

    def mkdir(self, path: Path | str, mode: int = 0o777) -> None:
        """Make a directory."""
        with self.parent(path) as (fd, name):
            os.mkdir(name, mode, dir_fd=fd)

    def chmod(self, path: Path | str, mode: int) -> None:
        """Give a directory these permissions."""
        fd = self.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fchmod(fd, mode)
        finally:
            os.close(fd)

    def give(self, path: Path | str, like: os.stat_result) -> None:
        """Give a directory that this process made to the owner of something else, see `files.give`."""
        fd = self.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            files.give(fd, like)
        finally:
            os.close(fd)

    def symlink(self, target: str, path: Path | str) -> None:
        """Make a link."""
        with self.parent(path) as (fd, name):
            os.symlink(target, name, dir_fd=fd)

    def unlink(self, path: Path | str) -> None:
        """Take a file or a link away, if there is one."""
        with contextlib.suppress(FileNotFoundError), self.parent(path) as (fd, name):
            os.unlink(name, dir_fd=fd)

    def rename(self, old: Path | str, new: Path | str) -> None:
        """Move something to another name."""
        with self.parent(old) as (from_fd, from_name), self.parent(new) as (to_fd, to_name):
            os.rename(from_name, to_name, src_dir_fd=from_fd, dst_dir_fd=to_fd)

    def link(self, old: Path | str, new: Path | str) -> None:
        """Give a file another name; a link is itself."""
        with self.parent(old) as (from_fd, from_name), self.parent(new) as (to_fd, to_name):
            os.link(from_name, to_name, src_dir_fd=from_fd, dst_dir_fd=to_fd, follow_symlinks=False)

    def replace(self, path: Path | str, data: bytes | str, *, sync: bool = True, mode: int = 0o600) -> None:
        """Put a file in its place in one step; it keeps its owner and mode, a new one is its directory's owner's.

        So garbage collection as root leaves the store of another user readable to that user.

        Args:
            path: The file.
            data: What to write.
            sync: As for `files.replace`.
            mode: Of a new one.
        """
        with self.parent(path) as (fd, name):
            try:
                like = os.stat(name, dir_fd=fd, follow_symlinks=False)
                mode = like.st_mode & 0o777 if stat.S_ISREG(like.st_mode) else mode
            except FileNotFoundError:
                like = os.fstat(fd)
            files.replace(name, data, mode=mode, sync=sync, like=like, dir_fd=fd)

    def remove(self, path: Path | str) -> str:
        """Delete a file or a tree; what vanishes meanwhile is not an error, and mounts are not entered.

        Returns:
            Why something of it is still there; empty when nothing is.
        """
        try:
            with self.parent(path) as (fd, name):
                why = _remove(fd, name)
                if why and ids.foreign():
                    why = ids.inside(lambda: _remove(fd, name))
                return why
        except FileNotFoundError:
            return ""
        except OSError as error:
            return f"{error.strerror}: {path}"

    def stats(self, path: Path | str) -> Iterator[os.stat_result]:
        """Of all there is at and below a path, in no order; what vanishes or cannot be read is left out."""
        with contextlib.suppress(OSError):
            yield self.lstat(path)
        below = [self._relative(path)]
        while below:
            here = below.pop()
            try:
                fd = open_below(self.fd, here, os.O_RDONLY | os.O_DIRECTORY)
            except OSError:
                continue
            try:
                for name, directory in _entries(fd):
                    if directory and len(here) < _LONGEST:
                        below.append(f"{here}/{name}")
                    with contextlib.suppress(OSError):
                        yield os.stat(name, dir_fd=fd, follow_symlinks=False)
            finally:
                os.close(fd)


@contextlib.contextmanager
def _named(path: Path | str) -> Iterator[None]:
    """Say of which path an error is: system calls below a descriptor only know the last component."""
    try:
        yield
    except OSError as error:
        error.filename = os.fspath(path)
        error.filename2 = None
        raise


def _entries(fd: int) -> list[Entry]:
    with os.scandir(fd) as found:
        return [Entry(e.name, e.is_dir(follow_symlinks=False)) for e in found]


def _remove(parent: int, name: str) -> str:
    """Delete without recursion: however deep a tree is, few descriptors are open and no path is long."""
    top = _unlink_or_enter(parent, name)
    if not isinstance(top, int):
        return top
    why = ""
    stack: list[tuple[int, str, list[Entry]]] = [(top, name, _entries(top))]
    try:
        while stack:
            fd, own_name, entries = stack[-1]
            if not entries:
                stack.pop()
                os.close(fd)
                left = _rmdir(stack[-1][0] if stack else parent, own_name)
                why = why or left  # what is deepest is the cause
                continue
            entry = entries.pop()
            if entry.directory and len(stack) >= _DEPTH:
                up = files.token()
                with contextlib.suppress(OSError):
                    os.rename(entry.name, up, src_dir_fd=fd, dst_dir_fd=top)
                    stack[0][2].append(Entry(up, directory=True))
                    continue
            below = _unlink_or_enter(fd, entry.name)
            if isinstance(below, int):
                stack.append((below, entry.name, _entries(below)))
            else:
                why = why or below
    finally:
        for fd, _, _ in stack:
            os.close(fd)
    return why


def _unlink_or_enter(parent: int, name: str) -> int | str:
    """Take a name away, or open the directory it is; else why not."""
    try:
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        return ""
    except OSError as error:
        if error.errno not in (errno.EISDIR, errno.EPERM):
            return f"{error.strerror}: {name}"
        try:
            return open_below(parent, name, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            return ""
        except OSError as second:
            return f"{(error if second.errno in STRANGE else second).strerror}: {name}"
    return ""


def _rmdir(parent: int, name: str) -> str:
    try:
        os.rmdir(name, dir_fd=parent)
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"{error.strerror}: {name}"
    return ""
