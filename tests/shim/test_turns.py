"""Builds and prunes of one container take turns; nobody else waits."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from shim.conftest import ROOT

if TYPE_CHECKING:
    from shim.conftest import Shim

BUILDS = [
    ("docker", "build", "."),
    ("podman", "build", "."),
    ("docker", "buildx", "build", "."),
    ("buildah", "bud", "."),
]
PRUNES = [
    ("docker", "image", "prune", "-af"),
    ("podman", "image", "prune", "-f"),
    ("docker", "system", "prune", "-f"),
    ("docker", "builder", "prune", "-af"),
]
AT_WORK = "echo at work; read go; echo done"


def start(shim: Shim, name: str, *args: str, script: str) -> subprocess.Popen[str]:
    """A call whose podman says `at work` and waits for a line."""
    pipe = subprocess.PIPE
    entry = str(ROOT / "entrypoint" / name)
    env = {**shim.env, "FAKE_SH": script}
    return subprocess.Popen([entry, *args], env=env, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def says(process: subprocess.Popen[str], seconds: float) -> bool:
    """Whether podman has said something within so many seconds."""
    assert process.stdout
    return bool(select.select([process.stdout.fileno()], [], [], seconds)[0])


@pytest.fixture(autouse=True)
def _programs(shim: Shim) -> None:
    buildah = shim.directory / "bin/buildah"
    if not buildah.exists():
        buildah.symlink_to("podman")
    shim.call("version")


@pytest.mark.parametrize("prune", PRUNES, ids=" ".join)
def test_a_prune_waits_for_the_builds_that_run(shim: Shim, prune: tuple[str, ...]) -> None:
    builds = [start(shim, *BUILDS[0], script=AT_WORK), start(shim, *BUILDS[1], script=AT_WORK)]
    assert all(says(build, 60) for build in builds), "builds do not wait for each other"
    pruning = start(shim, *prune, script="echo pruned")
    assert not says(pruning, 0.5)
    for build in builds:
        assert "done" in build.communicate("go\n", timeout=60)[0]
    out, err = pruning.communicate(timeout=60)
    assert pruning.returncode == 0, err
    assert "prune" in out + err or "space" in out + err


@pytest.mark.parametrize("build", BUILDS, ids=" ".join)
def test_a_build_waits_for_a_prune(shim: Shim, build: tuple[str, ...]) -> None:
    pruning = start(shim, "podman", "image", "prune", "-f", script=AT_WORK)
    assert says(pruning, 60)
    building = start(shim, *build, script="echo built")
    assert not says(building, 0.5)
    pruning.communicate("go\n", timeout=60)
    assert "built" in building.communicate(timeout=60)[0]


def test_a_killed_build_keeps_nobody_waiting(shim: Shim) -> None:
    build = start(shim, "podman", "build", ".", script="echo at work; exec sleep 60")
    assert says(build, 60)
    for child in Path(f"/proc/{build.pid}/task/{build.pid}/children").read_text().split():
        os.kill(int(child), signal.SIGKILL)
    build.kill()
    build.wait(60)
    assert "pruned" in start(shim, "podman", "image", "prune", "-f", script="echo pruned").communicate(timeout=60)[0]


@pytest.mark.parametrize("args", [("image", "ls"), ("run", "busybox", "prune"), ("system", "df"), ("volume", "prune")])
def test_nothing_else_waits(shim: Shim, args: tuple[str, ...]) -> None:
    build = start(shim, "docker", "build", ".", script=AT_WORK)
    assert says(build, 60)
    assert start(shim, "podman", *args, script="echo there").communicate(timeout=60)[0] == "there\n"
    build.communicate("go\n", timeout=60)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("call", ["docker images", "docker ps", "docker build .", "podman run x"])
def test_closed_streams_are_no_traceback_and_no_file(shim: Shim, call: str, closed: str) -> None:
    """The next file that is opened would get the number of the one that is closed, and be written to."""
    said = shim.directory / "said"
    script = f"readlink /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 >{said} || :"
    env = {**shim.env, "FAKE_SH": script}
    done = subprocess.run(
        ["bash", "-c", f"{call} {closed}"], env=env, capture_output=True, text=True, check=False, timeout=60
    )
    assert "Traceback" not in done.stderr
    assert "/builds" not in said.read_text()
    assert str(shim.directory / "state") not in said.read_text()
