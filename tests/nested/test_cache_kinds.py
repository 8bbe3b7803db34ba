"""The cache volume in pods without privilege: claims, warm starts, sudden deaths, gc and verify on mapped files."""

from __future__ import annotations

import contextlib
import json
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import outer
import pytest
from pods.shapes import SHAPES

sys.path.append(str(Path(__file__).parents[1] / "soak"))

import agents
import kill
from podman_agent.store import layout, usage
from podman_agent.store.beneath import Root
from podman_agent.store.layout import HOME

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

pytestmark = [pytest.mark.nested, pytest.mark.usefixtures("agent_image")]

# a directory that only its owner may enter, an opaque one, and a file that is gone
OWNERS = """FROM {base}
RUN mkdir -p /home/u/private && echo secret > /home/u/private/f && chown -R 1000:1000 /home/u && chmod -R go= /home/u
RUN rm -rf /data/d1 && mkdir /data/d1 && touch /data/d1/new && rm /data/d0/1
"""
CHECK = (
    'test "$(ls /data/d1)" = new; test ! -e /data/d0/1; test "$(stat -c %u:%a /home/u/private/f)" = {uid}:600;'
    ' test "$(cat /home/u/private/f)" = secret; echo more >> /home/u/private/f; rm -r /home/u'
)
VFS = {"PODMAN_AGENT_STORAGE_DRIVER": "vfs"}
# shape, variables, and the kind of store it has
KINDS = {
    "least-capabilities": ("least-capabilities", {}, "rootless-0", "overlay"),
    "user-1000": ("user-1000", {}, "rootless-1000", "overlay"),
    "one-id": ("arbitrary-user", {}, "single-1000650000", "overlay"),
    "vfs": ("default-volume", VFS, "rootless-0-vfs", "vfs"),
    "no-namespaces": ("runtime-default", {}, "bare-0", "vfs"),
}


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    """An image with files of another owner, in a registry."""
    with outer.scratch("shapes-registry") as work, agents.registry(work) as registry:
        name = f"{registry.address}/soak/owners:1"
        outer.podman("build", "-q", "-t", name, "-", stdin=OWNERS.format(base=f"{registry.address}/soak/base:1"))
        outer.podman("push", "-q", name)
        outer.podman("rmi", name)
        yield name


class Agent:
    """A pod of one kind on a volume; `kill` ends it as the end of a job does."""

    def __init__(self, kind: str, volume: Path, image: str, **env: str) -> None:
        shape, variables, self.flavour, self.driver = KINDS[kind]
        self.uid = 0 if kind == "one-id" else 1000
        self.image, self.name = image, f"{outer.NAME}-cache-{secrets.token_hex(4)}"
        options = [f"--env={k}={v}" for k, v in {**variables, **env}.items()]
        outer.podman(
            *("run", "--detach", "--rm", "--name", self.name, "--network=host", "--entrypoint=/bin/cat"),
            *("--interactive", *options, *SHAPES[shape].options, f"--volume={volume}:/var/lib/containers"),
            outer.IMAGE,
        )

    def sh(self, script: str, *, code: int = 0) -> str:
        """Run a script as this pod's user; gives its standard output."""
        done: subprocess.CompletedProcess[str] = outer.podman(
            "exec", self.name, "timeout", "120", "bash", "-ec", f"cd /tmp\n{script}", check=False
        )
        assert done.returncode == code, f"{script}\n{done.stdout}{done.stderr}"
        return done.stdout

    def build(self, *options: str) -> None:
        """Build on the image, and compare what the step sees with what the image has."""
        lines = f"'FROM {self.image}' 'RUN set -e; {CHECK.format(uid=self.uid)}'"
        self.sh(f"printf '%s\\n' {lines} | docker build {' '.join(options)} --no-cache -q -t app -")

    @property
    def store(self) -> str:
        """What the plan says of the store this pod claimed."""
        plan = json.loads(self.sh("podman-agent plan --json"))
        assert plan["storage_driver"] == self.driver
        return str(next(r["value"] + ": " + r["why"] for r in plan["reasons"] if r["choice"] == "store"))

    def kill(self) -> None:
        """SIGKILL for all of the container at once."""
        outer.podman("kill", "--signal=KILL", self.name, check=False)
        outer.podman("rm", "--force", "--time=0", self.name, check=False)


