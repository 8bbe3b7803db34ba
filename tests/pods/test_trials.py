"""The trials on this machine's own kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from podman_agent.pod import trials

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.nested


def test_an_overlay_that_mounts_but_cannot_replace_a_directory_is_none(disk: Path) -> None:
    """Without userxattr the kernel mounts in a user namespace, and `rm -r d && mkdir d` ends with an I/O error."""
    assert trials.overlay(disk, userns=True, userxattr=True) == ""
    assert trials.overlay(disk, userns=True, userxattr=False) == "Input/output error"
    assert not list(disk.glob(".podman-agent-trial-*"))
