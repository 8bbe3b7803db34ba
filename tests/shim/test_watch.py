"""The parent that some verbs have: one line more when podman fails on the pod, otherwise as if it were not there."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from podman_agent import planfile
from shim.conftest import ROOT

if TYPE_CHECKING:
    from shim.conftest import Shim

POD_PROBLEM = "Error: creating build container: layer not known"
CURE = b"podman-agent: an image was removed while a build used it"


def start(shim: Shim, *args: str, script: str = "", **streams: object) -> subprocess.Popen[bytes]:
    """Start a shim in front of a fake podman that runs this shell script."""
    env = {**shim.env, "FAKE_SH": script} if script else shim.env
    defaults = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    name = str(streams.pop("name", "docker"))
    entry = os.path.dirname(env["PATH"].split(":")[0]) + f"/entrypoint/{name}"  # noqa: PTH120
    return subprocess.Popen([entry, *args], env=env, **{**defaults, **streams})  # type: ignore[call-overload,no-any-return]


def fail(text: str = POD_PROBLEM, code: int = 125) -> str:
    """A podman that says this and fails."""
    return f"echo out; echo 'STEP 1/1' >&2; echo '{text}' >&2; exit {code}"


@pytest.mark.parametrize("verb", ["build", "pull", "push", "load"])
def test_a_known_failure_gets_one_line_more(shim: Shim, verb: str) -> None:
    """After podman's own words, with podman's exit code, and nothing on stdout."""
    out, err = (process := start(shim, verb, "x", script=fail(), name="podman")).communicate(timeout=60)
    assert process.returncode == 125
    assert out == b"out\n"
    *before, last = err.splitlines()
    assert before == [b"STEP 1/1", POD_PROBLEM.encode()]
    assert last.startswith(CURE)


@pytest.mark.parametrize(
    "script",
    [
        fail('make: *** [all] Error 2\nError: building at STEP "RUN make": while running runtime: exit status 2', 2),
        fail(code=0),
        fail("Error: no such image"),
    ],
)
def test_nothing_is_added_otherwise(shim: Shim, script: str) -> None:
    """To the user's own errors, and to what went well after all."""
    _, err = start(shim, "build", ".", script=script).communicate(timeout=60)
    assert b"podman-agent" not in err


@pytest.mark.parametrize("mode", ["wb", "ab"])
def test_a_log_file_is_podmans_own_stderr(shim: Shim, tmp_path: Path, mode: str) -> None:
    """As Jenkins' sh step has it: both streams in one file, nothing between podman and it."""
    log = tmp_path / "jenkins-log.txt"
    log.write_bytes(b"+ docker build .\n" if mode == "ab" else b"")
    with log.open(mode) as file:
        script = "stat -Lc %i /proc/self/fd/2 >&2; " + fail()
        process = start(shim, "build", ".", script=script, stdout=file, stderr=file)
    assert process.wait(60) == 125
    lines = log.read_bytes().splitlines()[mode == "ab" :]
    assert lines[:-1] == [str(log.stat().st_ino).encode(), b"out", b"STEP 1/1", POD_PROBLEM.encode()]
    assert lines[-1].startswith(CURE)


def test_a_containers_own_error_is_not_explained(shim: Shim) -> None:
    """`docker run`, watched in a pod without privilege, ends as its program did, or fails itself with 125."""
    shim.call("version")
    watched = shim.hot.read_bytes().replace(b"\0buildx\0", b"\0run\0")
    for code in (1, 125):
        shim.hot.write_bytes(watched)
        _, err = start(shim, "run", "x", script=fail(code=code)).communicate(timeout=60)
        assert (CURE in err) == (code == 125)


ORPHANS = """import os, podman_agent.hot.watch as watch
def no_list_of_children(path, *_):
    raise FileNotFoundError(path)
watch.open = no_list_of_children
watch.split("build")
os.execv("/bin/sh", ["sh", "-c", "trap 'exit 42' TERM; echo ready; while :; do sleep 0.05; done"])"""


