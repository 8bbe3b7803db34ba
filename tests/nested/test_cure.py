"""The line that the shim adds when the real podman fails on something of the pod's, seen in real pods."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import outer
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.nested

CONTEXT = "mkdir -p /tmp/c; printf 'FROM busybox\\nRUN echo hi >/x\\n' > /tmp/c/Dockerfile; cd /tmp/c; "


@pytest.fixture
def unprivileged(agent_image: str, mirror: outer.Registry, volume: Path) -> Iterator[outer.Pod]:
    """The unprivileged template on this test's volume."""
    assert agent_image
    path = outer.ROOT / "jenkins/pods/unprivileged.yaml"
    env = {"PODMAN_AGENT_MIRRORS": f"docker.io={mirror.address}"}
    with outer.Pod(path, host_path=volume, env=env) as agent:
        yield agent


def test_a_failure_of_the_pods_is_named_in_one_line_in_each_way_of_logging(unprivileged: outer.Pod) -> None:
    """Separate pipes, one pipe, a log file; the exit code is podman's."""
    failing = CONTEXT + "docker build --network=none ."
    apart = unprivileged.sh(failing, check=False, shell="sh -e")
    merged = unprivileged.sh(failing, check=False, shell="sh -e", merge=True)
    log = unprivileged.sh(f"({failing}) >/tmp/log 2>&1 || echo $?; cat /tmp/log", shell="sh -e")
    assert apart.returncode == merged.returncode == 125
    assert log.stdout.startswith("125\n")
    assert "podman-agent" not in apart.stdout
    for said in (apart.stderr, merged.stdout, log.stdout):
        *_, verdict, last = said.splitlines()
        assert verdict.startswith("Error: ")
        assert re.match(r"podman-agent: build steps only chroot here .*; drop --network.*https://\S+\)$", last)


WORDS = "Error: layer not known", "Error: /x: no space left on device", "Error: received unexpected HTTP status: 502"
FAILS = "(" + "; ".join(f"echo {word}" for word in WORDS) + ") >&2; exit 3"


def not_explained(agent: outer.Pod, command: str) -> None:
    """As pipes and as a log file."""
    for script in (command, f"({command}) >/tmp/log 2>&1; code=$?; cat /tmp/log >&2; exit $code"):
        done = agent.sh(script, check=False, shell="sh")
        assert done.returncode == 3
        assert all(word in done.stderr.splitlines() for word in WORDS)
        assert "podman-agent:" not in done.stderr


def test_what_fails_by_itself_is_not_explained(unprivileged: outer.Pod) -> None:
    """A build step, or a container, though it prints podman's words for a broken store and a full disk."""
    not_explained(unprivileged, f"printf 'FROM busybox\\nRUN {FAILS}\\n' | docker build -f - /tmp")
    not_explained(unprivileged, f"docker run --rm busybox sh -c '{FAILS}'")


def test_a_step_that_the_runtime_does_not_start_is_explained(pod: Callable[..., outer.Pod]) -> None:
    """Though podman's verdict is the one on a step that fails by itself."""
    step = "RUN <<END\\necho one\\necho two\\nEND\\n"
    with pod() as agent:
        not_explained(agent, f"printf 'FROM busybox\\nRUN {FAILS}\\n' | docker build -f - /tmp")
        build = f"printf 'FROM busybox\\n{step}' | docker build --ulimit nofile=99999999:99999999 -f - /tmp"
        done = agent.sh(build, check=False, shell="sh")
    *_, verdict, last = done.stderr.splitlines()
    assert verdict == 'Error: building at STEP "RUN <<END": while running runtime: exit status 1'
    assert last.startswith("podman-agent: limits above the pod's hard limits are asked for, by --ulimit")


def test_a_detached_container_does_not_hold_the_shim(unprivileged: outer.Pod) -> None:
    """`docker run` is watched here, and conmon stays behind."""
    script = "docker pull -q busybox >&2; "
    script += "id=$(docker run -d busybox sleep 300); docker exec $id echo inside; docker rm -f $id >/dev/null"
    assert unprivileged.sh(script, shell="sh -e").stdout == "inside\n"


def test_run_needs_no_watching_in_a_privileged_pod(pod: Callable[..., outer.Pod]) -> None:
    """Build is watched, run is podman itself: its parent is the shell."""
    with pod() as agent:
        agent.sh("docker pull -q busybox")
        watched = agent.sh("docker build -q - < /dev/null 2>&1 | cat; podman-agent plan | grep -A1 ^watched").stdout
        script = "docker run --rm --name held -i busybox cat < /tmp/gate & echo $! >/tmp/pid; exec 3>/tmp/gate; "
        script += "until docker top held >/dev/null 2>&1; do :; done; cat /proc/$(cat /tmp/pid)/comm; exec 3>&-; wait"
        assert agent.sh(f"mkfifo /tmp/gate; {script}", shell="bash -e").stdout == "podman\n"
    assert "build buildx" in watched


ABORT = """mkdir -p /tmp/gate; mkfifo /tmp/gate/fifo
printf 'FROM busybox\\nRUN echo at work >/gate/fifo; sleep 543 & sleep 543\\n' >/tmp/gate/Dockerfile
docker build -v /tmp/gate:/gate /tmp/gate >/tmp/log 2>&1 & build=$!
read at </tmp/gate/fifo; kill -TERM $build; wait $build || echo ended $?
pgrep -x sleep -a | grep 543 || echo no step is left
podman ps --all --external --quiet"""


def test_an_aborted_build_takes_its_steps_along_without_privilege(unprivileged: outer.Pod) -> None:
    """Docker's client ends them; podman alone leaves them."""
    assert unprivileged.sh(ABORT, shell="bash -e").stdout == "ended 1\nno step is left\n"  # podman's own code


def test_an_aborted_build_takes_its_steps_along(pod: Callable[..., outer.Pod]) -> None:
    """Here a step is a container."""
    with pod() as agent:
        assert agent.sh(ABORT, shell="bash -e").stdout == "ended 1\nno step is left\n"  # podman's own code
