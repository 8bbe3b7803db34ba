"""`podman-agent doctor` in real pods: verdicts, exit codes, output for people and for machines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    import outer

pytestmark = pytest.mark.nested


def test_a_privileged_pod_with_a_volume_is_fine(pod: Callable[..., outer.Pod]) -> None:
    """With a trial build; no colour in a log."""
    with pod() as agent:
        done = agent.sh("podman-agent doctor --deep")
        report = json.loads(agent.sh("podman-agent doctor --json --deep").stdout)
        assert agent.sh("podman images -aq").stdout == ""
    assert done.stdout.startswith("found\nuser            uid 0, gid 0")
    assert "\n\nchosen, and why: -v\nstore=" in done.stdout
    assert done.stdout.endswith("\nfine\n")
    assert "\033" not in done.stdout
    assert report["verdict"] == "fine"
    assert {trial["name"]: trial["error"] for trial in report["trials"]} == {
        "overlay mount on /var/lib/containers/podman-agent/default/0/storage": "",
        "fresh /proc": "",
        "build with a RUN step": "",
    }
    assert report["plan"]["storage_driver"] == "overlay"


def test_a_forced_choice_is_shown_as_forced(pod: Callable[..., outer.Pod]) -> None:
    """So that a leftover variable is found."""
    with pod(PODMAN_AGENT_CGROUPS="disabled") as agent:
        short = agent.sh("podman-agent doctor", check=False).stdout
        said = agent.sh("podman-agent doctor -v", check=False).stdout
    assert "cgroups=disabled (forced)" in short
    assert "disabled (forced): PODMAN_AGENT_CGROUPS says so" in said
    assert "better: unset PODMAN_AGENT_CGROUPS" in said


# the claim's holder may still be writing down what it flushed
READ_ONLY = "until mount -o remount,ro,bind /var/lib/containers; do sleep 0.1; done"


@pytest.mark.parametrize("option", ["", "--json"])
def test_a_pod_that_cannot_build_is_exit_2_and_says_why(pod: Callable[..., outer.Pod], option: str) -> None:
    """On stdout: it is the answer, not a failure of doctor."""
    with pod() as agent:
        agent.sh(READ_ONLY)
        done = agent.sh(f"podman-agent doctor {option}", check=False)
    assert done.returncode == 2
    assert "cannot build" in done.stdout
    assert "Read-only file system" in done.stdout


def test_explain_names_the_cause_of_a_failed_builds_log(pod: Callable[..., outer.Pod]) -> None:
    """From a log on stdin, and from a message as an argument."""
    error = "Error: 'overlay' is not supported over overlayfs, a mount_program is required"
    with pod() as agent:
        told = agent.sh("cat > /tmp/log; podman-agent explain < /tmp/log", stdin=f"STEP 1\n{error}\n").stdout
        assert agent.sh(f'podman-agent explain "{error}"').stdout.strip() in told
    assert "/var/lib/containers" in told


def test_a_build_that_fails_is_exit_2_with_podmans_words(pod: Callable[..., outer.Pod]) -> None:
    """Though the plan was fine when it was made."""
    with pod() as agent:
        agent.sh("podman-agent plan; chmod a-x $(command -v crun)")
        done = agent.sh("podman-agent doctor --deep", check=False)
    assert done.returncode == 2
    assert "trial: build with a RUN step: Error: " in done.stdout
    assert done.stdout.endswith("\ncannot build\n")


def test_a_terminal_gets_colour(pod: Callable[..., outer.Pod]) -> None:
    """Only there."""
    with pod() as agent:
        said = agent.sh("script -qec 'podman-agent doctor' /dev/null").stdout
    assert "\033[32mfine\033[0m" in said
    assert "\033[1mfound\033[0m" in said
