"""A `sh` step inside `docker.image().inside {}`: how it is launched, watched and killed.

Sources: https://github.com/jenkinsci/durable-task-plugin (8dcdaa8), BourneShellScript.java and FileMonitoringTask.java;
https://github.com/jenkinsci/docker-workflow-plugin (3e04e4f), WithContainerStep.java, whose `kill` says itself that it
needs procps in the image.
"""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from subprocess import CompletedProcess

    from docker_cli.conftest import Lab

pytestmark = pytest.mark.nested
WORKSPACE = "/home/jenkins/agent/workspace/durable"
COOKIE = f"durable-{hashlib.sha256(WORKSPACE.encode()).hexdigest()}"
SHELL = "sh -e"
SAID = "/var/lib/containers/said"
# nohup as every image with coreutils has it; ps is procps' own, of the agent itself
IMAGES = """
mkdir -p "$0@tmp" "$0" /tmp/durable && cd /tmp/durable
for program in nohup ps; do
    mkdir -p $program/usr/bin
    cp "$(command -v $program)" $program/usr/bin/
    ldd "$(command -v $program)" | grep -o '/[^ ]*' | xargs -I @ cp -L --parents @ $program/
done
printf 'FROM busybox\nCOPY nohup/ /\nENV PATH=/usr/bin:/bin\nRUN rm /bin/ps\n' >Dockerfile
docker build -q -t durable:bare .
printf 'FROM durable:bare\nCOPY ps/ /\n' >Dockerfile
docker build -q -t durable:procps .
"""


@dataclass
class Inside:
    """One container as `inside` starts it, and the `sh` steps in it."""

    lab: Lab
    container: str
    steps: int = 0

    def sh(self, script: str, *, check: bool = True) -> CompletedProcess[str]:
        """In the agent's own container, as the plugins run their commands.

        Its output goes by way of the volume: the outer podman 4.3's `exec` was seen to lose one in a hundred.
        """
        done = self.lab.pod.sh(f"exec > {SAID}\n{script}", check=check, shell=SHELL)
        done.stdout = (self.lab.volume / Path(SAID).name).read_text()
        return done

    def launch(self, script: str, *, capture: bool = False) -> str:
        """Start a step; gives its control directory. Not to wait is the point: nohup and & see to it."""
        self.steps += 1
        control = f"{WORKSPACE}@tmp/durable-{self.steps:08x}"
        file, log, result = f"{control}/script.sh", f"{control}/jenkins-log.txt", f"{control}/jenkins-result.txt"
        streams = f"> '{control}/output.txt' 2> '{log}'" if capture else f"> '{log}' 2>&1"
        command = (
            f"cp '{file}' '{file}.copy'; {{ while [ -d '{control}' -a \\! -f '{result}' ]; do touch '{log}'; sleep 3; "
            f"done }} & jsc={COOKIE}; JENKINS_SERVER_COOKIE=$jsc 'sh' -xe  '{file}.copy' {streams}; "
            f"echo $? > '{result}.tmp'; mv '{result}.tmp' '{result}'; wait"
        )
        argv = ["docker", "exec", "--env", "BUILD_ID=7", "--env", "JENKINS_SERVER_COOKIE=please-do-not-kill-me"]
        argv += [self.container, "nohup", "sh", "-c", f"({command}) >&- 2>&- &"]
        self.sh(f"mkdir {shlex.quote(control)}; printf %s {shlex.quote(script)} > {shlex.quote(file)}")
        self.sh(f"timeout 60 {shlex.join(argv)}")
        return control

    def until(self, condition: str) -> None:
        """Wait in the pod for what a controller polls for."""
        self.sh(f"timeout 120 sh -c {shlex.quote(f'until {condition}; do sleep 0.1; done')}")

    def read(self, path: str) -> str:
        """A file of the workspace."""
        return self.sh(f"cat {shlex.quote(path)}").stdout


