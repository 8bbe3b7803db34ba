"""Open what lies below a directory, and nothing else: no link is followed, no mount crossed.

By openat2(2) with RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS and RESOLVE_NO_XDEV; where the kernel has none (before 5.6, or a
seccomp profile from before it) component by component.
"""

from __future__ import annotations

import ctypes
import errno
import os

# linux/openat2.h; the system call has one number on all architectures
_NO_XDEV, _NO_MAGICLINKS, _NO_SYMLINKS, _BENEATH = 0x01, 0x02, 0x04, 0x08
_OPENAT2 = 437


class _How(ctypes.Structure):
    """The kernel's struct open_how."""

    _fields_ = tuple((name, ctypes.c_uint64) for name in ("flags", "mode", "resolve"))


_libc = ctypes.CDLL(None, use_errno=True)
_kernel = {"openat2": True}


def open_below(root: int, relative: str, flags: int, mode: int = 0) -> int:
    """Open below a directory without leaving it, following a link or crossing a mount.

    Args:
        root: The descriptor of a directory.
        relative: A path from there, without ``..``.
        flags: As for open(2); O_NOFOLLOW and O_CLOEXEC are added.
        mode: With O_CREAT.

    Raises:
        OSError: As open(2) does; ELOOP or ENOTDIR for a link on the way, EXDEV for a mount.
    """
    if _kernel["openat2"]:
        try:
            return _openat2(root, relative, flags, mode)
        except OSError as error:
            if error.errno in (
                errno.ENOSYS,
                errno.EPERM,
            ):  # EPERM: a seccomp profile that does not know it, or a refusal
                _kernel["openat2"] = _knows_openat2()
            elif error.errno != errno.EXDEV:
                raise
            if error.errno == errno.EPERM and _kernel["openat2"]:
                raise
    return _walk(root, relative, flags, mode)


def _openat2(root: int, relative: str, flags: int, mode: int) -> int:
    mode = mode if flags & os.O_CREAT else 0
    how = _How(flags | os.O_CLOEXEC | os.O_NOFOLLOW, mode, _NO_XDEV | _NO_MAGICLINKS | _NO_SYMLINKS | _BENEATH)
    while True:
        size = ctypes.c_size_t(ctypes.sizeof(how))
        fd: int = _libc.syscall(_OPENAT2, root, os.fsencode(relative), ctypes.byref(how), size)
        if fd >= 0:
            return fd
        number = ctypes.get_errno()
        if number not in (errno.EAGAIN, errno.EINTR):  # EAGAIN: something was renamed meanwhile
            raise OSError(number, os.strerror(number))


def _knows_openat2() -> bool:
    with open("/", "rb", opener=lambda path, _: os.open(path, os.O_PATH)) as top:
        try:
            os.close(_openat2(top.fileno(), ".", os.O_PATH, 0))
        except OSError:
            return False
        return True


def _walk(root: int, relative: str, flags: int, mode: int) -> int:
    """The same component by component; of mounts, only two are entered, see `_check_mount`."""
    *above, last = relative.split("/")
    here, opened = root, []
    try:
        for part in above:
            opened.append(os.open(part, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here))
            _check_mount(root, here, opened[-1], part)
            here = opened[-1]
        fd = os.open(last, flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=here)
        try:
            if last != ".":
                _check_mount(root, here, fd, last)
        except BaseException:
            os.close(fd)
            raise
        return fd
    finally:
        for number in opened:
            os.close(number)


def _mount_id(fd: int) -> str:
    with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as info:  # noqa: PTH123 - twice for each component
        return next(line.split()[1] for line in info if line.startswith("mnt_id:"))


def _check_mount(root: int, parent: int, child: int, name: str) -> None:
    """Raise EXDEV unless `child` is of its parent's mount, or of one that belongs there.

    Podman mounts ``overlay`` in the graphroot of a running pod upon itself (containers/storage, mount.MakePrivate); and
    a pod may have podman's plain store, ``storage`` in the root, as a volume of its own.
    """
    outer, inner = _mount_id(parent), _mount_id(child)
    if outer == inner:
        return
    # proc_pid_mountinfo(5): id, parent, device, root, mount point
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:  # noqa: PTH123
        mounts = {row[0]: row[2:5] for row in (line.split() for line in lines)}
    if outer in mounts and inner in mounts:
        (device, above, point), (inner_device, inner_root, inner_point) = mounts[outer], mounts[inner]
        if inner_point == f"{_path(root)}/storage":
            return
        there = f"{above}/{_path(parent).removeprefix(point)}/{name}"
        if (device, [*filter(None, there.split("/"))]) == (inner_device, [*filter(None, inner_root.split("/"))]):
            return
    raise OSError(errno.EXDEV, "a mount is in the way")


def _path(fd: int) -> str:
    """Where a directory is, as mountinfo writes it."""
    text = os.readlink(f"/proc/self/fd/{fd}")  # noqa: PTH115
    for char in "\\ \t\n":
        text = text.replace(char, f"\\{ord(char):03o}")
    return text
