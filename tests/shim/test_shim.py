"""The real shim in front of a fake podman: arguments, streams, signals, exit codes, plans."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from podman_agent import planfile

if TYPE_CHECKING:
    from shim.conftest import Shim

FLAGS = [b"--cgroup-manager=cgroupfs", b"--events-backend=file"]


@pytest.mark.parametrize("name", ["docker", "podman"])
def test_the_two_flags_stand_right_after_the_program(shim: Shim, name: str) -> None:
    """Before the subcommand: exec and run stop reading flags at their first positional."""
    assert shim.call("run", "--rm", "busybox", "ls", "-l", name=name).returncode == 0
    assert shim.argv == [*FLAGS, b"run", b"--rm", b"busybox", b"ls", b"-l"]


@pytest.mark.parametrize("name", ["docker", "podman"])
@pytest.mark.parametrize(
    "odd",
    [b"", b" ", b"a b", b"a\nb", b"\xff\xfe", "ü".encode(), b"--", b"-", b"$(x)", b"'\"", b"\\"],
)
def test_arguments_pass_byte_for_byte(shim: Shim, name: str, odd: bytes) -> None:
    """Empty, with spaces, newlines, bytes that are no UTF-8."""
    shim.call("run", "x", odd, b"end", name=name)
    assert shim.argv[2:] == [b"run", b"x", odd, b"end"]


@pytest.mark.parametrize("locale", [{}, {"LC_ALL": "C"}, {"LANG": "C.UTF-8"}, {"LC_ALL": "en_US.ISO-8859-1"}])
def test_arguments_pass_in_every_locale(shim: Shim, locale: dict[str, str]) -> None:
    """The bytes are the caller's, whatever the interpreter would decode them as."""
    shim.call("run", b"\xe4\xc3\xa4", env=locale)
    assert shim.argv[-1] == b"\xe4\xc3\xa4"


def test_the_callers_environment_is_not_changed_by_the_interpreter(shim: Shim) -> None:
    """Python sets LC_CTYPE for its children in the C locale (PEP 538)."""
    shim.call("ps")
    assert "LC_CTYPE" not in shim.environment
    shim.call("ps", LC_CTYPE="C.UTF-8")
    assert shim.environment["LC_CTYPE"] == "C.UTF-8"


def test_stdin_and_stdout_pass_byte_for_byte(shim: Shim) -> None:
    """And nothing of ours is on stdout, on the first call neither."""
    data = bytes(range(256)) * 1000
    done = shim.call("load", stdin=data, FAKE_ECHO="1")
    assert (done.stdout, done.stderr) == (data, b"")
    assert shim.call("load", stdin=data, FAKE_ECHO="1").stdout == data


def test_a_terminal_stays_a_terminal(shim: Shim) -> None:
    """`docker run -it` needs it."""
    shim.call("ps")
    main, sub = pty.openpty()
    subprocess.run(
        [shim.env["PATH"].split(":")[0] + "/podman", "ps"],
        env={**shim.env, "FAKE_TTY": "1"},
        stdin=sub,
        stdout=sub,
        check=True,
    )
    assert os.read(main, 100).split() == [b"True", b"True"]
    os.close(main)
    os.close(sub)


@pytest.mark.parametrize("code", [0, 1, 2, 42, 125, 126, 127, 255])
def test_the_exit_code_is_podmans(shim: Shim, code: int) -> None:
    """Scripts rely on 125, 126 and 127."""
    assert shim.call("run", "x", FAKE_RC=str(code)).returncode == code


