"""The agent image, built and running, as the tests of it see it."""

from __future__ import annotations

import contextlib
import os
import shlex
import uuid
from typing import TYPE_CHECKING

import outer as machine
import pytest
import testinfra
from image import ROOT, TAG

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

    from testinfra.host import Host

# Not PODMAN_AGENT_*: the shim takes an unknown one of those for a typo.
IMAGE = os.environ.get("AGENT_IMAGE", TAG)


def outer(*args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the outer engine; a failure is the test's failure, with what the engine said."""
    done = machine.podman(*args, check=False)
    if check and done.returncode:
        pytest.fail(f"`podman {shlex.join(args)}` failed: {done.stderr.strip()}")
    return done


@pytest.fixture(scope="session", name="outer")
def _outer() -> Callable[..., subprocess.CompletedProcess[str]]:
    return outer


@pytest.fixture(scope="session")
def image() -> str:
    done = outer("image", "inspect", IMAGE, check=False)
    if done.returncode:
        pytest.fail(f"{IMAGE} is not in the local store, make image: {done.stderr.strip()}")
    return IMAGE


@pytest.fixture(scope="session")
def start(image: str) -> Iterator[Callable[..., Host]]:
    """Start the image as a pod does, `cat` in place of the entrypoint; takes options of `run`.

    testinfra execs with the `podman` on PATH, so that has to be our shim, too.
    """
    with contextlib.ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(ROOT / "entrypoint"), prepend=os.pathsep)
        for name in ("PODMAN_AGENT_GRAPHROOT", "PODMAN_AGENT_STATE_DIR"):
            patch.setenv(name, machine.ENVIRONMENT[name])

        def start(*options: str) -> Host:
            name = f"image-test-{uuid.uuid4().hex[:12]}"
            stack.callback(outer, "rm", "--force", "--time", "0", "--volumes", name, check=False)
            outer(
                *("run", "--detach", "--tty", "--name", name, "--network", "host"),
                *(*options, "--entrypoint", "cat", image),
            )
            return testinfra.get_host(f"podman://{name}")

        yield start


@pytest.fixture(scope="session")
def agent_container(start: Callable[..., Host]) -> Host:
    """A plain container of the image: default capabilities, root."""
    return start()
