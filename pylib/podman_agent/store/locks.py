"""Kernel locks on a cache volume, and the tiny process that holds one until the container dies.

The holder inherits the locked descriptor and becomes ``sleep infinity``: no language runtime, no
descriptors but the lock and a FIFO, no environment. Jenkins ends processes by a cookie it finds
in their environment (https://www.jenkins.io/doc/book/using/spawning-processes/), a `sh` step ends
its process group, and a pipe held open would keep the caller waiting: none of them meets the
holder. Only SIGKILL ends it before its container. That is noticed on the next call by one
``open`` of the FIFO (see `alive`), which the kernel refuses with ENXIO as soon as nobody reads.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shlex
import shutil
import signal
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from podman_agent import files
from podman_agent.errors import EngineError
from podman_agent.pod import ids, variables
from podman_agent.store import durable
from podman_agent.store.beneath import STRANGE, Root

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from podman_agent.pod.values import CacheLocks
    from podman_agent.store.layout import Store

# File systems whose locks the node's own kernel keeps: all pods that can see the volume meet there.
_LOCAL = frozenset(("ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "jfs", "zfs", "bcachefs", "overlay", "tmpfs"))
# Network file systems with a lock manager of their own, and the mount options that turn it off
# (nfs(5) local_lock, nolock; mount.cifs(8) nobrl; https://docs.ceph.com/en/latest/cephfs/).
_LOCKING = {
    "nfs": ("nolock", "local_lock=all", "local_lock=flock"),
    "nfs4": ("nolock", "local_lock=all", "local_lock=flock"),
    "ceph": (),
    "gfs2": ("localflocks",),
    "ocfs2": ("localflocks",),
    "gpfs": (),
    "cifs": ("nobrl", "nolock"),
    "smb3": ("nobrl", "nolock"),
}


# Where a holder has the lock and the FIFO that it reads.
LOCK_FD, FIFO_FD = 10, 11


def try_lock(store: Store) -> int | None:
    """Take the exclusive lock of a store without waiting.

    Returns:
        The descriptor that holds it, or None when another has it, it is another user's, it is no plain file, or the
        store was removed.
    """
    try:
        fd = _lock_file(store)
    except (FileNotFoundError, PermissionError):
        return None
    except OSError as error:
        if error.errno in STRANGE:
            return None
        raise
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever removes a store renames it away under this lock: the name must still be ours.
        if os.path.samestat(os.fstat(fd), store.root.lstat(store.lock)):
            return fd
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES, errno.ENOENT, *STRANGE):
            os.close(fd)
            raise
    os.close(fd)
    return None


def _lock_file(store: Store) -> int:
    try:
        return store.root.regular(store.lock, os.O_RDWR)
    except FileNotFoundError:
        pass
    try:
        fd = store.root.open(store.lock, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o660)
    except FileExistsError:
        return store.root.regular(store.lock, os.O_RDWR)
    with contextlib.suppress(PermissionError):  # else a collection as root would shut the store's owner out
        files.give(fd, store.root.lstat(store.path))
    return fd


@contextlib.contextmanager
def locked(store: Store) -> Iterator[bool]:
    """Hold the lock of a store for a block; yields False when somebody else has it."""
    fd = try_lock(store)
    try:
        yield fd is not None
    finally:
        if fd is not None:
            os.close(fd)


def mount_of(path: Path, mountinfo: Path = Path("/proc/self/mountinfo")) -> tuple[str, str]:
    """File system type and options of the mount `path` lies on (proc_pid_mountinfo(5))."""
    device = path.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    best, found = -1, ("unknown", "")
    resolved = f"{path.resolve()}/"
    for line in mountinfo.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        left, _, right = line.partition(" - ")
        fields, tail = left.split(), right.split()
        point = fields[4].encode().decode("unicode_escape").rstrip("/") + "/"
        # btrfs gives a subvolume a device number of its own, hence the path comes first.
        score = 2 * len(point) + (fields[2] == wanted)
        if resolved.startswith(point) and score >= best:
            best, found = score, (tail[0], ",".join([fields[5], *tail[2:]]))
    return found


def trial(directory: Path) -> str:
    """Try whether a second opener is kept out.

    Returns:
        Empty when it is; else what happened instead.
    """
    path = directory / f".lock-trial-{files.token()}"  # containers have the same pids
    root = Root(directory.parents[1])
    fds = []
    try:
        for _ in range(2):
            fds.append(root.open(path, os.O_RDWR | os.O_CREAT))  # noqa: PERF401
        fcntl.flock(fds[0], fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            fcntl.flock(fds[1], fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return ""
    except OSError as error:
        # No room for the trial says nothing of locks; a store of its own name would need more.
        return "" if error.errno in files.FULL else f"flock: {error.strerror}"
    else:
        return "two openers both got an exclusive lock"
    finally:
        for fd in fds:
            os.close(fd)
        root.unlink(path)


def distrust(directory: Path, setting: CacheLocks = variables.CACHE_LOCKS.default) -> str:
    """Why locks on this volume cannot be relied on; empty when they can.

    A trial in one pod proves only what this node's kernel does. On a local file system that is
    enough. On a network file system the trial is needed but not sufficient, so only types whose
    protocol has a lock manager, mounted without the options that turn it off, are believed.

    Args:
        directory: A directory on the volume.
        setting: PODMAN_AGENT_CACHE_LOCKS: ``auto``, ``trust`` or ``never``.
    """
    if setting == "never":
        return "PODMAN_AGENT_CACHE_LOCKS=never"
    failed = trial(directory)
    if failed or setting == "trust":
        return failed
    fstype, options = mount_of(directory)
    if fstype in _LOCAL:
        return ""
    if fstype not in _LOCKING:
        return f"{fstype} may keep locks on each node for itself"
    off = set(_LOCKING[fstype]).intersection(options.split(","))
    return f"{fstype} is mounted with {min(off)}" if off else ""


def alive(fifo: str) -> bool:
    """Whether a holder still reads `fifo`; one that was found again is named by its pid, and whatever has that now."""
    try:
        fd = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return stat.S_ISFIFO(os.fstat(fd).st_mode)
    finally:
        os.close(fd)


def hold(fd: int, fifo: Path, rubbish: Sequence[Path] = (), *, unflushed: Sequence[Path] = ()) -> None:
    """Start the process that keeps `fd` locked until the container dies.

    Args:
        fd: The locked descriptor; the caller may close its own copy afterwards.
        fifo: Made anew; its reader is the holder, see `alive`.
        rubbish: Trees the holder deletes first, at lowest priority, so that the claim need not.
        unflushed: Stores the holder flushes before that, see `durable.mark`.

    Raises:
        EngineError: There is no ``sleep`` to become.
    """
    shell, sleep = shutil.which("sh", path=os.defpath), shutil.which("sleep", path=os.defpath)
    if not sleep or not shell:
        what = "cannot hold the claim on the cache store"
        raise EngineError(what, f"no sh and sleep in {os.defpath}", "install coreutils")
    argv = [sleep, "infinity"]
    if rubbish or unflushed:
        # the holder's own process must not be Python: its environment would be the caller's
        python = f"{shlex.quote(sys.executable)} -IS -c "
        deletion = f"{python}{shlex.quote(ids.deleting())}" if ids.foreign() else "rm -rf --"
        marks = [f"{python}{shlex.quote(durable.marking())} {shlex.quote(str(path))}" for path in unflushed]
        script = "; ".join([*marks, *([f'{deletion} "$@"'] if rubbish else []), f"exec {sleep} infinity"])
        argv = [shell, "-c", script, "podman-agent-claim", *map(str, rubbish)]
    fifo.unlink(missing_ok=True)
    os.mkfifo(fifo, 0o600)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    failed, report = os.pipe()
    child = os.fork()
    if child == 0:
        _become(argv, keep=(fd, reader), report=report)
    os.close(report)
    os.close(reader)
    os.waitpid(child, 0)
    with os.fdopen(failed, "rb") as pipe:
        trouble = pipe.read().decode(errors="replace")
    if trouble:
        what = "cannot hold the claim on the cache store"
        raise EngineError(what, trouble)


def _become(argv: list[str], *, keep: tuple[int, int], report: int) -> None:
    """In the first child: leave session and parent, keep two descriptors, exec."""
    told: int = report
    try:
        os.setsid()
        if os.fork():
            os._exit(0)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)
        # First out of the way of 0..2 and 10..12, then to fixed places, then all else is closed.
        fds = [fcntl.fcntl(fd, fcntl.F_DUPFD, 20) for fd in (*keep, report)]
        null = os.open(os.devnull, os.O_RDWR)
        for standard in range(3):
            os.dup2(null, standard)
        for place, fd in enumerate(fds, start=LOCK_FD):
            os.dup2(fd, place)
        told = 12
        os.set_inheritable(told, False)
        os.closerange(3, 10)
        os.closerange(13, os.sysconf("SC_OPEN_MAX"))
        os.chdir("/")
        with contextlib.suppress(OSError):
            os.nice(19)
        os.execve(argv[0], argv, {"PATH": os.defpath})  # noqa: S606 - that is the point
    except OSError as error:
        os.write(told, str(error).encode())
    os._exit(1)