@pytest.mark.usefixtures("default_signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 42), (signal.SIGINT, 43), (signal.SIGKILL, -9)])
@pytest.mark.parametrize("warm", [True, False])
def test_signals_reach_podman_itself(shim: Shim, number: signal.Signals, code: int, *, warm: bool) -> None:
    """Exec, not a child: the pid that was started is podman."""
    if warm:
        shim.call("ps")
    process = subprocess.Popen(
        [shim.env["PATH"].split(":")[0] + "/docker", "run", "x"],
        env={**shim.env, "FAKE_SLEEP": "1"},
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == b"ready\n"
        assert shim.seen["pid"] == process.pid
        process.send_signal(number)
        assert process.wait(60) == code


def test_podmans_pause_process_gets_no_plan_and_so_no_store(shim: Shim) -> None:
    assert shim.call(_PODMAN_PAUSE="1").returncode == 0
    assert shim.argv == []
    assert not shim.hot.exists()


@pytest.mark.parametrize(
    "args",
    [
        ("--remote", "ps"),
        ("--url", "unix:///x", "ps"),
        ("--url=unix:///x", "ps"),
        ("-c", "conn", "ps"),
        ("-cconn", "ps"),
        ("--connection=conn", "ps"),
        ("-r", "ps"),
        ("-H", "tcp://x", "ps"),
        ("--host", "tcp://x", "ps"),
        ("--context", "far", "ps"),
        ("--log-level", "debug", "--remote", "ps"),
    ],
)
def test_nothing_is_injected_in_remote_mode(shim: Shim, args: tuple[str, ...]) -> None:
    """`unknown flag: --cgroup-manager` (rc 125) is what podman says otherwise."""
    shim.call(*args)
    assert shim.argv == [a.encode() for a in args]


@pytest.mark.parametrize("name", ["CONTAINER_HOST", "CONTAINER_CONNECTION"])
def test_nothing_is_injected_with_a_remote_environment(shim: Shim, name: str) -> None:
    """The variables podman itself goes by."""
    shim.call("ps", env={name: "unix:///x"})
    assert shim.argv == [b"ps"]


def test_a_remote_looking_argument_of_the_container_is_not_ours(shim: Shim) -> None:
    """Only global flags count: `run x -c true` runs a shell."""
    shim.call("run", "x", "sh", "-c", "--remote")
    assert shim.argv[:2] == FLAGS


def test_a_flag_the_user_gave_comes_after_ours_and_wins(shim: Shim) -> None:
    """Podman takes the last of a repeated flag."""
    shim.call("--events-backend=none", "ps")
    assert shim.argv == [*FLAGS, b"--events-backend=none", b"ps"]


@pytest.mark.parametrize(
    ("name", "args", "told"),
    [
        ("docker", ("exec", "x", "true"), True),
        ("docker", ("container", "exec", "x", "true"), True),
        ("podman", ("--log-level", "debug", "exec", "x", "true"), True),
        ("docker", ("run", "exec"), False),
        ("podman", ("container", "run", "exec"), False),
        ("podman", ("--url", "unix:///x", "exec", "x", "true"), False),
    ],
)
def test_only_a_command_executed_here_gets_another_conmon(
    shim: Shim, monkeypatch: pytest.MonkeyPatch, name: str, args: tuple[str, ...], *, told: bool
) -> None:
    """Containers start with podman's own."""
    shim.call("ps")
    data = shim.hot.read_bytes()
    monkeypatch.setattr(planfile, "overrides", data.split(b"\0")[2].decode)
    hot = planfile.decode(data)
    assert hot is not None
    hot.exec_monitor = "/mine"
    shim.hot.write_bytes(planfile.encode(hot))
    shim.call(*args, name=name)
    assert (b"--conmon=/mine" in shim.argv) == told
    assert shim.argv[-len(args) :] == [arg.encode() for arg in args]


def test_a_variable_the_user_set_is_kept(shim: Shim) -> None:
    """BUILDAH_FORMAT=oci in a Jenkinsfile is a decision."""
    shim.call("build", ".", BUILDAH_FORMAT="oci")
    assert shim.environment["BUILDAH_FORMAT"] == "oci"
    shim.call("build", ".")
    assert shim.environment["BUILDAH_FORMAT"] == "docker"


def test_a_warm_call_probes_nothing(shim: Shim) -> None:
    """The engine's version is asked once, when the plan is made."""
    for _ in range(3):
        shim.call("ps")
    assert (shim.directory / "calls").read_text() == "version\n"


def test_eight_first_calls_make_one_plan_and_all_succeed(shim: Shim) -> None:
    """Parallel stages start together."""
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda _: shim.call("ps").returncode, range(8)))
    assert codes == [0] * 8
    assert (shim.directory / "calls").read_text() == "version\n"


@pytest.mark.parametrize(
    "content",
    [b"", b"garbage", b"\0\0\0", b"podman-agent 6", b"podman-agent 6\0x\0y\0999999\0end", os.urandom(4096)],
)
def test_a_broken_plan_file_is_remade(shim: Shim, content: bytes) -> None:
    """Whatever is in it."""
    shim.call("ps")
    good = shim.hot.read_bytes()
    shim.hot.write_bytes(content)
    assert shim.call("ps").returncode == 0
    assert shim.hot.read_bytes() == good


