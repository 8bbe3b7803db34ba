"""An aborted `sh` step, or one whose time is over, leaves nothing of the build it ran.

Sources: https://github.com/jenkinsci/durable-task-plugin (8dcdaa8), BourneShellScript.java and FileMonitoringTask.java;
https://github.com/jenkinsci/kubernetes-plugin (a82d78a), ContainerExecDecorator.java: `kill` in a `container` step.
"""

from __future__ import annotations

import shlex
import time
from typing import TYPE_CHECKING

import outer
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.nested
TEMPLATES = outer.ROOT / "jenkins/pods"
CONTROL = "/home/jenkins/agent/workspace/job@tmp/durable-1"
COOKIE = "durable-0123456789abcdef"
SLEEP = "sleep 86397"
BUILD = f"FROM busybox AS first\nRUN echo 1 >/first\nFROM first\nRUN head -c 20000000 /dev/zero >/big && {SLEEP}\n"
LAUNCH = (
    f"(cp '{CONTROL}/script.sh' '{CONTROL}/script.sh.copy'; {{ while [ -d '{CONTROL}' -a \\! -f '{CONTROL}/result' ]; "
    f"do touch '{CONTROL}/log'; sleep 3; done }} & jsc={COOKIE}; JENKINS_SERVER_COOKIE=$jsc 'sh' -xe  "
    f"'{CONTROL}/script.sh.copy' > '{CONTROL}/log' 2>&1; echo $? > '{CONTROL}/result.tmp'; "
    f"mv '{CONTROL}/result.tmp' '{CONTROL}/result'; wait) >&- 2>&- &"
)
KILL = f"kill `grep -l 'JENKINS_SERVER_COOKIE={COOKIE}' /proc/*/environ | cut -d / -f 3 `"
# what a store and a pod hold: containers of every kind, layers, engines and what they started
HELD = f"""
podman ps -a --external -q
buildah containers -q
ls "$(podman info -f '{{{{.Store.GraphRoot}}}}')/overlay" | grep -v -x -e l -e staging -e tempdirs | sort
pgrep -a -x 'podman|buildah|conmon|crun|runc' || true
pgrep -a -f '^(/bin/sh -c head|{SLEEP})' || true
"""


@pytest.fixture(params=["privileged-hostpath", "unprivileged"], name="pod")
def _pod(request: pytest.FixtureRequest, agent_image: str, mirror: outer.Registry, disk: Path) -> Iterator[outer.Pod]:
    assert agent_image
    env = {"PODMAN_AGENT_MIRRORS": f"docker.io={mirror.address}"}
    volume = disk / "abort" if request.param == "privileged-hostpath" else None
    with outer.Pod(TEMPLATES / f"{request.param}.yaml", host_path=volume, env=env) as pod:
        yield pod


def settled(pod: outer.Pod, wanted: str) -> str:
    """What is held once nothing is left to be cleared away, or after a minute."""
    until = time.monotonic() + 60
    while (held := pod.sh(HELD, shell="sh -e").stdout) != wanted and time.monotonic() < until:
        pass  # each look takes a second
    return held


def test_a_killed_build_leaves_no_process_no_container_and_no_layer(pod: outer.Pod) -> None:
    script = "cd /tmp/context && docker build -t whole ."
    pod.sh(f"mkdir -p /tmp/context {shlex.quote(CONTROL)}; printf %s {shlex.quote(BUILD)} >/tmp/context/Dockerfile")
    pod.sh("cd /tmp/context; docker build -t first --target first .")
    before = pod.sh(HELD, shell="sh -e").stdout
    pod.sh(f"printf %s {shlex.quote(script)} >{CONTROL}/script.sh")
    pod.sh(f"timeout 60 env JENKINS_SERVER_COOKIE=please-do-not-kill-me nohup sh -c {shlex.quote(LAUNCH)}")
    try:
        pod.sh(f"timeout 120 sh -c \"until pgrep -f '^{SLEEP}' || test -e {CONTROL}/result; do sleep 0.1; done\"")
        assert pod.sh(f"test -e {CONTROL}/result && cat {CONTROL}/log", check=False).stdout == ""
        assert pod.sh(HELD, shell="sh -e").stdout != before
    finally:
        # a process of the list may have ended by itself; the plugin minds no exit code either
        pod.sh(KILL, shell="sh", check=False)
    pod.sh(f"timeout 60 sh -c 'until test -s {CONTROL}/result; do sleep 0.1; done'")
    assert pod.sh(f"cat {CONTROL}/result").stdout.strip() == "143"
    assert settled(pod, before) == before
    again = pod.sh("cd /tmp/context; sed -i 's/ && sleep.*//' Dockerfile; docker build -t whole .", merge=True)
    assert "Using cache" in again.stdout or "CACHED" in again.stdout
