"""What tests on the real engine share: the image of this tree, a registry that wants a login, a mirror, pods."""

from __future__ import annotations

import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import outer
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PODS = outer.ROOT / "jenkins/pods"


@pytest.fixture(scope="session")
def agent_image() -> str:
    """The agent image, made by `make image` before the tests."""
    outer.begin()
    if outer.podman("image", "exists", outer.IMAGE, check=False).returncode:
        pytest.fail(f"{outer.IMAGE} is not there: make image")
    return outer.IMAGE


def pytest_unconfigure() -> None:
    """Leave nothing mounted."""
    outer.unmount_home()


@pytest.fixture(scope="session")
def disk() -> Iterator[Path]:
    """A directory on a disk, for volumes and registries; gone afterwards."""
    with outer.scratch("test") as path:
        yield path


@pytest.fixture(scope="session")
def mirror(disk: Path) -> Iterator[outer.Registry]:
    """A registry that stands in for docker.io and serves library/busybox; asks for no login."""
    with outer.Registry(disk / "mirror") as registry:
        outer.push_busybox(registry)
        yield registry


@pytest.fixture(scope="session")
def registry(disk: Path) -> Iterator[outer.Registry]:
    """A registry that wants the login user:secret-word."""
    with outer.Registry(disk / "registry", "user", "secret-word") as registry:
        yield registry


@pytest.fixture
def volume(disk: Path, request: pytest.FixtureRequest) -> Path:
    """An empty directory for one test's /var/lib/containers."""
    (disk / "volumes").mkdir(exist_ok=True)
    path = Path(tempfile.mkdtemp(prefix=request.node.name.replace("/", "_")[:40], dir=disk / "volumes"))
    path.chmod(0o755)
    return path


@pytest.fixture
def pod(agent_image: str, mirror: outer.Registry, volume: Path) -> Callable[..., outer.Pod]:
    """Make a pod of the privileged hostPath template on this test's volume; a context manager."""

    def make(**env: str) -> outer.Pod:
        assert agent_image
        env = {"PODMAN_AGENT_MIRRORS": f"docker.io={mirror.address}", **env}
        return outer.Pod(PODS / "privileged-hostpath.yaml", host_path=volume, env=env)

    return make


@pytest.fixture
def default_signals() -> Iterator[None]:
    """Let children meet signals that whoever started the tests ignores: ``nohup``, ``&`` of a script, many CIs.

    A signal that is ignored stays so across exec, one with a handler gets its default back (signal(7)); so it is
    handled here, by nothing, while such a test runs, and this process goes on ignoring it.
    """
    ignored = [n for n in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM) if signal.getsignal(n) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, lambda *_: None)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