@contextlib.contextmanager
def pod(kind: str, volume: Path, image: str, **env: str) -> Iterator[Agent]:
    """An `Agent`, killed at the end of the block."""
    volume.chmod(0o777)
    agent = Agent(kind, volume, image, **env)
    try:
        yield agent
    finally:
        agent.kill()


@pytest.mark.parametrize("kind", ["user-1000", "one-id", "vfs"])
def test_a_cache_without_privilege_is_claimed_warm_and_freed(kind: str, volume: Path, image: str) -> None:
    with pod(kind, volume, image) as first:
        assert first.store.startswith("default/0: ")
        first.build()
        first.sh(f"docker run -d {image} sleep 1000")
        with pod(kind, volume, image) as second:
            assert "2 images by hard links" in second.store
            second.build("--pull=never")
            proved = second.sh("podman-agent cache verify")
            assert "default/0: 2 images, " in proved
            assert "default/1: 3 images, " in proved
    assert {s.state.flavour for s in layout.all_stores(volume)} == {first.flavour}
    with pod(kind, volume, image) as third:
        assert "default/1" in third.store
        assert third.sh("docker ps -aq --external; ls -A /tmp/podman-agent-0 2>&1 | grep claim || true") == ""
        third.build("--pull=never")
        third.sh("podman-agent cache verify")
        assert "default/0: " in third.sh("podman-agent gc --budget 1")
        assert len(list(layout.all_stores(volume))) == 1, "one claim a pod, and gc took the other store away"
    with pod(kind, volume, image, PODMAN_AGENT_CACHE_KEY="other") as fourth:
        fourth.sh("podman-agent gc --budget 1 --key default")
    left = usage.usage([volume / HOME / "default"], Root(volume))
    assert left < 1 << 20, f"{left} bytes left after everything was collected"


def test_pods_of_all_kinds_share_a_volume_but_no_store(volume: Path, image: str) -> None:
    with contextlib.ExitStack() as pods:
        for kind in KINDS:
            agent = pods.enter_context(pod(kind, volume, image))
            agent.build()
    found = {store.state.flavour: store.name for store in layout.all_stores(volume)}
    assert set(found) == {kind[2] for kind in KINDS.values()}
    for kind in KINDS:
        with pod(kind, volume, image) as again:
            assert again.store.startswith(f"{found[again.flavour]}: ")
            assert "default/" in again.sh("podman-agent cache ls")
            again.sh(f"podman-agent cache verify {found[again.flavour]}; podman-agent gc")


@pytest.mark.parametrize("kind", ["one-id", "vfs"])
def test_a_warmed_image_is_for_its_kind_of_pod(kind: str, volume: Path, image: str) -> None:
    with pod(kind, volume, image) as warming:
        assert "default/sealed/1: 1 images" in warming.sh(f"podman-agent cache warm {image}")
    with pod(kind, volume, image) as same:
        assert "1 base images by hard links" in same.store or "1 images by hard links" in same.store
        same.build("--pull=never")
    with pod("least-capabilities", volume, image) as other:
        assert "0 images by hard links" in other.store
        other.build()


def test_after_sudden_deaths_in_a_user_namespace_the_next_pod_builds_the_right_image(
    volume: Path, image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume.chmod(0o777)
    monkeypatch.setattr(kill, "LONGEST_LIFE", 1.2)
    address = image.partition("/")[0]
    options = SHAPES["user-1000"].options
    done, failures, load = kill.kill_loop(volume, address, mode="agent", kills=4, seconds=600, options=options)
    assert (done, failures, load) == (4, [], [])
    assert kill.damage(volume) == []
    assert len(list(layout.all_stores(volume))) == 1
