"""Run podman where no namespace can be made, answering for the kernel the few calls it insists on.

containerd's default seccomp profile, which is what ``RuntimeDefault`` means, refuses ``unshare``,
``mount`` and ``umount2`` without CAP_SYS_ADMIN
(https://github.com/containerd/containerd/blob/main/contrib/seccomp/seccomp_default.go). Podman and
buildah need none of them for a build on ``vfs`` whose runtime only chroots, but ask all the same:

* podman leaves its store unopened unless ``capget`` shows CAP_SYS_ADMIN (libpod/runtime.go);
* buildah unshares a mount namespace and bind-mounts the root file system onto a private path for
  every isolation (bind/mount.go, SetupIntermediateMountNamespace); no option avoids it.

So this parent traces podman (``ptrace`` of one's own child is in that profile on Linux >= 4.8) and
turns the refusals of exactly these calls into success. No right is gained: the kernel has refused
the call already, and the commands of the build run untraced, under `podman_agent.nonamespace.runtime`.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from podman_agent.errors import PodRefusalError
from podman_agent.hot import shim
from podman_agent.nonamespace import runtime
from podman_agent.plan.choices import USERNS_FIX
from podman_agent.pod import facts

if TYPE_CHECKING:
    from io import FileIO

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long

# linux/ptrace.h
_TRACEME, _PEEKDATA, _POKEDATA, _CONT, _SYSCALL, _DETACH = 0, 2, 5, 7, 24, 17
_SETOPTIONS, _GETREGSET, _SETREGSET, _GET_SYSCALL_INFO = 0x4200, 0x4204, 0x4205, 0x420E
_OPTIONS = 0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x100000  # SYSGOOD, FORK, VFORK, CLONE, EXEC, EXITKILL
_EVENT_EXEC = 4
_SYSCALL_STOP = signal.SIGTRAP | 0x80
_ENTRY, _EXIT = 1, 2
_NT_PRSTATUS = 1
_WALL = 0x40000000
_EPERM = -1
_CAP_SYS_ADMIN = 1 << 21
_MS_BIND = 4096

# machine: syscall numbers of the calls answered, index of the return value among the registers
_ARCH = {
    "x86_64": ({165: "mount", 166: "umount2", 272: "unshare"}, 125, 10),
    "aarch64": ({40: "mount", 39: "umount2", 97: "unshare"}, 90, 0),
}


# what buildah calls the copy of itself that starts a step (run_common.go, runUsingRuntimeCommand)
_RUNNERS = {"buildah-oci-runtime", "buildah-runtime"}


class _Info(ctypes.Structure):
    _fields_ = (
        ("op", ctypes.c_uint8),
        ("pad", ctypes.c_uint8 * 3),
        ("arch", ctypes.c_uint32),
        ("ip", ctypes.c_uint64),
        ("sp", ctypes.c_uint64),
        ("nr", ctypes.c_uint64),  # at an exit stop: the return value, signed
        ("args", ctypes.c_uint64 * 6),
    )


class _Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("len", ctypes.c_size_t))


def _ptrace(request: int, pid: int, addr: int = 0, data: int = 0) -> int:
    ctypes.set_errno(0)
    result = int(_libc.ptrace(request, pid, addr, data))
    if result == -1 and (errno := ctypes.get_errno()):
        raise OSError(errno, f"ptrace({request:#x}) of {pid}: {os.strerror(errno)}")
    return result


class _Tracer:
    """The tracing loop of one podman."""

    def __init__(self, main: int) -> None:
        self.main = main
        self.calls, self.capget, self.result = _ARCH[platform.machine()]
        self.runners: dict[int, bool] = {}  # tid -> whether it is one of `_RUNNERS`
        self.pending: dict[int, tuple[int, list[int]]] = {}  # tid -> (nr, arguments)
        self.info = _Info()
        self.answered = False  # whether podman has been told of its capability
        self.code = 0

    def loop(self) -> int:
        while True:
            try:
                tid, status = os.waitpid(-1, _WALL)
            except ChildProcessError:
                return self.code
            if os.WIFSTOPPED(status):
                try:
                    self.stopped(tid, os.WSTOPSIG(status), status >> 16)
                except ProcessLookupError:
                    continue  # killed meanwhile; its death is reported next
            else:
                self.pending.pop(tid, None)
                self.runners.pop(tid, None)
                if tid == self.main:
                    code = os.waitstatus_to_exitcode(status)
                    self.code = code if code >= 0 else 128 - code

    def stopped(self, tid: int, signum: int, event: int) -> None:
        if signum == _SYSCALL_STOP:
            self.syscall(tid)
            self.go_on(tid)
        elif event == _EVENT_EXEC:
            self.runners.pop(tid, None)
            if tid == self.main or self.is_runner(tid):
                _ptrace(_SYSCALL, tid)
            else:
                _ptrace(_DETACH, tid)
        elif event or signum == signal.SIGSTOP:
            self.go_on(tid)  # a new thread or child, or its parent
        else:
            self.go_on(tid, signum)

    def go_on(self, tid: int, signum: int = 0) -> None:
        """Let a thread run to its next call, or freely once it has nothing more to be told."""
        free = self.answered and tid not in self.pending and not self.is_runner(tid)
        _ptrace(_CONT if free else _SYSCALL, tid, 0, signum)

    def is_runner(self, tid: int) -> bool:
        if tid not in self.runners:
            self.runners[tid] = _name(tid) in _RUNNERS
        return self.runners[tid]

    def syscall(self, tid: int) -> None:
        info = self.info
        _ptrace(_GET_SYSCALL_INFO, tid, ctypes.sizeof(info), ctypes.addressof(info))
        if info.op == _ENTRY:
            if info.nr in self.calls or info.nr == self.capget:
                self.pending[tid] = info.nr, list(info.args)
        elif (call := self.pending.pop(tid, None)) is not None:
            nr, arguments = call
            outcome = ctypes.c_int64(info.nr).value
            if nr == self.capget:
                if outcome == 0 and arguments[1]:
                    word = _ptrace(_PEEKDATA, tid, arguments[1]) & (1 << 64) - 1
                    _ptrace(_POKEDATA, tid, arguments[1], word | _CAP_SYS_ADMIN)
                    self.answered = True
            elif outcome == _EPERM:
                if self.calls[nr] == "mount":
                    _bind(tid, arguments)
                self.succeed(tid)

    def succeed(self, tid: int) -> None:
        registers = (ctypes.c_uint64 * 64)()
        vector = _Iovec(ctypes.addressof(registers), ctypes.sizeof(registers))
        _ptrace(_GETREGSET, tid, _NT_PRSTATUS, ctypes.addressof(vector))
        registers[self.result] = 0
        _ptrace(_SETREGSET, tid, _NT_PRSTATUS, ctypes.addressof(vector))


def _bind(tid: int, arguments: list[int]) -> None:
    """Answer a bind mount by a symbolic link in place of the mount point, which the runtime follows."""
    source, target, _, flags = arguments[:4]
    if not flags & _MS_BIND:
        return
    with Path(f"/proc/{tid}/mem").open("rb", buffering=0) as memory:
        here, there = (_string(memory, address) for address in (source, target))
    if here != there:
        there.rmdir() if there.is_dir() else there.unlink()
        there.symlink_to(here)


def _string(memory: FileIO, address: int) -> Path:
    text = b""
    while b"\0" not in text:
        # never across a page: the next one may not be mapped
        memory.seek(address + len(text))
        text += memory.read(4096 - (address + len(text)) % 4096)
    return Path(os.fsdecode(text.split(b"\0", 1)[0]))


def _name(pid: int) -> str:
    command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0", 1)[0]
    return os.fsdecode(command.rpartition(b"/")[2])


def run(argv: list[str]) -> int:
    """Run a podman and answer for the kernel.

    Args:
        argv: Path of podman, then its arguments.

    Returns:
        Podman's exit code, 128 and the signal's number if one ended it.

    Raises:
        PodRefusalError: This machine type's registers are not known here.
    """
    if platform.machine() not in _ARCH:
        what = "no build without namespaces on this machine type"
        raise PodRefusalError(what, platform.machine())
    # the start time too, because a pid is used again
    supervisor = f"{os.getpid()}:{runtime.started(os.getpid())}"
    child = os.fork()
    if child == 0:
        try:
            os.environ[runtime.SUPERVISOR] = supervisor
            _ptrace(_TRACEME, 0)
            os.kill(os.getpid(), signal.SIGSTOP)
            os.execv(argv[0], ["podman", *argv[1:]])  # noqa: S606
        finally:
            os._exit(127)
    os.waitpid(child, _WALL)
    _ptrace(_SETOPTIONS, child, 0, _OPTIONS)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        signal.signal(number, lambda received, _: os.kill(child, received))
    _ptrace(_CONT, child)
    try:
        return _Tracer(child).loop()
    finally:
        runtime.end_steps(supervisor)


def main() -> int:
    """Entry point: run the podman on PATH that is not one of our shims, with the arguments given.

    Returns:
        Podman's exit code; that of a refusal for the verbs that start a container.
    """
    args = sys.argv[1:]
    at = shim.verb_index(args)
    verbs = args[at : at + 2]
    verb = verbs[-1] if verbs[:1] in (["container"], ["pod"], ["kube"]) else "".join(verbs[:1])
    try:
        if verb in {"run", "create", "start", "restart", "play", "compose"}:
            # a volume could only be copied in and back, which is not what -v promises
            what = f"podman {verb} cannot run a container in this pod"
            raise PodRefusalError(what, "its seccomp profile forbids namespaces and mounts", USERNS_FIX)  # noqa: TRY301
        podman = facts.find_program("podman", os.environ.get("PATH", os.defpath))
        return run([podman, *args])
    except PodRefusalError as error:
        print(f"podman-agent: {error}", file=sys.stderr)
        return error.exit_code
