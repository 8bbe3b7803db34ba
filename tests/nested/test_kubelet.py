"""Pods as a kubelet makes them, each started where the image starts: its directory, its HOME, no line in front.

fsGroup: pkg/volume/volume_linux.go (v1.33.0) gives an emptyDir to the group with mode 2777, and the container the group
as a supplementary one. An arbitrary uid: no entry in /etc/passwd, so HOME is `/` and the group 0.
"""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

import outer
import pytest
from pods.shapes import NO_NEW_PRIVS, NO_SECCOMP, capabilities

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.nested
FS_GROUP = 1000680000
NONE = (*capabilities(), NO_SECCOMP, NO_NEW_PRIVS)
PODS = {
    "an arbitrary uid (OpenShift)": (f"--user={FS_GROUP}:0", "--passwd=false", *NONE),
    "runAsUser: 1000": ("--user=1000:1000", *NONE),
    "root, unprivileged": (*capabilities("DAC_OVERRIDE", "SETFCAP", "SETGID", "SETUID"), NO_SECCOMP, NO_NEW_PRIVS),
}
JOB = """set -e
docker login -u u --password-stdin {registry} <<< p
test "$PWD" = /home/jenkins/agent
printf 'FROM busybox\\nRUN echo hi >/x && chmod 4755 /x\\n' > Dockerfile
docker build -q -t {registry}/kubelet:{tag} .
docker push -q {registry}/kubelet:{tag}
docker run --rm -v "$PWD:$PWD" {registry}/kubelet:{tag} stat -c %a:%u /x
podman info --format '{{{{.Store.GraphDriverName}}}}'
"""


@pytest.mark.parametrize("pod", PODS)
def test_with_fs_group_on_its_empty_dirs_it_logs_in_builds_pushes_and_runs(
    pod: str, disk: Path, mirror: outer.Registry
) -> None:
    """With overlay: a directory made in such an emptyDir has a group that a namespace of one id does not know."""
    mounts = []
    for place in ("/home/jenkins/agent", "/var/lib/containers"):
        directory = disk / f"kubelet-{secrets.token_hex(3)}"
        directory.mkdir()
        os.chown(directory, 0, FS_GROUP)
        directory.chmod(0o2777)
        mounts.append(f"--volume={directory}:{place}")
    options = (*PODS[pod], f"--group-add={FS_GROUP}", "--network=host", *mounts, "--entrypoint=bash")
    env = f"--env=PODMAN_AGENT_MIRRORS=docker.io={mirror.address}"
    script = JOB.format(registry=mirror.address, tag=secrets.token_hex(3))
    done = outer.podman("run", "--rm", *options, env, outer.IMAGE, "-c", script, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-2:] == ["4755:0", "overlay"]
