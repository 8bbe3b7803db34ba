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
from pods.shapes import NO_NEW_PRIVS, NO_SECCOMP, PROFILE, capabilities

if TYPE_CHECKING:
    from pathlib import Path
    from subprocess import CompletedProcess

pytestmark = pytest.mark.nested
FS_GROUP = 1000680000
NONE = (*capabilities(), NO_SECCOMP, NO_NEW_PRIVS)
PODS = {
    "an arbitrary uid (OpenShift)": (f"--user={FS_GROUP}:0", "--passwd=false", *NONE),
    "runAsUser: 1000": ("--user=1000:1000", *NONE),
    "restricted (jenkins/pods/restricted.yaml)": (
        *("--user=1000:1000", "--passwd=false", f"--security-opt=seccomp={PROFILE}"),
        *(*capabilities(), NO_NEW_PRIVS),
    ),
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


def empty_dirs(disk: Path, *places: str, fs_group: int | None = None) -> list[str]:
    """Options that mount an emptyDir in each place, as a kubelet makes one."""
    mounts = []
    for place in places:
        directory = disk / f"kubelet-{secrets.token_hex(3)}"
        directory.mkdir()
        if fs_group is not None:
            os.chown(directory, 0, fs_group)
        directory.chmod(0o777 if fs_group is None else 0o2777)
        mounts.append(f"--volume={directory}:{place}")
    return mounts


def run(mirror: outer.Registry, script: str, *options: str) -> CompletedProcess[str]:
    """Run a script in a pod, in the image's own directory."""
    env = f"--env=PODMAN_AGENT_MIRRORS=docker.io={mirror.address}"
    text = script.format(registry=mirror.address, tag=secrets.token_hex(3))
    command = ("--rm", "--network=host", *options, env, "--entrypoint=bash", outer.IMAGE, "-c", text)
    return outer.podman("run", *command, check=False)


@pytest.mark.parametrize("pod", PODS)
def test_with_fs_group_on_its_empty_dirs_it_logs_in_builds_pushes_and_runs(
    pod: str, disk: Path, mirror: outer.Registry
) -> None:
    """With overlay: a directory made in such an emptyDir has a group that a namespace of one id does not know."""
    mounts = empty_dirs(disk, "/home/jenkins/agent", "/var/lib/containers", fs_group=FS_GROUP)
    done = run(mirror, JOB, *PODS[pod], f"--group-add={FS_GROUP}", *mounts)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-2:] == ["4755:0", "overlay"]


HOME_OF_PODMAN = "test $HOME = / && podman unshare sh -c 'echo $HOME'"


def test_an_arbitrary_uid_has_a_home_behind_the_entrypoint_and_past_it(mirror: outer.Registry) -> None:
    """Every step, where the agent itself is the pod; podman, where Jenkins replaces the entrypoint or calls exec."""
    options = PODS["an arbitrary uid (OpenShift)"]
    assert run(mirror, HOME_OF_PODMAN, *options).stdout == "/home/jenkins\n"
    script = f"echo $HOME; export HOME=/; {HOME_OF_PODMAN}"
    behind = outer.podman("run", "--rm", "--interactive", *options, outer.IMAGE, "bash", stdin=script)
    assert behind.stdout == "/home/jenkins\n" * 2


def test_an_arbitrary_uid_has_a_name_behind_the_entrypoint_and_past_it(mirror: outer.Registry) -> None:
    """`ssh`: No user exists for uid 1000650000; `whoami`: cannot find name for user ID."""
    options = PODS["an arbitrary uid (OpenShift)"]
    script = "podman info >/dev/null; whoami; ssh -G host 2>&1 | grep -c ^hostname; tail -1 /etc/passwd"
    named = ["default", f"default:x:{FS_GROUP}:0:Jenkins agent:/home/jenkins:/bin/bash"]
    for done in (
        run(mirror, script, *options),
        outer.podman("run", "--rm", "--interactive", *options, outer.IMAGE, "bash", stdin=script),
    ):
        assert [line for line in done.stdout.splitlines() if "default" in line] == named


AGAIN = """set -e
! touch /var/x /home/jenkins/x 2>/dev/null
cd /tmp
printf 'FROM busybox\\nRUN echo hi >/x\\n' > Dockerfile
docker build -t {registry}/again:{tag} .
docker build -t {registry}/again:{tag} . | grep 'Using cache'
docker push -q {registry}/again:{tag}
docker rmi -f -a >/dev/null
docker build --cache-from {registry}/steps --cache-to {registry}/steps -t x .
docker rmi -f -a >/dev/null
docker build --cache-from {registry}/steps --cache-to {registry}/steps -t x . | grep 'Using cache'
"""


