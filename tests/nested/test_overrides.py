"""Every choice that can be forced, forced in a real pod: it takes effect by podman's own words, and builds and runs.

One pod of a kind serves all values: a call under other variables makes a plan of its own.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import outer
import pytest
from podman_agent.pod.variables import PREFIX, TABLE
from pods import surroundings
from pods.shapes import SHAPES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from subprocess import CompletedProcess

pytestmark = [pytest.mark.nested, pytest.mark.usefixtures("agent_image")]

# a step that is a container has a PID namespace of its own, chroot isolation leaves it the pod's
SCRIPT = """set -e; printf 'FROM busybox\\nRUN readlink /proc/self/ns/pid >/word\\n' >/tmp/e/Dockerfile
docker build -q --no-cache -t forced /tmp/e >/dev/null
echo step $(docker run --rm forced cat /word) pod $(readlink /proc/self/ns/pid)
podman info --format 'STORAGE_DRIVER {{.Store.GraphDriverName}} RUNTIME {{.Host.OCIRuntime.Name}}'
podman info --format 'CGROUP_MANAGER {{.Host.CgroupManager}} EVENTS {{.Host.EventLogger}}'
docker create --name x forced true >/dev/null
podman inspect --format 'CGROUPS {{.HostConfig.Cgroups}} NETWORK {{.HostConfig.NetworkMode}}' x
podman inspect --format 'LOG_DRIVER {{.HostConfig.LogConfig.Type}}' x
podman image inspect --format 'BUILD_FORMAT {{.ManifestType}}' forced
docker rm -f x >/dev/null"""
# where podman's word for a value is not ours
WORDS = {
    ("CGROUPS", "enabled"): "default",
    ("BUILD_FORMAT", "docker"): "application/vnd.docker.distribution.manifest.v2+json",
    ("BUILD_FORMAT", "oci"): "application/vnd.oci.image.manifest.v1+json",
}
PRIVILEGED, HYBRID, DEFAULT = "privileged-volume", "cgroup-hybrid", "default-volume"
# several at once, each in podman's own words: none of them changes what is said of another
FORCED = [
    (PRIVILEGED, "STORAGE_DRIVER=overlay ISOLATION=oci RUNTIME=crun CGROUPS=enabled EVENTS=file BUILD_FORMAT=docker"),
    (PRIVILEGED, "STORAGE_DRIVER=vfs ISOLATION=chroot CGROUPS=disabled EVENTS=none LOG_DRIVER=none BUILD_FORMAT=oci"),
    (PRIVILEGED, "ISOLATION=oci CGROUP_MANAGER=cgroupfs LOG_DRIVER=k8s-file NETWORK=host"),
    (PRIVILEGED, "ISOLATION=rootless RUNTIME=runc LOG_DRIVER=passthrough NETWORK=bridge"),
    (DEFAULT, "STORAGE_DRIVER=vfs CGROUPS=disabled EVENTS=none NETWORK=none BUILD_FORMAT=oci"),
    (DEFAULT, "ISOLATION=oci RUNTIME=crun LOG_DRIVER=none"),
    (HYBRID, "ISOLATION=oci RUNTIME=runc CGROUPS=enabled"),
]
STEP = "printf 'FROM busybox\\nRUN true\\n' | docker build -f - /tmp/e"
# what the plan refuses to be forced, tried all the same: should one of these work one day, let it be forced
FAILS = [
    (DEFAULT, f"export BUILDAH_ISOLATION=oci PODMAN_AGENT_NETWORK=none; {STEP}", "Failed to open() /dev/net/tun"),
    (HYBRID, "docker --runtime crun run --rm --cgroups=disabled busybox true", "cgroups in hybrid mode not supported"),
    (HYBRID, "docker --runtime runc run --rm --cgroups=disabled busybox true", "not compatible with NoCgroups"),
    ("sys-admin", f"export BUILDAH_ISOLATION=oci; {STEP}", "creating cgroup directory"),
    ("sys-admin", f"export BUILDAH_ISOLATION=rootless; {STEP}", "creating cgroup directory"),
]
# root of a user namespace whose /proc was masked outside of it
LOCKED = """unshare --user --mount --map-users=0:0:65536 --map-groups=0:0:65536 --setuid=0 --setgid=0 \\
env PODMAN_AGENT_STATE_DIR=/tmp/locked PODMAN_AGENT_GRAPHROOT=/var/lib/containers/locked bash -c '
podman-agent plan --facts | grep -q "mount proc: Operation not permitted"; docker run --rm busybox id -u'"""
NEVER = {"EVENTS=journald", "LOG_DRIVER=journald", "CGROUP_MANAGER=systemd"}


