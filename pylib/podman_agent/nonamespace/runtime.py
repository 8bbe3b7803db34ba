"""An OCI runtime that only chroots: no namespace, no mount, no cgroup.

The command line is that of runc as conmon and buildah use it
(https://github.com/opencontainers/runtime-spec/blob/main/runtime.md): ``create``, ``start``,
``state``, ``kill``, ``delete`` and ``exec``. Inside there is no ``/proc`` and no ``/sys``, the
processes share the pod's process table and network, and they keep the pod's capabilities.
"""

from __future__ import annotations

import argparse
import array
import contextlib
import ctypes
import json
import os
import resource
import shutil
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from podman_agent.nonamespace import filesystem

if TYPE_CHECKING:
    from collections.abc import Callable

_PR_SET_NO_NEW_PRIVS = 38
_DEFAULT_ROOT = "/run/podman-agent/nonamespace"
_ROUNDS = 1000
# environment variable: the pid and start time of the `supervise` a step belongs to
SUPERVISOR = "NONAMESPACE_SUPERVISOR"


class RuntimeFailure(Exception):  # noqa: N818 - the engine reads only its text
    """What the engine is told when a step fails."""


class Container:
    """One container's record under the runtime's root directory.

    Args:
        root: Directory of all records.
        name: The container's id.
    """

    def __init__(self, root: Path, name: str) -> None:
        self.name = name
        self.directory = root / name
        self.fifo = self.directory / "start"

    def save(self, **fields: Any) -> None:
        """Add to the record, atomically."""
        data = (self.load() if (self.directory / "state.json").exists() else {}) | fields
        aside = self.directory / "state.json.new"
        aside.write_text(json.dumps(data))
        aside.rename(self.directory / "state.json")

    def load(self) -> dict[str, Any]:
        """The record; `RuntimeFailure` when there is none."""
        try:
            data: dict[str, Any] = json.loads((self.directory / "state.json").read_text())
        except FileNotFoundError:
            msg = f"container {self.name} does not exist"
            raise RuntimeFailure(msg) from None
        return data

    def status(self) -> str:
        """One of the states of the runtime specification."""
        data = self.load()
        try:
            fields = Path(f"/proc/{data['pid']}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return "stopped"
        if fields[0] in "ZX" or fields[19] != data["started"]:
            return "stopped"
        return "created" if self.fifo.exists() else "running"


def started(pid: int) -> str:
    """Start time in clock ticks: with the pid it names one process for ever (proc_pid_stat(5))."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


def create(args: argparse.Namespace) -> None:
    """Prepare the root file system and a process that waits for ``start``."""
    spec = json.loads((args.bundle / "config.json").read_text())
    rootfs = (args.bundle / spec["root"]["path"]).resolve()
    container = Container(args.root, args.id)
    container.directory.mkdir(parents=True)
    try:
        os.mkfifo(container.fifo, 0o600)
        owner = os.environ.get(SUPERVISOR, "")
        container.save(id=args.id, bundle=str(args.bundle), rootfs=str(rootfs), supervisor=owner)
        undo = filesystem.Overlay(rootfs, container.directory / "undo")
        undo.apply(spec.get("mounts", []))
        gate = os.open(container.fifo, os.O_RDWR)  # a reader that is there before `start` can come
        pid = _spawn(spec["process"], rootfs, args, lambda: os.read(gate, 1))
        os.close(gate)
        container.save(pid=pid, started=started(pid))
    except BaseException:
        filesystem.Overlay(rootfs, container.directory / "undo").revert()
        shutil.rmtree(container.directory)
        raise


def start(args: argparse.Namespace) -> None:
    """Let the waiting process execute its program."""
    container = Container(args.root, args.id)
    container.load()
    fd = os.open(container.fifo, os.O_WRONLY | os.O_NONBLOCK)  # ENXIO when nobody waits any more
    os.write(fd, b"\n")
    os.close(fd)
    container.fifo.unlink()


def exec_(args: argparse.Namespace) -> int:
    """Run one more process in the container; its exit code unless detached."""
    rootfs = Path(Container(args.root, args.id).load()["rootfs"])
    process = json.loads(args.process.read_text())
    pid = _spawn(process, rootfs, args, lambda: None)
    if args.detach:
        return 0
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code if code >= 0 else 128 - code


def state(args: argparse.Namespace) -> None:
    """Print the state as the specification wants it."""
    container = Container(args.root, args.id)
    data = container.load()
    status = container.status()
    print(json.dumps({"ociVersion": "1.2.0", "id": args.id, "status": status,
                      "pid": 0 if status == "stopped" else data["pid"],
                      "bundle": data["bundle"], "rootfs": data["rootfs"]}))  # fmt: skip


def kill(args: argparse.Namespace) -> None:
    """Signal the first process, or all of them."""
    container = Container(args.root, args.id)
    data = container.load()
    name = str(args.signal)
    number = int(name) if name.isdigit() else signal.Signals["SIG" + name.removeprefix("SIG")]
    pids = filesystem.processes_in(Path(data["rootfs"])) if args.all else [data["pid"]]
    if container.status() == "stopped" and not args.all:
        msg = f"container {args.id} is not running"
        raise RuntimeFailure(msg)
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def delete(args: argparse.Namespace) -> None:
    """Kill what is left, take back everything laid into the root file system, forget the record."""
    container = Container(args.root, args.id)
    try:
        data = container.load()
    except RuntimeFailure:
        if args.force:
            return
        raise
    if "pid" in data and container.status() != "stopped" and not args.force:
        msg = f"container {args.id} is not stopped"
        raise RuntimeFailure(msg)
    rootfs = Path(data["rootfs"])
    if "pid" in data and container.status() == "created":
        os.kill(data["pid"], signal.SIGKILL)
    for _ in range(_ROUNDS):  # what one forks meanwhile is found in the next
        if not (left := filesystem.processes_in(rootfs)):
            break
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    filesystem.Overlay(rootfs, container.directory / "undo").revert()
    shutil.rmtree(container.directory)


def end_steps(supervisor: str, root: Path = Path(_DEFAULT_ROOT)) -> None:
    """End the steps that a supervisor's podman left behind, as it does when a signal ends it.

    Args:
        supervisor: What `SUPERVISOR` was for them.
        root: Directory of the records.
    """
    if not root.is_dir():
        return
    for directory in root.iterdir():
        # one that another podman's runtime takes away, or has not written yet, is not ours
        with contextlib.suppress(RuntimeFailure, OSError):
            if Container(root, directory.name).load().get("supervisor") == supervisor:
                delete(argparse.Namespace(root=root, id=directory.name, force=True))


def _spawn(process: dict[str, Any], rootfs: Path, args: argparse.Namespace, wait: Callable[[], object]) -> int:
    """Fork the process that becomes `process`; it reports a failure to exec on its stderr."""
    terminal = os.openpty() if process.get("terminal") else None
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            if terminal:
                os.close(terminal[0])
                os.login_tty(terminal[1])
            wait()
            _become(process, rootfs)
        except BaseException as error:  # noqa: BLE001 - nothing may return into the parent's code
            print(f"{process['args'][0]}: {error}", file=sys.stderr, flush=True)
            os._exit(127 if isinstance(error, FileNotFoundError) else 126)
    if terminal:
        os.close(terminal[1])
        with socket.socket(socket.AF_UNIX) as console:
            console.connect(str(args.console_socket))
            fds = array.array("i", [terminal[0]])
            console.sendmsg([b"/dev/ptmx"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
        os.close(terminal[0])
    if args.pid_file:
        aside = args.pid_file.with_name(args.pid_file.name + ".new")
        aside.write_text(str(pid))
        aside.rename(args.pid_file)
    return pid


def _become(process: dict[str, Any], rootfs: Path) -> NoReturn:
    user = process.get("user", {})
    for limit in process.get("rlimits") or []:
        which = getattr(resource, limit["type"], None)
        if which is not None:
            hard = min(limit["hard"], _unsigned(resource.getrlimit(which)[1]))
            resource.setrlimit(which, (_signed(min(limit["soft"], hard)), _signed(hard)))
    os.chroot(rootfs)
    os.chdir(process.get("cwd", "/"))
    os.umask(user.get("umask", 0o022))
    os.setgroups(user.get("additionalGids") or [])
    os.setgid(user.get("gid", 0))
    os.setuid(user.get("uid", 0))
    if process.get("noNewPrivileges"):
        ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    os.closerange(3, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    env = dict(item.split("=", 1) for item in process.get("env") or [] if "=" in item)
    os.execvpe(process["args"][0], process["args"], env)  # noqa: S606


def _unsigned(value: int) -> int:
    return value if value >= 0 else (1 << 64) - 1


def _signed(value: int) -> int:
    return value if value < (1 << 63) else resource.RLIM_INFINITY


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="podman-agent-chroot", allow_abbrev=False)
    parser.add_argument("--root", type=Path, default=Path(_DEFAULT_ROOT))
    for flag in ("--log", "--log-format", "--log-level", "--cgroup-manager"):
        parser.add_argument(flag)
    for flag in ("--debug", "--systemd-cgroup"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("--version", action="version", version="podman-agent-chroot 1.0")
    verbs = parser.add_subparsers(dest="verb", required=True)
    table = {"create": create, "start": start, "state": state, "kill": kill, "delete": delete,
             "exec": exec_}  # fmt: skip
    for name, function in table.items():
        verb = verbs.add_parser(name)
        verb.set_defaults(function=function)
        if name in {"create", "exec"}:
            for flag in ("--pid-file", "--console-socket", "--bundle", "--process"):
                verb.add_argument(flag, type=Path)
            verb.add_argument("-b", dest="bundle", type=Path)
            verb.add_argument("-d", "--detach", action="store_true")
            verb.add_argument("--preserve-fds")
            for flag in ("--no-pivot", "--no-new-keyring"):
                verb.add_argument(flag, action="store_true")
        if name == "kill":
            verb.add_argument("-a", "--all", action="store_true")
        if name == "delete":
            verb.add_argument("-f", "--force", action="store_true")
        verb.add_argument("id")
        if name == "kill":
            verb.add_argument("signal", nargs="?", default="TERM")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Entry point of the runtime.

    Args:
        argv: Arguments without the program name.

    Returns:
        The exit code; the reason of a failure is the last line of stderr.
    """
    args = _parser().parse_args(argv)
    try:
        return int(args.function(args) or 0)
    except (RuntimeFailure, OSError) as error:
        print(f"podman-agent-chroot: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
