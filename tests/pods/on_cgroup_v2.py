"""Pods on a node with cgroup v2 alone: `test_cgroup_v2.py` has this run in the machine of tools/vm.py.

The node's runc starts them below a cgroup of their own, as it does for the kubelet: not privileged, in a cgroup
namespace of their own with a read-only /sys/fs/cgroup; privileged, with containerd in the node's cgroup namespace
(https://github.com/containerd/containerd/blob/v1.7.27/pkg/cri/server/container_create_linux.go, `cgroupns`), with
CRI-O in one of their own.
"""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import outer
import pytest
from pods.shapes import DEFAULT, NO_SECCOMP, SHAPES, capabilities
from pods.test_shapes import DOCKERFILE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from subprocess import CompletedProcess

_PRIVILEGED = SHAPES["privileged-volume"].expect
_UNPRIVILEGED = SHAPES["default-volume"].expect
LIMIT = 64 << 20
CONTAINER = """set -e; docker run -d --name limited --memory 64m --pids-limit 50 {image} sleep 300 >/dev/null
docker exec limited cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max
docker top limited -eo pid,comm | grep -c sleep
docker stats --no-stream --format '{{{{.MemUsage}}}}' limited
docker inspect -f '{{{{.State.CgroupPath}}}}' limited"""


class V2Pod(NamedTuple):
    """A pod shape on cgroup v2: options for the outer podman, what is expected, and its id on the node."""

    options: tuple[str, ...]
    expect: tuple[str, str, str, str, str]
    owner: int = 0


PODS = {
    "privileged-cgroup-v2": V2Pod(("--privileged", "--memory=1g"), _PRIVILEGED),
    "privileged-cgroup-v2-host": V2Pod(("--privileged", "--memory=1g", "--cgroupns=host"), _PRIVILEGED),
    "default-cgroup-v2": V2Pod((*capabilities(*DEFAULT), NO_SECCOMP), _UNPRIVILEGED),
    "least-capabilities-cgroup-v2": V2Pod(SHAPES["least-capabilities"].options, _UNPRIVILEGED),
    "user-1000-cgroup-v2": V2Pod(SHAPES["user-1000"].options, _UNPRIVILEGED, owner=1000),
    "runtime-default-cgroup-v2": V2Pod(SHAPES["runtime-default"].options, SHAPES["runtime-default"].expect),
    # hostUsers: false, by podman's own options
    "user-namespace-cgroup-v2": V2Pod(
        (*capabilities(*DEFAULT), NO_SECCOMP, "--uidmap=0:100000:65536", "--gidmap=0:100000:65536"),
        _UNPRIVILEGED,
        owner=100000,
    ),
}


@pytest.fixture(params=PODS, name="pod")
def _pod(
    request: pytest.FixtureRequest, disk: Path, mirror: outer.Registry
) -> Iterator[tuple[str, Callable[[str], CompletedProcess[str]]]]:
    name = str(request.param)
    volume = disk / name
    volume.mkdir()
    os.chown(volume, PODS[name].owner, PODS[name].owner)
    container = f"{outer.NAME}-v2-{secrets.token_hex(3)}"
    outer.podman(
        *("run", "--detach", "--rm", "--name", container, "--network=host", "--entrypoint=/bin/cat", "--interactive"),
        *("--env", f"PODMAN_AGENT_MIRRORS=docker.io={mirror.address}", f"--volume={volume}:/var/lib/containers"),
        *(*PODS[name].options, outer.IMAGE),
    )

    def inside(command: str) -> CompletedProcess[str]:
        return outer.podman("exec", container, "timeout", "500", "bash", "-c", command, check=False)

    try:
        yield name, inside
    finally:
        outer.podman("rm", "--force", "--time=0", container)


def _report(word: str, name: str, text: str) -> None:
    with Path(os.environ["VM_REPORT"]).open("a") as file:
        file.write(f"{word} {name} {text}\n")


def test_pod(pod: tuple[str, Callable[[str], CompletedProcess[str]]], mirror: outer.Registry) -> None:
    """The plan expected; builds, pushes; runs a container, with limits where there are cgroups."""
    name, inside = pod
    assert Path("/sys/fs/cgroup/cgroup.controllers").exists()
    both = inside("podman-agent plan --facts && podman-agent plan --json")
    assert both.returncode == 0, both.stderr
    decoder = json.JSONDecoder()
    facts, end = decoder.raw_decode(both.stdout)
    plan = json.loads(both.stdout[end:])
    _report("facts", name, json.dumps(facts))
    assert facts["cgroup"] == "v2"
    # podman binds the node's to a user namespace's /sys/fs/cgroup; nothing can be made there
    assert (facts["cgroup_node"] and facts["cgroup_writable"]) == name.endswith("-host")
    keys = ("storage_driver", "isolation", "runtime", "cgroups", "id_mode")
    assert tuple(plan[key] for key in keys) == PODS[name].expect
    image = f"{mirror.address}/v2/{name}:1"
    build = inside(
        f"mkdir -p /tmp/e; printf '{DOCKERFILE}' | docker build -q -t {image} -f - /tmp/e && docker push -q {image}"
    )
    assert build.returncode == 0, build.stderr
    assert mirror.digest(f"v2/{name}", "1").startswith("sha256:")
    if plan["cgroups"] == "enabled":
        said = inside(CONTAINER.format(image=image))
        assert said.returncode == 0, said.stdout + said.stderr
        memory, pids, sleeping, used, path = said.stdout.split("\n")[:5]
        assert (int(memory), int(pids), int(sleeping)) == (LIMIT, 50, 1)
        assert used.endswith("67.11MB")
        assert path.startswith("/libpod_parent/")
        # `kubectl exec` goes on working though podman has moved the pod's own processes to a leaf
        assert inside("cat /proc/self/cgroup").stdout.startswith("0::/")
    else:
        run = inside(f"docker run --rm {image} stat -c %a /x")
        assert run.stdout.strip() == "4755" or plan["id_mode"] == "none", run.stderr
        assert run.returncode == (77 if plan["id_mode"] == "none" else 0)
    _report("done", name, json.dumps(plan["cgroups"]))


def test_a_store_in_memory_is_vfs_where_tmpfs_has_no_extended_attributes(mirror: outer.Registry) -> None:
    """Linux 6.6 gave users' extended attributes to tmpfs; Debian 12's 6.1 mounts overlay there, and then fails."""
    if tuple(int(n) for n in os.uname().release.split(".")[:2]) >= (6, 6):
        pytest.fail("this is for an older kernel: take the case away, or the machine's kernel back")
    container = f"{outer.NAME}-v2-tmpfs"
    outer.podman(
        *("run", "--detach", "--rm", "--name", container, "--network=host", "--entrypoint=/bin/cat", "--interactive"),
        *(*SHAPES["tmpfs"].options, "--tmpfs=/var/lib/containers", outer.IMAGE),
    )
    try:
        plan = json.loads(outer.podman("exec", container, "podman-agent", "plan", "--json").stdout)
    finally:
        outer.podman("rm", "--force", "--time=0", container)
    assert mirror.address
    assert plan["storage_driver"] == "vfs"