def test_a_torn_plan_file_is_never_half_believed(shim: Shim) -> None:
    """Every prefix of a good file leads to the same call as the whole."""
    shim.call("ps")
    good = shim.hot.read_bytes()
    for length in range(0, len(good), 97):
        shim.hot.write_bytes(good[:length])
        assert shim.call("ps").returncode == 0
        assert shim.argv == [*FLAGS, b"ps"]


def test_the_plan_of_another_container_start_is_remade(shim: Shim) -> None:
    """The file may outlive the container on a mounted /run."""
    shim.call("ps")
    good = shim.hot.read_bytes()
    other = re.sub(rb"(podman-agent \d+\0[0-9a-f-]+ )\d+", rb"\g<1>1", good)
    assert other != good
    shim.hot.write_bytes(other)
    shim.call("ps")
    assert shim.hot.read_bytes() == good


def test_other_overrides_make_another_plan(shim: Shim) -> None:
    """`withEnv` around a stage."""
    shim.call("build", ".")
    shim.call("build", ".", PODMAN_AGENT_ISOLATION="chroot")
    assert shim.environment["BUILDAH_ISOLATION"] == "chroot"
    shim.call("build", ".")
    assert shim.environment["BUILDAH_ISOLATION"] == "oci"


@pytest.mark.parametrize(
    ("env", "code", "text"),
    [
        ({"PODMAN_AGENT_RUNTIME": "kata"}, 78, "PODMAN_AGENT_RUNTIME=kata is not a value we know"),
        ({"PODMAN_AGENT_RUNTYME": "crun"}, 78, "unknown variable PODMAN_AGENT_RUNTYME"),
        ({"PODMAN_AGENT_GRAPHROOT": "/proc/nowhere"}, 73, "cannot write in the graphroot /proc/nowhere"),
        ({"PODMAN_AGENT_STATE_DIR": "/proc/nowhere"}, 73, "the plan has nowhere to be kept"),
    ],
)
def test_a_refusal_is_one_line_and_a_documented_code(shim: Shim, env: dict[str, str], code: int, text: str) -> None:
    """And podman is not started."""
    done = shim.call("ps", env=env)
    assert done.returncode == code
    assert done.stdout == b""
    assert done.stderr.decode().startswith("podman-agent: ")
    assert done.stderr.count(b"\n") == 1
    assert text in done.stderr.decode()
    assert not (shim.directory / "out").exists()


@pytest.mark.parametrize("args", [("--version",), ("login", "x"), ("logout", "x"), ("--help",)])
def test_what_needs_no_store_works_where_no_plan_can_be_made(shim: Shim, args: tuple[str, ...]) -> None:
    """docker-workflow asks for the version before anything else."""
    assert shim.call(*args, PODMAN_AGENT_GRAPHROOT="/proc/nowhere").returncode == 0


def test_a_refusal_leaves_nothing_half_written(shim: Shim) -> None:
    """The next call starts from nothing."""
    shim.call("ps", PODMAN_AGENT_RUNTIME="kata")
    assert [p.name for p in (shim.directory / "state").iterdir()] == ["lock"]


def test_a_plan_file_of_another_user_is_not_trusted(shim: Shim) -> None:
    """It would let that user choose the program root runs."""
    shim.call("ps")
    os.chown(shim.hot, 65534, 65534)
    shim.call("ps")
    assert shim.hot.stat().st_uid == 0


def test_the_hot_path_imports_nothing_but_itself(shim: Shim) -> None:
    """Every import there is a cost on every docker call."""
    shim.call("ps")
    done = subprocess.run(
        ["/usr/bin/python3", "-IS", "-X", "importtime", shim.env["PATH"].split(":")[0] + "/docker", "wait", "c"],
        env=shim.env,
        capture_output=True,
        text=True,
        check=True,
    )
    bare = subprocess.run(
        ["/usr/bin/python3", "-IS", "-X", "importtime", "-c", "pass"], capture_output=True, text=True, check=True
    )

    def names(text: str) -> set[str]:
        return {line.rpartition("|")[2].strip() for line in text.splitlines() if line.startswith("import time:")}

    ours = {f"podman_agent{name}" for name in ("", ".hot", ".hot.shim", ".planfile", ".docker", ".docker.direct")}
    assert names(done.stderr) - names(bare.stderr) == ours