@pytest.fixture(params=["enabled", "disabled"], name="cgroups", scope="module")
def _cgroups(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["bare", "procps"], name="image")
def _image(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(name="inside")
def _inside(lab: Callable[..., Lab], cgroups: str, image: str) -> Iterator[Inside]:
    made = lab(PODMAN_AGENT_CGROUPS=cgroups)
    if made.pod.sh("docker image inspect durable:procps", check=False).returncode:
        made.pod.sh(f"sh -e -c {shlex.quote(IMAGES)} {WORKSPACE}", shell=SHELL)
    mounts = " ".join(f"-v {path}:{path}:rw,z" for path in (WORKSPACE, f"{WORKSPACE}@tmp"))
    made.pod.sh(f"rm -rf {WORKSPACE}@tmp/*")
    step = Inside(made, "")
    step.container = step.sh(f"docker run -t -d -u 0:0 -w {WORKSPACE} {mounts} durable:{image} cat").stdout.strip()
    assert step.container
    yield step
    step.sh(f"docker rm -f --volumes {step.container}", check=False)


def test_a_step_is_launched_without_waiting_beats_and_leaves_its_result(inside: Inside) -> None:
    control = inside.launch(
        f"test $BUILD_ID = 7\ntouch started\nuntil test -e {WORKSPACE}/go; do sleep 0.1; done\nexit 7"
    )
    inside.until(f"test -e {WORKSPACE}/started")
    assert inside.sh(f"test -e {control}/jenkins-result.txt", check=False).returncode == 1
    listed = inside.sh(f"docker top {inside.container} -eo pid,comm").stdout
    assert {"cat", "sh"} <= set(listed.split()), listed
    # HEARTBEAT_MINIMUM_DELTA is 2 s: less between two looks is a dead step
    inside.sh(f"rm -f {WORKSPACE}/started; : > {WORKSPACE}/first; touch -r {control}/jenkins-log.txt {WORKSPACE}/first")
    log, first = f"$(stat -c %Y {control}/jenkins-log.txt)", f"$(stat -c %Y {WORKSPACE}/first)"
    inside.sh(f"printf 'exit 0' > {control}/script.sh")  # the step runs a copy
    inside.until(f"test {log} -ge $(({first} + 2))")
    inside.sh(f"touch {WORKSPACE}/go")
    inside.until(f"test -s {control}/jenkins-result.txt")
    inside.sh(f"rm -f {WORKSPACE}/go {WORKSPACE}/first")
    assert inside.read(f"{control}/jenkins-result.txt").strip() == "7"
    assert "+ exit 7" in inside.read(f"{control}/jenkins-log.txt")


def test_output_that_is_asked_for_is_apart_from_the_log(inside: Inside) -> None:
    control = inside.launch("echo asked; echo said >&2", capture=True)
    inside.until(f"test -s {control}/jenkins-result.txt")
    assert inside.read(f"{control}/output.txt") == "asked\n"
    assert "said\n" in inside.read(f"{control}/jenkins-log.txt")
    assert inside.read(f"{control}/jenkins-result.txt").strip() == "0"


def test_an_abort_ends_the_step_and_then_its_container(inside: Inside, image: str) -> None:
    """Without procps the plugin cannot end the step; the container's end, which follows, does."""
    marker = "86399"
    control = inside.launch(f"touch started\nsleep {marker}")
    inside.until(f"test -e {WORKSPACE}/started")
    inside.sh(f"rm {WORKSPACE}/started")
    listing = inside.sh(f"docker exec {inside.container} ps -A -o pid,command e", check=False)
    if image == "procps":
        assert listing.returncode == 0, listing.stderr
        rows = [row for row in listing.stdout.splitlines() if f"JENKINS_SERVER_COOKIE={COOKIE}" in row]
        assert any(f"sleep {marker}" in row for row in rows), listing.stdout
        inside.sh(f"docker exec {inside.container} kill {' '.join(row.split()[0] for row in rows)}")
        inside.until(f"test -s {control}/jenkins-result.txt")
        assert inside.read(f"{control}/jenkins-result.txt").strip() == "143"
    else:
        assert listing.returncode == 127, listing.stderr  # docker's code for a program that is not there
        assert inside.sh(f"pgrep -f '^sleep {marker}'").stdout
    inside.sh(f"docker stop --time=1 {inside.container}")
    inside.sh(f"docker rm -f --volumes {inside.container}")
    assert inside.sh(f"pgrep -f '^sleep {marker}'", check=False).returncode == 1
    assert inside.sh(f"docker ps -aq --no-trunc --filter id={inside.container}").stdout == ""