def test_a_kernel_that_lists_no_children_costs_no_exit_code() -> None:
    """CONFIG_PROC_CHILDREN is an option of the kernel's (proc_pid_children(5))."""
    env = {"PYTHONPATH": str(ROOT / "pylib")}
    process = subprocess.Popen([sys.executable, "-c", ORPHANS], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout
    assert process.stdout.readline() == b"ready\n"
    process.terminate()
    assert process.communicate(timeout=60)[1] == b""
    assert process.returncode == 42


def test_an_older_failure_in_the_same_log_is_not_explained_again(shim: Shim, tmp_path: Path) -> None:
    """Only what this call said counts."""
    log = tmp_path / "log"
    log.write_text(POD_PROBLEM + "\n")
    with log.open("ab") as file:
        start(shim, "build", ".", script="exit 1", stdout=file, stderr=file).wait(60)
    assert log.read_text() == POD_PROBLEM + "\n"


def test_streams_that_share_a_pipe_keep_their_order(shim: Shim) -> None:
    """2>&1 in a pipe."""
    script = "for i in $(seq 200); do echo out $i; echo err $i >&2; done; " + fail()
    out, _ = start(shim, "build", ".", script=script, stderr=subprocess.STDOUT).communicate(timeout=60)
    lines = out.splitlines()
    assert lines[:400] == [f"{word} {i}".encode() for i in range(1, 201) for word in ("out", "err")]
    assert lines[-1].startswith(CURE)


def test_every_byte_of_stderr_passes(shim: Shim) -> None:
    """Megabytes of anything, and no more."""
    script = "head -c 5000000 /dev/zero | tr '\\0' '\\377' >&2; exit 3"
    _, err = (process := start(shim, "build", ".", script=script)).communicate(timeout=60)
    assert (process.returncode, err) == (3, b"\xff" * 5000000)


def test_stdin_is_podmans(shim: Shim) -> None:
    """Docker load reads it."""
    process = start(shim, "load", script="cat", stdin=subprocess.PIPE, name="podman")
    assert process.communicate(b"\0archive", timeout=60)[0] == b"\0archive"


@pytest.mark.usefixtures("default_signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_signals_reach_podman(shim: Shim, number: signal.Signals) -> None:
    """And its own exit code comes back."""
    process = start(
        shim, "build", ".", script=f"trap 'exit 42' {number.name[3:]}; echo ready; while :; do sleep 0.05; done"
    )
    assert process.stdout
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(number)
    assert process.wait(60) == 42


def test_a_podman_that_a_signal_ended_is_seen_so(shim: Shim) -> None:
    """Whoever waits for the shim sees the same signal."""
    assert start(shim, "build", ".", script="kill -TERM $$").wait(60) == -signal.SIGTERM
    assert start(shim, "build", ".", script="kill -KILL $$").wait(60) == -signal.SIGKILL


def test_a_reader_that_goes_away_ends_podman(shim: Shim) -> None:
    """``docker build . 2>&1 | head -1`` ends as it does without a parent."""
    process = start(shim, "build", ".", script="while echo more >&2; do :; done; exit 9")
    assert process.stderr
    process.stderr.readline()
    process.stderr.close()
    assert process.wait(60) == 9


def test_what_podman_leaves_behind_is_still_heard(shim: Shim) -> None:
    """A process that keeps the streams: podman's exit is not delayed, its words are not lost."""
    script = "(read go < {0}; echo late >&2) & exit 3"
    gate = shim.directory / "gate"
    os.mkfifo(gate)
    process = start(shim, "build", ".", script=script.format(gate))
    assert process.wait(60) == 3
    gate.write_text("go\n")
    assert process.stderr
    assert process.stderr.read() == b"late\n"


def test_ignored_signals_stay_ignored(shim: Shim) -> None:
    """Nohup; and a caller that ignores SIGCHLD still gets the exit code."""
    for number in (signal.SIGHUP, signal.SIGCHLD):
        script = f"kill -{number.name[3:]} $$; sleep 0; exit 7"
        process = start(shim, "build", ".", script=script, preexec_fn=lambda n=number: signal.signal(n, signal.SIG_IGN))
        assert process.wait(60) == 7


def test_a_terminal_is_podmans_alone(shim: Shim) -> None:
    """There the shim execs: job control, window size and progress bars are podman's."""
    main, side = pty.openpty()
    process = start(shim, "build", ".", stdin=side, stdout=side, stderr=side)
    os.close(side)
    assert process.wait(60) == 0
    os.close(main)
    assert shim.seen["pid"] == process.pid


@pytest.mark.parametrize("args", [("run", "x"), ("exec", "c", "true"), ("version",), ("ps",)])
def test_what_must_be_quick_is_not_watched_in_a_privileged_pod(shim: Shim, args: tuple[str, ...]) -> None:
    """The process that was started is podman itself."""
    process = start(shim, *args, name="podman")
    process.communicate(timeout=60)
    assert shim.seen["pid"] == process.pid


def test_the_steps_of_an_interrupted_build_end_with_it(shim: Shim) -> None:
    """Docker ends them; podman leaves them running, here as grandchildren in a session of their own."""
    step = "setsid sh -c 'echo $$; exec sleep 600' & sleep 600"
    process = start(shim, "build", ".", script=step)
    assert process.stdout
    orphan = int(process.stdout.readline())
    watched = os.pidfd_open(orphan)
    process.terminate()
    assert process.wait(60) == -signal.SIGTERM
    assert select.select([watched], [], [], 30)[0], "the step still runs"
    os.close(watched)


def test_what_a_build_leaves_of_its_own_will_stays(shim: Shim) -> None:
    """Only an interrupted one is cleared away."""
    process = start(shim, "build", ".", script="setsid sh -c 'echo $$; exec sleep 600' & read never; exit 1")
    assert process.stdout
    left = int(process.stdout.readline())
    assert process.wait(60) == 1
    os.kill(left, signal.SIGKILL)


BROKE_OFF = "Error: writing blob: uploading layer chunked: received unexpected HTTP status: 500 Internal Server Error"
DENIED = "Error: writing blob: initiating layer upload to /v2/x in r: denied: requested access is denied"
PODMANS_OWN = 'time="x" level=warning msg="Failed, retrying in 1s ... (3/3). Error: x"'


def failing(times: int, said: str, tmp_path: Path) -> str:
    """A podman that says this and fails so often, then works; it counts its calls in a file."""
    calls = tmp_path / "attempts"
    return (
        f"echo >> {calls}; [ $(wc -l < {calls}) -gt {times} ] && echo done && exit; "
        f"while read -r line; do echo \"$line\" >&2; done <<'END'\n{said}\nEND\nexit 125"
    )


@pytest.mark.parametrize("verb", ["pull", "push"])
@pytest.mark.parametrize("to_file", [True, False])
def test_what_passes_by_itself_is_tried_again_as_dockerd_does(
    shim: Shim, tmp_path: Path, verb: str, to_file: bool
) -> None:
    """Once a failure, in one line of the log."""
    process, err = run_with_retries(shim, tmp_path, verb, failing(2, BROKE_OFF, tmp_path), to_file=to_file)
    assert (process.returncode, process.stdout) == (0, b"done\n")
    assert [line for line in err.splitlines() if line.startswith("podman-agent:")] == [
        f"podman-agent: {verb}: attempt {n} of 3 failed: 500 Internal Server Error; next in 0.0 s" for n in (1, 2)
    ]


def run_with_retries(
    shim: Shim, tmp_path: Path, verb: str, script: str, *, to_file: bool = False, name: str = "podman"
) -> tuple[subprocess.CompletedProcess[bytes], str]:
    env = {**shim.env, "FAKE_SH": script, "PODMAN_AGENT_RETRY_MAX_WAIT": "0", "PODMAN_AGENT_RETRY_ATTEMPTS": "3"}
    log = tmp_path / "log"
    with log.open("wb") as file:
        done = subprocess.run(
            [str(ROOT / "entrypoint" / name), verb, "x"], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=file if to_file else subprocess.PIPE, timeout=60, check=False,
        )  # fmt: skip
    return done, log.read_text() if to_file else done.stderr.decode()


@pytest.mark.parametrize(
    ("verb", "said", "expected"),
    [
        ("push", BROKE_OFF, (3, "has a fault of its own")),
        ("push", DENIED, (1, "the rights of this login")),
        ("pull", f"{PODMANS_OWN}\n{BROKE_OFF}", (1, "has a fault of its own")),
        ("build", BROKE_OFF, (1, "has a fault of its own")),
    ],
)
def test_what_does_not_pass_or_was_tried_enough_is_podmans_failure(
    shim: Shim, tmp_path: Path, verb: str, said: str, expected: tuple[int, str]
) -> None:
    """Podman's own retries are not multiplied, and no build is repeated."""
    done, err = run_with_retries(shim, tmp_path, verb, failing(99, said, tmp_path))
    assert (done.returncode, done.stdout) == (125, b"")
    assert len((tmp_path / "attempts").read_text().splitlines()) == expected[0]
    assert expected[1] in err.splitlines()[-1]


@pytest.mark.parametrize("verb", ["pull", "push"])
def test_docker_says_once_what_it_is_about_to_do(shim: Shim, tmp_path: Path, verb: str) -> None:
    """However often it tries."""
    done, _ = run_with_retries(shim, tmp_path, verb, failing(99, BROKE_OFF, tmp_path), name="docker")
    assert done.stdout.count(b"Using default tag: latest\n") == 1
    assert done.returncode == 125


def test_a_signal_ends_the_wait_for_another_attempt(shim: Shim, tmp_path: Path) -> None:
    """Jenkins' abort does not wait for a registry."""
    shim.call("version")
    env = {**shim.env, "FAKE_SH": failing(10**6, BROKE_OFF, tmp_path), "PODMAN_AGENT_RETRY_ATTEMPTS": "1000000"}
    argv = [str(ROOT / "entrypoint/docker"), "pull", "x"]
    process = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stderr
    while b"attempt 3 of" not in process.stderr.readline():
        assert process.poll() is None
    process.terminate()
    assert process.wait(60) == -signal.SIGTERM


@pytest.mark.parametrize("stamp", [planfile.stamp(), "another start"])
def test_what_ends_with_its_pod_says_so(shim: Shim, stamp: str) -> None:
    """Where `drain` has written down that this container start is being ended; not for a record of an earlier one."""
    start(shim, "build", ".", script="exit 0").communicate(timeout=60)
    (Path(shim.env["PODMAN_AGENT_STATE_DIR"]) / planfile.ENDING).write_text(stamp)
    _, err = (process := start(shim, "build", ".", script="kill -TERM $$")).communicate(timeout=60)
    assert process.returncode == -signal.SIGTERM
    assert (b"podman-agent: this pod is being deleted" in err) == (stamp == planfile.stamp())
