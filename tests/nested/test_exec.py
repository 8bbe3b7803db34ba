"""`docker exec` through the script that stands in for conmon (entrypoint/podman-agent-conmon)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import outer
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.nested

# the directories of sessions are those that hold the file of the exit code
SESSIONS = 'ls -d "$(podman info -f {{.Store.GraphRoot}})"/*-containers/*/userdata/*/exit 2>/dev/null || :'
UNTIL_NONE = f'for i in $(seq 200); do [ -n "$({SESSIONS})" ] || exit 0; sleep 0.05; done; exit 1'


@pytest.fixture(params=["privileged-hostpath", "unprivileged"])
def agent(
    request: pytest.FixtureRequest, agent_image: str, mirror: outer.Registry, volume: Path
) -> Iterator[outer.Pod]:
    """A pod with a container called target."""
    assert agent_image
    template = outer.ROOT / f"jenkins/pods/{request.param}.yaml"
    env = {"PODMAN_AGENT_MIRRORS": f"docker.io={mirror.address}"}
    with outer.Pod(template, host_path=volume, env=env) as pod:
        pod.sh("docker run -d --name target busybox sleep 1000")
        yield pod


def test_it_is_used_and_nothing_is_different(agent: outer.Pod) -> None:
    """Exit codes, streams, a terminal; nothing of the session is left."""
    agent.sh("docker exec target true; podman exec target true; docker container exec target true")
    assert agent.sh("docker exec target sh -c 'exit 7'", check=False).returncode == 7
    done = agent.sh("docker exec -i target sh -c 'cat; echo error >&2'", stdin="in\n", shell="sh -e")
    assert (done.stdout, done.stderr) == ("in\n", "error\n")
    assert "/dev/pts/0" in agent.sh("script -qec 'docker exec -it target tty' /dev/null").stdout
    assert agent.sh("docker exec target head -c 3000000 /dev/zero | wc -c").stdout.strip() == "3000000"
    assert agent.sh(SESSIONS).stdout == ""
    assert agent.sh("docker inspect -f '{{.ExecIDs}}' target").stdout.strip() == "[]"
    # podman 5.4 leaves the directory of what could not start, with or without us, until the container goes
    assert agent.sh("docker exec target nothing-such", check=False).returncode == 127


def test_no_second_podman_starts_to_clean_up(agent: outer.Pod) -> None:
    """Which is where much of the time went."""
    agent.sh("podman-agent plan >/dev/null; mv /usr/bin/podman /usr/bin/podman.real")
    agent.sh(
        'printf \'#!/bin/sh\\necho "$@" >>/tmp/calls\\nexec /usr/bin/podman.real "$@"\\n\' >/usr/bin/podman;'
        " chmod +x /usr/bin/podman; docker exec target true; while pidof -x podman-agent-conmon; do :; done"
    )
    calls = agent.sh("cat /tmp/calls").stdout
    assert "--conmon=/opt/podman-agent/entrypoint/podman-agent-conmon exec target true" in calls
    assert "container cleanup" not in calls


def test_what_a_dead_podman_or_a_detached_session_leaves_is_cleaned_up(agent: outer.Pod) -> None:
    """By the podman that conmon would have started."""
    agent.sh("docker exec -d target true")
    agent.sh(UNTIL_NONE)
    script = 'docker exec target sleep 1 & pid=$!; until [ -n "$(%s)" ]; do :; done; kill -9 $pid; wait $pid || :'
    agent.sh(script % SESSIONS, shell="bash -e")
    agent.sh(UNTIL_NONE)
    agent.sh("docker exec target true; docker rm -f target")
