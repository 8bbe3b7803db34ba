"""Docker verbs that need several podman calls: the real translator in front of a fake podman."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from shim.conftest import Shim


def test_a_failing_build_is_not_pushed_and_its_code_is_kept(shim: Shim) -> None:
    """`build --push` is two podman calls."""
    done = shim.call("build", "--push", "-t", "r.example/a", ".", FAKE_RC="17", name="docker")
    assert done.returncode == 17
    assert shim.argv[2] == b"build"


def test_a_build_that_works_is_pushed(shim: Shim) -> None:
    """The last call is the push, with the two flags in front."""
    assert shim.call("buildx", "build", "--push", "-t", "r.example/a", ".", name="docker").returncode == 0
    assert shim.argv[:3] == [b"--cgroup-manager=cgroupfs", b"--events-backend=file", b"push"]
    assert shim.argv[-1] == b"r.example/a"


@pytest.mark.usefixtures("default_signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 42), (signal.SIGINT, 43)])
def test_a_signal_reaches_the_podman_that_builds(shim: Shim, number: signal.Signals, code: int) -> None:
    """Jenkins ends a step by signals; podman has to clean up, and its code is ours."""
    args = ["docker", "build", "--push", "-t", "r.example/a", "."]
    process = subprocess.Popen(args, env={**shim.env, "FAKE_SLEEP": "1"}, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(number)
    assert process.wait(60) == code
    assert shim.argv[2] == b"build"


def test_nothing_of_ours_is_on_stdout(shim: Shim) -> None:
    """Notes go to stderr."""
    done = shim.call("build", "--cache-to", "type=gha", "-t", "a", ".", name="docker")
    assert done.stdout == b""
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("verb", ["swarm", "service", "stack", "node", "plugin", "trust", "scout"])
def test_what_cannot_be_is_refused_in_one_line(shim: Shim, verb: str) -> None:
    """It names the verb and exits with docker's own code for its own errors."""
    done = shim.call(verb, "ls", name="docker")
    assert done.returncode == 125
    assert done.stdout == b""
    assert done.stderr.count(b"\n") == 1
    assert f"'{verb}'".encode() in done.stderr


def test_another_engine_is_refused(shim: Shim) -> None:
    """A DOCKER_HOST left over from docker-in-docker must not be ignored in silence."""
    done = shim.call("ps", DOCKER_HOST="tcp://docker:2375", name="docker")
    assert done.returncode == 125
    assert b"CONTAINER_HOST" in done.stderr


def test_docker_compose_is_docker_compose(shim: Shim) -> None:
    """The older command goes the same way, to the compose that is named."""
    provider = shim.directory / "podman-compose"
    provider.write_text('#!/bin/sh\necho "$@"\nexit 6\n')
    provider.chmod(0o755)
    done = shim.call("ps", "-q", name="docker-compose", PODMAN_COMPOSE_PROVIDER=str(provider))
    assert (done.returncode, done.stdout) == (6, b"ps -q\n")