@pytest.fixture(scope="module")
def inside(disk: Path, mirror: outer.Registry) -> Iterator[Callable[..., CompletedProcess[str]]]:
    """Run a line in the pod of a shape, started for the first line, with variables of ours."""
    started: dict[str, str] = {}

    def line(shape: str, script: str, **forced: str) -> CompletedProcess[str]:
        pod = f"{shape}-{forced.get('STORAGE_DRIVER') == 'vfs'}"  # a store keeps its driver
        if pod not in started:
            started[pod] = f"{outer.NAME}-forced-{secrets.token_hex(3)}"
            around = surroundings.volumes(SHAPES[shape], disk / f"forced-{pod}")
            env = {f"{PREFIX}MIRRORS": f"docker.io={mirror.address}"}
            surroundings.start(SHAPES[shape], around, started[pod], env, outer.IMAGE)
        options = [f"--env={PREFIX}{name}={value}" for name, value in forced.items()]
        return outer.podman(
            "exec", *options, started[pod], "timeout", "120", "bash", "-c", f"mkdir -p /tmp/e; {script}", check=False
        )

    yield line
    for name in started.values():
        outer.podman("rm", "--force", "--time=0", name, check=False)


@pytest.mark.parametrize(("shape", "forced"), FORCED)
def test_forced_values_take_effect_and_the_pod_builds_and_runs(
    inside: Callable[..., CompletedProcess[str]], shape: str, forced: str
) -> None:
    """In podman's own words, with a step that runs and a container."""
    values = dict(pair.split("=") for pair in forced.split())
    done = inside(shape, SCRIPT, **values)
    assert done.returncode == 0, done.stdout + done.stderr
    words = done.stdout.split()
    said = dict(zip(words[::2], words[1::2], strict=True))
    assert (said["step"] == said["pod"]) == (values.pop("ISOLATION", "chroot") == "chroot")
    assert {name: said[name] for name in values} == {name: WORDS.get((name, v), v) for name, v in values.items()}


def test_every_value_that_a_pod_can_have_is_forced_here() -> None:
    """A new choice or value gets its place; a journal and systemd are in no container of ours.

    The levels of compression are seen in a registry: test_compression.py.
    """
    fixed = {f"{variable.name}={value}" for variable in TABLE for value in variable.values}
    here = {pair for _, forced in FORCED for pair in forced.split()}
    assert {pair for pair in fixed if not pair.startswith(("CACHE_", "COMPRESSION_"))} - NEVER == here


@pytest.mark.parametrize(("shape", "line", "words"), FAILS)
def test_what_cannot_be_forced_fails(
    inside: Callable[..., CompletedProcess[str]], shape: str, line: str, words: str
) -> None:
    """With podman's own options, past the plan."""
    done = inside(shape, line)
    assert done.returncode != 0
    assert words in done.stderr


def test_a_container_has_the_pods_proc_where_root_may_mount_none(
    inside: Callable[..., CompletedProcess[str]],
) -> None:
    """Root with SYS_ADMIN of a namespace that does not own the masks of /proc."""
    done = inside(DEFAULT, LOCKED)
    assert done.stdout == "0\n", done.stderr
