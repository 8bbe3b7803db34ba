"""Trial system calls: what this pod's kernel, seccomp profile and capabilities let us do.

Names (overlayfs over overlayfs, AppArmor, seccomp profiles) predict badly; trying tells. Every trial runs in
a forked child with a mount namespace of its own, so nothing it mounts can outlive it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from podman_agent.pod import idmode

if TYPE_CHECKING:
    from collections.abc import Callable

# linux/sched.h, linux/mount.h
CLONE_NEWNS = 0x00020000
CLONE_NEWPID = 0x20000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWUTS = 0x04000000
MS_REC = 0x4000
MS_PRIVATE = 1 << 18
MNT_DETACH = 2
TRIAL = ".podman-agent-trial-"


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def unshare(flags: int) -> None:
    """Make the system call, which Python has from 3.12 on.

    Raises:
        OSError: As the kernel says.
    """
    _check(_libc().unshare(flags), "unshare")


def mount(source: str, target: str, fstype: str | None, flags: int, data: str = "") -> None:
    """Make the system call.

    Raises:
        OSError: As the kernel says.
    """
    encoded = [s.encode() if s is not None else None for s in (source, target, fstype)]
    _check(_libc().mount(*encoded, ctypes.c_ulong(flags), data.encode()), f"mount {fstype}")


def in_child(action: Callable[[], None]) -> str:
    """Run `action` in a forked child.

    Returns:
        An empty string when it succeeded, else the error's text.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:  # pragma: no cover - the child is never measured
        code = 1
        try:
            os.close(reader)
            action()
            code = 0
        except BaseException as error:  # noqa: BLE001 - the child must report, whatever it was
            text = error.strerror if isinstance(error, OSError) else str(error)
            os.write(writer, (text or type(error).__name__).encode()[:500])
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        text = pipe.read().decode(errors="replace")
    _, status = os.waitpid(pid, 0)
    if status == 0:
        return ""
    return text or f"ended by status {status}"


def _enter_user_namespace() -> None:
    uid, gid = os.geteuid(), os.getegid()
    unshare(CLONE_NEWUSER | CLONE_NEWNS)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")


def private_mounts() -> None:
    """Keep what is mounted from here on in this mount namespace.

    Raises:
        OSError: As the kernel says.
    """
    mount("none", "/", None, MS_REC | MS_PRIVATE)


def user_namespace() -> str:
    """Try to make a user namespace with a mount namespace in it; empty when it works."""
    return in_child(_enter_user_namespace)


def uid_map(path: Path = Path("/proc/self/uid_map")) -> tuple[tuple[int, int, int], ...]:
    """The rows of a uid_map: first id here, first id outside, count."""
    rows = (line.split() for line in path.read_text(encoding="ascii").splitlines())
    return tuple((int(here), int(outside), int(count)) for here, outside, count in rows)


def in_user_namespace() -> bool:
    """Tell whether this is another user namespace than the node's, as with hostUsers: false."""
    return not idmode.is_nodes_own(uid_map())


def chroot(*, userns: bool) -> str:
    """Try the call by which podman unpacks layers; empty when it works.

    Args:
        userns: Try from inside a user namespace. Podman's own seccomp profile allows the call only where the
            container was given CAP_SYS_CHROOT, whatever the namespace gives
            (https://github.com/containers/common/blob/main/pkg/seccomp/seccomp.json).
    """

    def action() -> None:
        if userns:
            _enter_user_namespace()
        os.chroot("/")

    return in_child(action)


def set_hostname(*, userns: bool) -> str:
    """Try to name a new UTS namespace, as an OCI runtime does; empty when it works.

    Args:
        userns: Try from inside a user namespace; the same profile asks for CAP_SYS_ADMIN.
    """

    def action() -> None:
        if userns:
            _enter_user_namespace()
        unshare(CLONE_NEWUTS)
        _check(_libc().sethostname(b"trial", 5), "sethostname")

    return in_child(action)


def mount_proc(*, userns: bool) -> str:
    """Try to mount a fresh procfs, which every container with a private PID namespace needs.

    Args:
        userns: Try from inside a user namespace, as rootless podman does.

    Returns:
        Empty when it works, else the kernel's words. A kubelet masks parts of /proc, and the kernel then
        refuses a fresh one in a user namespace (https://github.com/containers/podman/issues/20453).
    """

    def action() -> None:
        if userns:
            _enter_user_namespace()
        else:
            unshare(CLONE_NEWNS)
        unshare(CLONE_NEWPID)
        pid = os.fork()
        if pid == 0:
            code = 1
            with contextlib.suppress(OSError):
                private_mounts()
                mount("proc", "/proc", "proc", 0)
                code = 0
            os._exit(code)
        if os.waitpid(pid, 0)[1] != 0:
            msg = "mount proc: Operation not permitted"
            raise PermissionError(1, msg)

    return in_child(action)


def overlay(directory: Path, *, userns: bool, userxattr: bool) -> str:
    """Try a kernel overlay mount with all its directories below `directory`, and write through it.

    Args:
        directory: An existing, writable directory on the file system to try.
        userns: Try from inside a user namespace, as rootless podman does.
        userxattr: Keep overlay's own attributes where any user namespace may (kernel 5.11 or later,
            https://docs.kernel.org/filesystems/overlayfs.html#user-xattr), as podman does in one.

    Returns:
        Empty when it works, else the kernel's words.
    """
    try:
        base = Path(tempfile.mkdtemp(prefix=TRIAL, dir=directory))
        # below a setgid directory, as fsGroup makes an emptyDir, it has a group that a namespace of one id does not
        # know, and overlay is refused for that alone: podman's own maps have it
        os.chown(base, -1, os.getegid())
        base.chmod(0o700)
    except OSError as error:
        return error.strerror or str(error)

    def action() -> None:
        if userns:
            _enter_user_namespace()
        else:
            unshare(CLONE_NEWNS)
        private_mounts()
        lower, upper, work, merged = (base / n for n in ("lower", "upper", "work", "merged"))
        for path in (lower, upper, work, merged):
            path.mkdir()
        (lower / "old").write_text("old")
        (lower / "directory").mkdir()
        options = f"lowerdir={lower},upperdir={upper},workdir={work}"
        mount("overlay", str(merged), "overlay", 0, options + (",userxattr" if userxattr else ""))
        try:
            (merged / "new").write_text("new")
            (merged / "old").rename(merged / "renamed")
            # an opaque directory is an extended attribute, which tmpfs has for users from Linux 6.6 only
            (merged / "directory").rmdir()
            (merged / "directory").mkdir()
        finally:
            _check(_libc().umount2(str(merged).encode(), MNT_DETACH), "umount")
            # the kernel makes it with mode 0, which only capabilities can delete
            (work / "work").chmod(0o700)

    try:
        return in_child(action)
    finally:
        shutil.rmtree(base, ignore_errors=True)


def make_cgroup(directory: Path) -> bool:
    """Tell whether a child cgroup can be made (and removed again) in `directory`."""
    trial = directory / f"podman-agent-trial-{os.getpid()}"
    try:
        trial.mkdir()
        trial.rmdir()
    except OSError:
        return False
    return True


def open_device(path: str) -> bool:
    """Tell whether a device node is there and may be opened for reading and writing."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
    except OSError:
        return False
    return True