@pytest.mark.parametrize("pod", ["privileged", *PODS])
def test_with_a_read_only_root_and_an_empty_dir_at_tmp_it_builds_from_its_cache(
    pod: str, disk: Path, mirror: outer.Registry
) -> None:
    """`mkdir /var/tmp/container_images_storage...: read-only file system` is what a cached build ended in."""
    mounts = empty_dirs(disk, "/tmp", "/var/lib/containers")
    options = PODS.get(pod, ("--privileged",))
    done = run(mirror, AGAIN, *options, "--read-only", "--read-only-tmpfs=false", *mounts)
    assert done.returncode == 0, done.stdout + done.stderr


TWICE = """docker version >/dev/null && docker version >/dev/null
podman-agent doctor | grep -A1 '^better'; podman-agent plan --facts | grep '"volume"'"""
CURE = (
    "fsGroupChangePolicy: OnRootMismatch for a PVC; for a hostPath, which fsGroup does not reach, an initContainer that"
    " runs as root: chown 1000 /var/lib/containers"
)


@pytest.mark.parametrize("mounted", [True, False])
def test_a_volume_that_the_user_cannot_write_is_said_once_and_by_doctor(
    disk: Path, mirror: outer.Registry, *, mounted: bool
) -> None:
    """A hostPath of root's; without one, the directory that a runtime makes for the image's VOLUME is no fault."""
    directory = disk / f"kubelet-{secrets.token_hex(3)}"
    directory.mkdir(mode=0o755)
    mounts = [f"--volume={directory}:/var/lib/containers"] if mounted else []
    done = run(mirror, TWICE, *PODS["runAsUser: 1000"], *mounts)
    assert '"volume": "/home/jenkins/.local/share/containers"' in done.stdout
    assert done.stderr.count(CURE) == mounted, done.stderr
    assert done.stdout.count(CURE) == mounted, done.stdout


KILLED = """podman-agent doctor -v | grep -E '^(memory|disk) '
printf 'FROM busybox\\nRUN tail /dev/zero\\n' | docker build -q - 2>/tmp/said; cat /tmp/said
podman-agent doctor | grep -B1 -A1 resources"""


@pytest.mark.parametrize("pod", ["privileged", "root, unprivileged"])
def test_a_memory_limit_is_named_by_its_field(pod: str, disk: Path, mirror: outer.Registry) -> None:
    """A step that takes all there is: the kernel ends it, and counts it where the step was, which may be gone (v1)."""
    options = PODS.get(pod, ("--privileged",))
    mounts = empty_dirs(disk, "/var/lib/containers")
    done = run(mirror, KILLED, *options, "--memory=256m", "--memory-swap=256m", *mounts)
    assert "used, resources.limits.memory: 256Mi" in done.stdout, done.stdout + done.stderr
    assert "memory limit" in done.stdout, done.stdout + done.stderr
    assert "(resources.limits.memory: 256Mi); a higher resources.limits.memory" in done.stdout, done.stdout
    if pod != "privileged":
        assert "a program was killed by the kernel at this container's memory limit" in done.stdout
        assert "programs were killed by the kernel at resources.limits.memory: 256Mi" in done.stdout


# what one id can do, and what not
ONE_ID = {
    "RUN touch /f && chmod 4755 /f && test -u /f": True,
    "COPY --from=docker.io/library/busybox /bin/sh /x": True,
    "RUN --mount=type=cache,target=/c echo x >/c/x": True,
    "RUN --mount=type=bind,source=Dockerfile,target=/g cat /g": True,
    "RUN --mount=type=tmpfs,target=/c echo x >/c/x": True,
    "COPY --chown=33:33 Dockerfile /f": False,
    "RUN touch /f && chown 33:33 /f": False,
    "USER 1000\\nRUN id": False,
}


def test_one_id_builds_all_but_what_takes_another_one(disk: Path, mirror: outer.Registry) -> None:
    builds = "\n".join(
        f"printf 'FROM busybox\\n{step}\\n' >Dockerfile; docker build -q . >/dev/null 2>&1; echo $?" for step in ONE_ID
    )
    mounts = empty_dirs(disk, "/home/jenkins/agent", "/var/lib/containers")
    done = run(mirror, builds, *PODS["restricted (jenkins/pods/restricted.yaml)"], *mounts)
    assert dict(zip(ONE_ID, (code == "0" for code in done.stdout.split()), strict=True)) == ONE_ID, done.stderr
