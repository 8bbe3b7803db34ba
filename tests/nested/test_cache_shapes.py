"""The cache volume in pods without privilege, and with vfs: claims, warm starts, sudden death, gc, verify."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import outer
import pytest
from podman_agent.store import layout
from pods.shapes import SHAPES

sys.path.append(str(Path(__file__).parents[1] / "soak"))

import agents

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.nested, pytest.mark.usefixtures("agent_image")]

OPTIONS = {
    "least-capabilities": SHAPES["least-capabilities"].options,
    "user-1000": SHAPES["user-1000"].options,
    "user-1000-no-new-privileges": SHAPES["user-1000-no-new-privileges"].options,
    "vfs": ("--privileged", "--env=PODMAN_AGENT_STORAGE_DRIVER=vfs"),
}
TEXT = "FROM {base}\\nRUN sha256sum -c -s /sums && echo {word} >/word\\n"
BUILD = f"printf '{TEXT}' | docker build -q {{options}} -t app:{{word}} -"


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    """The name of a base image in a registry on loopback."""
    with outer.scratch("cache-shapes") as work, agents.registry(work) as registry:
        yield f"{registry.address}/soak/base:1"


class Agent:
    """A container of one pod shape on the volume."""

    def __init__(self, options: tuple[str, ...], volume: Path) -> None:
        self.name = f"{outer.NAME}-cache-{secrets.token_hex(3)}"
        outer.podman(
            *("run", "--detach", "--rm", "--name", self.name, "--network=host", "--interactive", *options),
            *(f"--volume={volume}:/var/lib/containers", "--entrypoint=/bin/cat", outer.IMAGE),
        )

    def sh(self, script: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        script = f"cd /tmp; {script}"
        return outer.podman("exec", self.name, "timeout", "150", "bash", "-e", "-c", script, check=check)

    def die(self) -> None:
        """As at the end of a job."""
        outer.podman("kill", "--signal=KILL", self.name, check=False)
        outer.podman("wait", self.name, check=False)


@pytest.fixture
def start(volume: Path) -> Iterator[Callable[[str], Agent]]:
    """Start containers of a shape on this test's volume."""
    volume.chmod(0o777)  # what fsGroup does for a runAsUser pod
    agents: list[Agent] = []

    def make(shape: str) -> Agent:
        agents.append(Agent(OPTIONS[shape], volume))
        return agents[-1]

    yield make
    for agent in agents:
        outer.podman("rm", "--force", "--time=0", agent.name, check=False)


@pytest.mark.parametrize("shape", OPTIONS)
def test_a_store_survives_its_pod_warms_its_siblings_and_can_be_collected(
    shape: str, start: Callable[[str], Agent], base: str, volume: Path
) -> None:
    """All on the real engine, with the storage driver and user namespace of this shape."""
    first = start(shape)
    first.sh(BUILD.format(base=base, word="one", options=""))
    busy = "(while :; do docker build -q --no-cache - <Dockerfile; docker pull -q {base}; docker rmi -f {base}; done)"
    first.sh(
        f"printf 'FROM {base}\\nRUN cp -r /data /copy\\n' >Dockerfile; {busy.format(base=base)} >log 2>&1 & sleep 1.5"
    )
    first.die()
    second = start(shape)
    assert "default/0" in second.sh("podman-agent plan").stdout
    second.sh(BUILD.format(base=base, word="two", options=""))
    assert second.sh("podman-agent cache verify").returncode == 0
    third = start(shape)
    plan = third.sh("podman-agent plan").stdout
    assert "default/1" in plan
    assert "images by hard links" in plan
    third.sh(BUILD.format(base=base, word="three", options="--pull=never"))
    second.die()
    freed = third.sh("podman-agent gc --age 0s").stdout
    assert "default/0: store removed" in freed
    assert third.sh("podman-agent cache verify").returncode == 0
    third.sh(BUILD.format(base=base, word="four", options="--pull=never"))
    assert [store.name for store in layout.all_stores(volume)] == ["default/1"]
