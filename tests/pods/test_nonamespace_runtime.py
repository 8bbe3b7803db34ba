"""The runtime that only chroots, by the command line that engines use, on a root file system of busybox."""

from __future__ import annotations

import array
import contextlib
import json
import os
import select
import shutil
import socket
import subprocess
from typing import TYPE_CHECKING

import host
import outer
import pytest
from podman_agent.nonamespace import filesystem, runtime

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.nested

RUNTIME = str(outer.ROOT / "entrypoint/podman-agent-chroot")


class Bundle:
    """One container of the runtime."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.root = directory, directory / "records"
        self.rootfs = directory / "rootfs"
        (self.rootfs / "bin").mkdir(parents=True)
        (self.rootfs / "dev").mkdir()
        (self.rootfs / "tmp").mkdir()
        shutil.copy(shutil.which("busybox") or "/bin/busybox", self.rootfs / "bin/busybox")
        (self.rootfs / "bin/sh").symlink_to("busybox")
        self.pid = 0

    def call(self, *args: str, check: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
        return outer.run("env", *(f"{k}={v}" for k, v in env.items()), RUNTIME, "--root", str(self.root), *args,
                         check=check)  # fmt: skip

    def create(self, script: str, *options: str, terminal: bool = False, env: dict[str, str] | None = None) -> int:
        """A container that waits for its start; its outputs go to the file `out`."""
        process = {"args": ["/bin/sh", "-c", script], "cwd": "/", "env": ["PATH=/bin"], "terminal": terminal}
        config = {"root": {"path": "rootfs"}, "process": process, "mounts": []}
        (self.directory / "config.json").write_text(json.dumps(config))
        pid_file = self.directory / "pid"
        with (self.directory / "out").open("w") as out:
            subprocess.run(
                [
                    *(RUNTIME, "--root", self.root, "create", "--bundle", self.directory, "--pid-file", pid_file),
                    *(*options, "c"),
                ],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=True, env={**os.environ, **(env or {})},
            )  # fmt: skip
        self.pid = int(pid_file.read_text())
        return self.pid

    def state(self) -> str:
        return str(json.loads(self.call("state", "c").stdout)["status"])

    def wait(self) -> None:
        """Wait for the first process, which is not our child."""
        with contextlib.suppress(ProcessLookupError):
            descriptor = os.pidfd_open(self.pid)
            assert select.select([descriptor], [], [], 20)[0]
            os.close(descriptor)

    @property
    def out(self) -> str:
        return (self.directory / "out").read_text()

    def until(self, word: str) -> None:
        """Wait for a word in the outputs."""
        outer.run("timeout", "20", "sh", "-c", f'until grep -q {word} "$0"; do :; done', str(self.directory / "out"))


@pytest.fixture
def bundle(tmp_path: Path) -> Iterator[Bundle]:
    host.ensure("busybox")
    made = Bundle(tmp_path)
    yield made
    made.call("delete", "--force", "c", check=False)
    assert filesystem.processes_in(made.rootfs) == []


def test_a_life(bundle: Bundle) -> None:
    """Created, running, stopped, gone; nothing laid into the root file system stays."""
    bundle.create("cat; echo eof; busybox sleep 20")
    assert bundle.state() == "created"
    assert bundle.out == ""
    assert (bundle.rootfs / "dev/null").is_char_device()
    bundle.call("start", "c")
    bundle.until("eof")
    assert bundle.state() == "running"
    assert bundle.call("delete", "c", check=False).stderr == "podman-agent-chroot: container c is not stopped\n"
    bundle.call("kill", "c", "KILL")
    bundle.wait()
    assert bundle.state() == "stopped"
    bundle.call("delete", "c")
    assert list((bundle.rootfs / "dev").iterdir()) == []
    assert bundle.call("state", "c", check=False).returncode == 1


def test_signals_reach_the_first_process_or_all(bundle: Bundle) -> None:
    """`kill` and `kill --all`, with a handler of the program's own."""
    bundle.create("busybox sleep 4713 & trap 'echo terminated; exit 3' TERM; echo ready; wait")
    bundle.call("start", "c")
    bundle.until("ready")
    bundle.call("kill", "c", "SIGTERM")
    bundle.wait()
    assert bundle.out.splitlines() == ["ready", "terminated"]
    assert len(filesystem.processes_in(bundle.rootfs)) == 1
    bundle.call("kill", "--all", "c", "9")
    assert bundle.call("kill", "c", "TERM", check=False).stderr == "podman-agent-chroot: container c is not running\n"


@pytest.mark.parametrize(("script", "code"), [("exit 37", 37), ("kill -9 $$", 137), ("exec /no-such", 127)])
def test_exec_gives_the_exit_code(bundle: Bundle, script: str, code: int) -> None:
    """Of one more process in a container, 128 and the number of a signal that ended it."""
    bundle.create("busybox sleep 20")
    bundle.call("start", "c")
    process = bundle.directory / "process.json"
    process.write_text(json.dumps({"args": ["/bin/sh", "-c", script], "cwd": "/", "env": []}))
    done = bundle.call("exec", "--process", str(process), "c", check=False)
    assert done.returncode == code


def test_a_terminal_is_handed_over_the_console_socket(bundle: Bundle) -> None:
    """As engines ask for with `-t`."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(bundle.directory / "s"))
        listener.listen(1)
        bundle.create("test -t 0 && echo terminal", "--console-socket", str(bundle.directory / "s"), terminal=True)
        connection, _ = listener.accept()
        _, ancillary, _, _ = connection.recvmsg(64, socket.CMSG_SPACE(array.array("i", [0]).itemsize))
        connection.close()
    master = array.array("i", ancillary[0][2])[0]
    bundle.call("start", "c")
    assert os.read(master, 100) == b"terminal\r\n"
    os.close(master)
    bundle.wait()


def test_a_supervisor_ends_its_own_steps_only(bundle: Bundle) -> None:
    """Those that its podman left behind."""
    bundle.create("busybox sleep 4714 & busybox sleep 4715", env={runtime.SUPERVISOR: "1:2"})
    bundle.call("start", "c")
    runtime.end_steps("1:3", bundle.root)
    assert bundle.state() == "running"
    runtime.end_steps("1:2", bundle.root)
    bundle.wait()
    assert filesystem.processes_in(bundle.rootfs) == []
    assert bundle.call("state", "c", check=False).returncode == 1
