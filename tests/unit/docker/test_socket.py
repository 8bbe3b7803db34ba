"""The Docker API socket, where there can be none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from podman_agent.docker import socket
from podman_agent.docker.call import Call
from podman_agent.errors import UnavailableError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_directory_that_cannot_be_written_is_named_with_its_cure(tmp_path: Path) -> None:
    """No listener is forked for it, whose own words nobody would see."""
    path = tmp_path / "missing/docker.sock"
    with pytest.raises(UnavailableError, match=r"nobody listens on .*cannot be written.*emptyDir at /run"):
        socket.ensure(Call("podman", [], {}, []), str(path))
