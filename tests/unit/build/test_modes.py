"""Symbolic modes, against chmod(1) itself."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from podman_agent.build.modes import absolute, apply

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("mode", [0o644, 0o600, 0o755, 0o000, 0o4711])
def test_a_change_does_what_chmod_does(tmp_path: Path, mode: int) -> None:
    changes = [
        "a+x",
        "u+rwx",
        "go-rwx",
        "u=rwX,go=rX",
        "a=",
        "ug=rw,o=r",
        "u+x,o-r",
        "a-x+X",
        "u+s",
        "o=x,g+w",
        "u=r+x",
    ]
    for change in changes:
        file = tmp_path / "f"
        file.touch()
        file.chmod(mode)
        subprocess.run(["chmod", change, str(file)], check=True)
        assert apply(change, mode) == file.stat().st_mode & 0o7777, (change, oct(mode))


@pytest.mark.parametrize(
    ("text", "mode"),
    [("u=rwx,go=rx", 0o755), ("=r", 0o444), ("a=rw", 0o666), ("a=r,u+w", 0o644), ("+x", None), ("u=rwx", None),
     ("a=X", None), ("nonsense", None), ("u=g", None)],
)  # fmt: skip
def test_what_is_one_mode_for_all(text: str, mode: int | None) -> None:
    assert absolute(text) == mode
