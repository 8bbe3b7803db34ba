"""The one writer: whole or not at all, and nothing left beside."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest
from podman_agent import files

if TYPE_CHECKING:
    from pathlib import Path


def test_text_and_bytes_get_the_mode_that_was_asked_for(tmp_path: Path) -> None:
    for data, mode in (("ä", 0o600), (b"\xff", 0o666)):
        files.replace(tmp_path / "file", data, mode=mode)
        assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode
    assert (tmp_path / "file").read_bytes() == b"\xff"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_what_fails_leaves_the_old_file_and_nothing_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.replace(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_name_as_long_as_names_may_be(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    files.replace(path, "x", sync=False)
    assert path.read_text() == "x"


def test_a_relative_name_is_one_below_the_descriptor(tmp_path: Path) -> None:
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        files.replace("file", "x", dir_fd=directory)
    finally:
        os.close(directory)
    assert (tmp_path / "file").read_text() == "x"


def test_the_file_is_the_owners_of_the_one_it_is_like(tmp_path: Path) -> None:
    os.chown(tmp_path, 1000, 1001)
    files.replace(tmp_path / "file", "x", like=tmp_path.stat())
    found = (tmp_path / "file").stat()
    assert (found.st_uid, found.st_gid) == (1000, 1001)
