"""The entrypoint with a real JVM on a real jar, and with a command of one's own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
SECRET = "deadbeef" * 8


@pytest.fixture
def entry(tmp_path: Path, namespace: Any) -> Iterator[Any]:
    """Start the entrypoint as the first process of a PID namespace, with a podman that only notes how it is called.

    The namespace matters: at its end the entrypoint stops every engine and container it can see.
    """
    podman = tmp_path / "bin/podman"
    podman.parent.mkdir()
    podman.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/podman.log\n')
    podman.chmod(0o755)
    env = {
        **{name: os.environ[name] for name in ("JAVA_HOME",) if name in os.environ},
        "PATH": f"{podman.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "pylib"),
        "PODMAN_AGENT_STATE_DIR": str(tmp_path / "state"),
        "PODMAN_AGENT_VOLUME": str(tmp_path / "volume"),
        "HOME": str(tmp_path),
    }
    started = []

    def start(*arguments: str, **more: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*namespace, sys.executable, "-m", "podman_agent.agent.entry", *arguments],
            env=env | more, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def finished(process: subprocess.Popen[str]) -> tuple[int, list[str], str]:
    out, err = process.communicate(timeout=30)
    return process.returncode, out.splitlines(), err


def send(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """Signal the entrypoint itself, unshare's only child."""
    [child] = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(child), number)


def test_agent_starts_on_the_controllers_jar_with_its_secret_in_a_private_file(
    entry: Any, controller: Any, tmp_path: Path
) -> None:
    controller.faults = [503]
    code, out, err = finished(
        entry(
            JENKINS_URL=controller.url,
            JENKINS_SECRET=SECRET,
            JENKINS_AGENT_NAME="agent 1",
            JENKINS_AGENT_WORKDIR=str(tmp_path / "work"),
            REMOTING_OPTS="-noReconnectAfter 1d",
            JAVA_OPTS="-Dprobe='a b' -Dcode=7",
        )
    )
    assert code == 7
    secret_file = out[1].removeprefix("argument @")
    assert out == [
        *("argument -secret", f"argument @{secret_file}", f"secret {SECRET}", "mode rw-------"),
        *("argument -noReconnectAfter", "argument 1d", "argument -name", "argument agent 1"),
        *("argument -url", f"argument {controller.url}", "argument -workDir", f"argument {tmp_path / 'work'}"),
        *("JENKINS_SECRET null", "REMOTING_OPTS null", f"JENKINS_URL {controller.url}", "property a b"),
        out[-1],
    ]
    assert not Path(secret_file).exists()
    assert "503" in err
    assert SECRET not in err
    assert (tmp_path / "work/podman-agent/agent.jar").read_bytes() == controller.jar


def test_secret_is_in_no_argv_while_the_agent_runs(entry: Any, agent_jar: Any) -> None:
    process = entry(JENKINS_AGENT_FILE=str(agent_jar), JENKINS_SECRET=SECRET, JAVA_OPTS="-Dstay=true")
    for line in process.stdout:
        if line.startswith("java "):
            break
    seen = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            seen.append(path.read_bytes())
    assert any(b"-Dstay=true" in argv for argv in seen)
    assert not any(SECRET.encode() in argv for argv in seen)
    send(process, signal.SIGTERM)
    assert process.wait(30) == 143


def test_named_jar_is_used_and_no_controller_asked(entry: Any, agent_jar: Any, controller: Any) -> None:
    code, out, _ = finished(entry("-url", controller.url, JENKINS_AGENT_FILE=str(agent_jar)))
    assert (code, out[:2]) == (0, ["argument -url", f"argument {controller.url}"])
    assert controller.requests == []


def test_named_file_that_is_no_jar_is_exit_76(entry: Any, tmp_path: Path) -> None:
    (tmp_path / "agent.jar").write_text("no")
    code, out, err = finished(entry(JENKINS_AGENT_FILE=str(tmp_path / "agent.jar")))
    assert (code, out) == (76, [])
    assert "is not a jar" in err


def test_without_jar_and_controller_the_missing_variable_is_named(entry: Any) -> None:
    code, out, err = finished(entry(JENKINS_DIRECT_CONNECTION="jenkins:50000"))
    assert (code, out) == (78, [])
    assert "set JENKINS_URL or JENKINS_AGENT_FILE" in err


def test_missing_jar_on_the_controller_is_exit_69(entry: Any, controller: Any) -> None:
    code, out, err = finished(entry(JENKINS_URL=controller.url.replace("/jenkins/", "/other/")))
    assert (code, out) == (69, [])
    assert "404" in err


def test_setting_given_twice_warns_on_stderr(entry: Any, agent_jar: Any) -> None:
    _, _, err = finished(entry("-name", "a", JENKINS_AGENT_NAME="b", JENKINS_AGENT_FILE=str(agent_jar)))
    assert "warning: -name is set by the arguments and by JENKINS_AGENT_NAME" in err


@pytest.mark.parametrize(
    ("command", "code"), [("true", 0), ("false", 1), ("no-such-command", 127), ("/etc/passwd", 126)]
)
def test_one_plain_argument_runs_that_command_and_gives_its_code(entry: Any, command: str, code: int) -> None:
    assert finished(entry(command))[0] == code


def test_missing_java_is_one_line(entry: Any, agent_jar: Any) -> None:
    code, out, err = finished(
        entry("-url", "http://j/", JENKINS_AGENT_FILE=str(agent_jar), JENKINS_JAVA_BIN="/no/java")
    )
    assert (code, out) == (127, [])
    assert "cannot run /no/java" in err


@pytest.mark.usefixtures("default_signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_other_signals_reach_the_command(entry: Any, number: Any, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(
        f"#!/bin/sh\ntrap 'echo got {number.name}; exit 3' {number.name[3:]}\necho ready\nwhile :; do sleep 0.1; done\n"
    )
    script.chmod(0o755)
    process = entry(str(script))
    assert process.stdout.readline() == "ready\n"
    send(process, number)
    assert finished(process)[:2] == (3, [f"got {number.name}"])


def test_sigterm_ends_an_engine_of_a_build_before_the_command_itself(entry: Any, tmp_path: Path) -> None:
    """The engine is a stand-in: what counts here is who is told to end, and when."""
    engine = tmp_path / "bin/buildah"
    up = tmp_path / "up"
    engine.write_text(f"#!/bin/bash\n[ $# -eq 0 ] && {{ touch {up}; exec -a buildah sleep 60; }}\n")
    engine.chmod(0o755)
    script = tmp_path / "script"
    log = tmp_path / "log"
    script.write_text(
        f"#!/bin/bash\ntrap 'echo command >>{log}; exit 0' TERM\n"
        f"({engine}; echo engine $? >>{log}) &\n"
        f"until [ -e {up} ]; do sleep 0.02; done; sleep 0.1\necho ready\nwhile :; do sleep 0.05; done\n"
    )
    script.chmod(0o755)
    process = entry(str(script))
    assert process.stdout.readline() == "ready\n"
    send(process, signal.SIGTERM)
    assert process.wait(30) == 0
    assert log.read_text().splitlines() == ["engine 143", "command"]
    assert (tmp_path / "podman.log").read_text().splitlines()[-1] == "stop --all --time 5"
