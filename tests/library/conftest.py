"""A pod of the real image with our command in it, a registry with a fault proxy, and a quick policy."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import outer
import pytest
from library.faultproxy import FaultProxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

USER, PASSWORD = "team", "correct-horse-battery"
# The global switch: nothing ever sleeps between attempts.
QUICK = {"PODMAN_AGENT_RETRY_MAX_WAIT": "0", "PODMAN_AGENT_RETRY_ATTEMPTS": "3"}


class Agent:
    """One pod of the privileged template with a work directory that both sides see."""

    def __init__(self, pod: outer.Pod, work: Path) -> None:
        self.pod, self.work = pod, work

    def sh(self, script: str, *, check: bool = True, env: dict[str, str] | None = None, stdin: str = "") -> Any:
        """Run a script in /work, which is `work` here."""
        return self.pod.sh(f"cd /work\n{script}", check=check, env={**QUICK, **(env or {})}, shell="sh -e", stdin=stdin)

    def python(self, program: str, **rest: Any) -> Any:
        """Run a Python program in the image's own environment."""
        return self.sh("/opt/podman-agent/venv/bin/python -", stdin=program, **rest)


@pytest.fixture(scope="session")
def agent(agent_image: str, mirror: outer.Registry, disk: Path) -> Iterator[Agent]:
    """One pod for all tests of the library."""
    work, volume = disk / "library-work", disk / "library-volume"
    work.mkdir()
    volume.mkdir()
    image = os.environ.get("LIBRARY_TEST_IMAGE") or agent_image
    env = {"PODMAN_AGENT_MIRRORS": f"docker.io={mirror.address}"}
    pod = outer.Pod(outer.ROOT / "jenkins/pods/privileged-hostpath.yaml", host_path=volume, env=env, image=image)
    with pod:
        # The one volume of the template is the store; the work directory is a folder of it.
        (volume / "library-work").mkdir(exist_ok=True)
        pod.sh("ln -s /var/lib/containers/library-work /work")
        yield Agent(pod, volume / "library-work")


@pytest.fixture(scope="session")
def upstream(disk: Path) -> Iterator[outer.Registry]:
    """The real registry behind the proxies."""
    with outer.Registry(disk / "library-registry") as registry:
        yield registry


@pytest.fixture
def proxy(upstream: outer.Registry) -> Iterator[FaultProxy]:
    """A proxy that misbehaves when told to."""
    with FaultProxy(upstream.address) as running:
        yield running


@pytest.fixture
def token_proxy(upstream: outer.Registry) -> Iterator[FaultProxy]:
    """A proxy that asks for a token, as Docker Hub does."""
    with FaultProxy(upstream.address, users={USER: PASSWORD}) as running:
        yield running
