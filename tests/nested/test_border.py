"""The border of trust is the mount, in real pods.

A kubelet binds the directory that ``subPath`` names; here the outer podman binds it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import outer
import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.nested, pytest.mark.usefixtures("agent_image")]
BUILD = "printf 'FROM busybox\\nRUN echo built > /x\\n' | docker build -t probe -"
PLACE = outer.ROOT / "jenkins/pods"


@pytest.fixture
def play(mirror: outer.Registry) -> Callable[..., outer.Pod]:
    """A pod of a template with a directory for its volume."""

    def make(template: str, directory: Path, **env: str) -> outer.Pod:
        directory.mkdir(parents=True, exist_ok=True)
        pod = outer.Pod(PLACE / f"{template}.yaml", env={"PODMAN_AGENT_MIRRORS": f"docker.io={mirror.address}", **env})
        place = f'hostPath: {{path: "{directory}", type: Directory}}\n'
        pod.text = re.sub(r"(emptyDir|hostPath):\n( {8,}.*\n)+", place, f"{pod.text}\n")
        return pod

    return make


@pytest.fixture
def stocked(play: Callable[..., outer.Pod], volume: Path) -> Path:
    """A volume on which two teams, unprivileged, and one of them privileged, have built."""
    for template, part in (
        ("unprivileged", "unprivileged/team-a"),
        ("unprivileged", "unprivileged/team-b"),
        ("privileged-hostpath", "privileged/team-a"),
    ):
        with play(template, volume / part, PODMAN_AGENT_CACHE_KEY=part.partition("/")[2]) as pod:
            pod.sh(BUILD)
    return volume


def test_a_pod_finds_its_own_cache_and_sees_no_other(stocked: Path, play: Callable[..., outer.Pod]) -> None:
    """What the attack of before wrote to (another team's layer) is not in the pod at all, to no capability of it."""
    with play("unprivileged", stocked / "unprivileged/team-a", PODMAN_AGENT_CACHE_KEY="team-a") as pod:
        assert "Using cache" in pod.sh(BUILD, merge=True).stdout
        assert pod.sh("ls /var/lib/containers/podman-agent").stdout.split() == ["team-a"]
        assert pod.sh("find /var/lib/containers -maxdepth 4 -name 'team-*'").stdout.split() == [
            "/var/lib/containers/podman-agent/team-a"
        ]
        stores = pod.sh("podman-agent cache ls --json | grep '\"store\"'").stdout
        assert stores.count("team-a/0") == 1
        assert stores.count('"store"') == 1


@pytest.mark.parametrize(
    ("template", "part", "own"),
    [
        ("privileged-hostpath", "unprivileged/team-a", "privileged/team-a"),
        ("unprivileged", "privileged/team-a", "unprivileged/team-a"),
    ],
)
def test_the_part_of_another_trust_level_is_refused_in_one_line(
    stocked: Path, play: Callable[..., outer.Pod], template: str, part: str, own: str
) -> None:
    with play(template, stocked / part, PODMAN_AGENT_CACHE_KEY="team-a") as pod:
        done = pod.sh(BUILD, check=False)
        assert done.returncode == 78, done.stderr
        [line] = [text for text in done.stderr.splitlines() if "podman-agent: " in text]
        assert f"; subPath: {own}" in line


def test_a_volume_that_pods_mounted_whole_is_taken_over(volume: Path, play: Callable[..., outer.Pod]) -> None:
    """By gc from a pod of its own, with the rights of its CronJob; then a pod that mounts its part has it warm."""
    key = {"PODMAN_AGENT_CACHE_KEY": "team-a"}
    with play("privileged-hostpath", volume, **key) as pod:
        pod.sh(BUILD)
    gc = ("podman-agent", "gc", "--divide")
    rights = ("--cap-drop=all", "--cap-add=CHOWN,DAC_OVERRIDE,FOWNER", "--security-opt=no-new-privileges")
    mount = f"{volume}:/var/lib/containers"
    done = outer.podman("run", "--rm", "--network=none", *rights, "-v", mount, "--entrypoint=", outer.IMAGE, *gc)
    assert "team-a/0: moved to privileged/team-a" in done.stdout
    with play("privileged-hostpath", volume / "privileged/team-a", **key) as pod:
        assert "Using cache" in pod.sh(BUILD, merge=True).stdout
        assert pod.sh("podman-agent cache verify").returncode == 0


def test_the_daemon_set_warms_and_collects_what_is_there_and_nothing_else(
    volume: Path, play: Callable[..., outer.Pod], mirror: outer.Registry
) -> None:
    """Its two scripts, one round each with the sleeps taken out, on a node without agents and on one with."""
    daemons = list(yaml.safe_load_all((outer.ROOT / "jenkins/cache/nodes-hostpath.yaml").read_text()))[-1]
    collector, warmer = daemons["spec"]["template"]["spec"]["containers"]
    (volume / "images").mkdir()
    (volume / "images/images").write_text("docker.io/library/busybox\n\n")
    (volume / "cache/privileged").mkdir(parents=True)
    rights = {
        "gc": ("--cap-drop=all", "--cap-add=CHOWN,DAC_OVERRIDE,FOWNER", f"-v={volume}/cache:/var/lib/containers"),
        "warm": ("--privileged", f"-v={volume}/cache/privileged:/cache", f"-v={volume}/images:/images:ro"),
    }

    def run(container: dict[str, Any]) -> str:
        script = re.sub(r'sleep "[^"]*" & wait \$!', ":", container["args"][0])
        script = re.sub(r"^done$", "break; done", script, flags=re.MULTILINE)
        assert script.count("sleep") == 0
        env = f"--env=PODMAN_AGENT_MIRRORS=docker.io={mirror.address}"
        options = (*rights[container["name"]], env, "--network=host", "--entrypoint=", outer.IMAGE)
        done = outer.podman("run", "--rm", *options, *container["command"], script)
        return done.stdout

    assert run(warmer) == run(collector) == ""
    assert list((volume / "cache/privileged").iterdir()) == []
    with play("privileged-hostpath", volume / "cache/privileged/team-a", PODMAN_AGENT_CACHE_KEY="team-a") as pod:
        pod.sh("docker version")
    assert run(warmer)
    assert "freed" in run(collector)
    with play("privileged-hostpath", volume / "cache/privileged/team-a", PODMAN_AGENT_CACHE_KEY="team-a") as pod:
        pod.sh("docker image inspect busybox")
