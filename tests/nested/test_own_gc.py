"""`podman-agent gc` on the store that the very pod holds: through podman, and only when none is at work."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    import outer

pytestmark = pytest.mark.nested

LARGE = "printf 'FROM busybox\\nRUN head -c 3000000 /dev/urandom >/x\\n' | docker build -q -t large -"


def gc(agent: outer.Pod, options: str = "") -> dict[str, object]:
    outcomes = json.loads(agent.sh(f"podman-agent gc --json {options}").stdout)
    [mine] = [outcome for outcome in outcomes if outcome["store"] == "default/0"]
    return dict(mine)


def test_old_unnamed_images_and_what_is_over_budget_go(pod: Callable[..., outer.Pod]) -> None:
    """Images of containers stay."""
    with pod() as agent:
        agent.sh(f"{LARGE}; docker create --name keeper busybox; {LARGE.replace('-q', '-q --no-cache')}")
        assert gc(agent)["done"] == []
        assert gc(agent, "--age 0s")["done"] == ["removed 1 unnamed image"]
        outcome = gc(agent, "--budget 1M")
        assert outcome["done"] == ["over budget: localhost/large:latest"]
        assert int(str(outcome["freed"])) > 3_000_000
        assert agent.sh("docker images --format '{{.Repository}}'").stdout.split() == ["busybox"]
        agent.sh("docker start -a keeper && podman-agent cache verify")


def test_a_build_of_this_pod_is_left_alone(pod: Callable[..., outer.Pod]) -> None:
    """Gc says why it did nothing; after the build it works."""
    with pod() as agent:
        agent.sh("docker pull -q busybox; mkdir /tmp/c; mkfifo /tmp/c/gate")
        script = "printf 'FROM busybox\\nRUN echo at work >/c/gate; read go </c/gate\\n' >/tmp/c/Dockerfile; "
        script += "docker build -q -v /tmp/c:/c /tmp/c -f /tmp/c/Dockerfile >/dev/null & read at </tmp/c/gate; "
        said = agent.sh(script + "podman-agent gc --age 0s; echo go >/tmp/c/gate; wait $!", shell="bash -e").stdout
        assert "default/0: in use by this pod, and a podman is at work" in said
        assert gc(agent, "--age 0s")["skipped"] == ""


def test_a_dead_build_is_cleared_away(pod: Callable[..., outer.Pod]) -> None:
    """Killed in the midst of a step."""
    with pod() as agent:
        agent.sh("docker pull -q busybox; mkdir /tmp/c; mkfifo /tmp/c/gate")
        script = (
            "printf 'FROM busybox\\nRUN head -c 2000000 /dev/urandom >/x; echo at work >/c/gate; read go </c/gate\\n'"
        )
        script += " | docker build -q -v /tmp/c:/c - >/dev/null 2>&1 & read at </tmp/c/gate; "
        script += "kill -9 $(pidof podman buildah crun conmon); wait $! || :; while pidof podman >/dev/null; do :; done"
        agent.sh(script, shell="bash -e")
        outcome = gc(agent)
        assert outcome["done"] == ["removed 1 container of dead builds"]
        assert int(str(outcome["freed"])) >= 2_000_000
