"""Podman's run state in memory: the link, and what becomes of it when the container starts again."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from podman_agent import shim, state

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def runroot(tmp_path: Path) -> Iterator[Path]:
    """Where podman has it; what was made in /dev/shm is gone afterwards."""
    path = tmp_path / "containers/storage"
    made = set()
    yield path
    if path.is_symlink():
        made.add(path.readlink())
    for directory in made:
        shutil.rmtree(directory, ignore_errors=True)


def test_the_link_is_made_once_for_a_start(runroot: Path) -> None:
    """A plan made again, under other overrides, finds the mounts of the first."""
    state._link_runroot(runroot)
    target = runroot.readlink()
    assert target.parent.name == "shm"
    (target / "mounts").touch()
    state._link_runroot(runroot)
    assert (runroot / "mounts").exists()


def test_a_container_that_starts_again_does_not_see_the_state_of_its_last_start(
    runroot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`podman restart` keeps the container's files, and may keep /dev/shm."""
    monkeypatch.setattr(shim, "stamp", lambda: "boot 1")
    state._link_runroot(runroot)
    last = runroot.readlink()
    monkeypatch.setattr(shim, "stamp", lambda: "boot 2")
    state._link_runroot(runroot)
    shutil.rmtree(last)
    assert runroot.readlink() != last
    assert runroot.is_dir()


def test_a_link_that_leads_nowhere_is_made_anew(runroot: Path) -> None:
    """/dev/shm is emptied when a container starts again."""
    state._link_runroot(runroot)
    runroot.readlink().rmdir()
    state._link_runroot(runroot)
    assert runroot.is_dir()


def test_a_directory_that_podman_uses_already_stays(runroot: Path) -> None:
    """Whoever called podman by its full path before the first plan has mounts there."""
    runroot.mkdir(parents=True)
    (runroot / "overlay").mkdir()
    state._link_runroot(runroot)
    assert not runroot.is_symlink()
    assert (runroot / "overlay").is_dir()
