"""Registries and logins."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING

import pytest
from podman_agent.docker import login

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("server", "host"),
    [("", "docker.io"), ("https://index.docker.io/v1/", "docker.io"), ("https://r.example/v1/", "r.example"),
     ("r.example:5000", "r.example:5000"), ("http://127.0.0.1:5000/v2/", "127.0.0.1:5000")],
)  # fmt: skip
def test_registries_are_told_from_docker_commons_urls(server: str, host: str) -> None:
    assert login.host(server) == host


def test_pull_secrets_join_a_temporary_configuration(tmp_path: Path) -> None:
    """What is there wins, the file is private, and the pod's own file is not touched."""
    home, config = tmp_path / "home.json", tmp_path / "config.json"
    home.write_text(json.dumps({"auths": {"base.example": {"auth": "a"}, "both.example": {"auth": "old"}}}))
    config.write_text(json.dumps({"credHelpers": {"x": "y"}, "auths": {"both.example": {"auth": "new"}}}))
    before = home.read_text()
    login.merge_pull_secrets(config, home)
    found = json.loads(config.read_text())
    assert found["auths"] == {"base.example": {"auth": "a"}, "both.example": {"auth": "new"}}
    assert found["credHelpers"] == {"x": "y"}
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert home.read_text() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["config.json", "home.json"]
