"""``docker top``: podman's, and our own where the container has no cgroup.

Podman refuses ``top`` without a cgroup (libpod/container_top_linux.go), but Jenkins' ``inside``
calls it each time: docker-workflow's DockerClient.listProcess runs ``docker top CID -eo pid,comm``.
"""

from __future__ import annotations

import os
import pwd
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from podman_agent.docker.call import Call

_DEFAULT = "user,pid,ppid,c,stime,tname,time,args"  # what `ps -ef` shows, docker's default
_FORMATS = {"f": _DEFAULT, "l": "uid,pid,ppid,tname,time,comm", "aux": "user,pid,tname,time,args"}


class Process(NamedTuple):
    """One process as /proc tells it; `pid` and `ppid` are the pod's, as docker shows the host's."""

    pid: int
    ppid: int
    uid: int
    comm: str
    args: str
    state: str
    tty: int
    seconds: float
    started: float


def run(call: Call, _verb: str, args: list[str]) -> int:
    """List a container's processes.

    Args:
        call: The docker call.
        args: ``CONTAINER [ps options]``.

    Returns:
        0, or podman's exit code when there is no such running container.
    """
    if not args or args[0].startswith("-"):
        call.become("top", *args)
    form = "{{.State.Pid}} {{.HostConfig.Cgroups}} {{.State.Running}}"
    code, text = call.read("container", "inspect", "--format", form, args[0])
    if code:
        return code
    pid, cgroups, running = ([*text.split(), "", ""])[:3]
    if running != "true":
        print(f"docker: container {args[0]} is not running", file=sys.stderr)
        return 1
    if cgroups != "disabled":
        call.become("top", *(args if len(args) > 1 else [args[0], "-ef"]))
    sys.stdout.write(table(columns(args[1:]), processes(int(pid))))
    return 0


def columns(options: list[str]) -> list[tuple[str, str]]:
    """The columns that ``ps`` options ask for, each with its header (``pid=PROCESS``).

    Args:
        options: ``-eo pid,comm``, ``aux``, or none for docker's default.

    Returns:
        Names and headers; an empty header means the usual one.
    """
    formats: list[str] = []
    rest = iter(options)
    for option in rest:
        letters, given, value = (
            option.lstrip("-").partition("=") if option.startswith("--") else (option.lstrip("-"), "", "")
        )
        if letters == "format" and given:
            formats.append(value)
        elif not option.startswith("--") and letters.endswith("o"):
            formats.append(next(rest, ""))
        elif not option.startswith("--") and "o" in letters:
            formats.append(letters.partition("o")[2])
    if not formats:
        known = [form for name, form in _FORMATS.items() if name in "".join(options)]
        formats.append(known[0] if known else _DEFAULT)
    pairs = (name.partition("=") for name in ",".join(formats).replace(" ", ",").split(",") if name)
    return [(name, header if equals else "") for name, equals, header in pairs]


def processes(init: int, proc: Path = Path("/proc")) -> list[Process]:
    """The processes in the same pid namespace as `init`, oldest first.

    Args:
        init: Pid of the container's first process.
        proc: Where procfs is.

    Returns:
        What could be read; a process that ends meanwhile is left out.
    """
    wanted = (proc / str(init) / "ns" / "pid").readlink()
    boot = time.time() - float((proc / "uptime").read_text().split()[0])
    found = []
    for entry in proc.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if (entry / "ns" / "pid").readlink() == wanted:
                found.append(_read(entry, boot))
        except OSError:
            continue
    return sorted(found, key=lambda p: (p.started, p.pid))


def _read(entry: Path, boot: float) -> Process:
    head, _, tail = (entry / "stat").read_text(errors="replace").rpartition(")")
    fields = tail.split()  # from the third field of proc_pid_stat(5) on
    ticks = os.sysconf("SC_CLK_TCK")
    comm = head.partition("(")[2]
    args = (entry / "cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ")
    return Process(
        pid=int(entry.name),
        ppid=int(fields[1]),
        uid=entry.stat().st_uid,
        comm=comm,
        args=args.decode(errors="replace") or f"[{comm}]",
        state=fields[0],
        tty=int(fields[4]),
        seconds=(int(fields[11]) + int(fields[12])) / ticks,
        started=boot + int(fields[19]) / ticks,
    )


def _user(process: Process) -> str:
    try:
        return pwd.getpwuid(process.uid).pw_name
    except KeyError:
        return str(process.uid)


def _clock(seconds: float) -> str:
    return time.strftime("%H:%M:%S", time.gmtime(seconds))


def _terminal(process: Process) -> str:
    """``pts/N`` by device number (Linux' Documentation/admin-guide/devices.txt, major 136)."""
    major, minor = process.tty >> 8 & 0xFFF, process.tty & 0xFF
    return f"pts/{minor}" if major == 136 else "?"


_VALUES: dict[str, tuple[str, Callable[[Process], object]]] = {
    "pid": ("PID", lambda p: p.pid),
    "ppid": ("PPID", lambda p: p.ppid),
    "uid": ("UID", lambda p: p.uid),
    "user": ("USER", _user),
    "comm": ("COMMAND", lambda p: p.comm),
    "args": ("COMMAND", lambda p: p.args),
    "stat": ("STAT", lambda p: p.state),
    "tname": ("TTY", _terminal),
    "time": ("TIME", lambda p: _clock(p.seconds)),
    "etimes": ("ELAPSED", lambda p: int(time.time() - p.started)),
    "stime": ("STIME", lambda p: time.strftime("%H:%M", time.localtime(p.started))),
    "c": ("C", lambda _: 0),
}
_VALUES |= {
    "cmd": _VALUES["args"],
    "command": _VALUES["args"],
    "ucmd": _VALUES["comm"],
    "tty": _VALUES["tname"],
    "tt": _VALUES["tname"],
    "s": _VALUES["stat"],
    "state": _VALUES["stat"],
    "euser": _VALUES["user"],
    "euid": _VALUES["uid"],
    "cputime": _VALUES["time"],
}


def table(columns: list[tuple[str, str]], found: list[Process]) -> str:
    """Print processes as ``ps`` does; a column nobody knows shows ``-``.

    Args:
        columns: Names and headers; an empty header means the usual one.
        found: The processes.

    Returns:
        Header line and one line a process.
    """
    picked = [(head or _VALUES.get(name, (name.upper(), None))[0], name) for name, head in columns]
    rows = [[head for head, _ in picked]] + [
        [str(_VALUES[n][1](process)) if n in _VALUES else "-" for _, n in picked] for process in found
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(len(picked))]
    lines = ("".join(cell.ljust(width + 1) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "".join(line + "\n" for line in lines)
