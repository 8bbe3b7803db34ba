"""What HOME is to be for a uid that /etc/passwd does not know."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from podman_agent.pod.home import replacement

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

UID = 1000680000


def test_slash_becomes_the_images_home_where_that_may_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, _: path == tmp_path)
    assert replacement({"HOME": "/"}, UID, tmp_path) == str(tmp_path)
    assert replacement({}, UID, tmp_path) == str(tmp_path)
    assert replacement({"HOME": "/"}, UID, tmp_path / "not") == ""


def test_a_home_that_was_given_and_roots_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, _: path == tmp_path)
    assert replacement({"HOME": "/workspace"}, UID, tmp_path) == ""
    assert replacement({"HOME": "/"}, 0, tmp_path) == ""
