"""What a source loses or makes anew while it is linked is not taken for what was linked."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from podman_agent.store.content import image_names
from podman_agent.store.merge import merge
from podman_agent.store.verify import verify
from store.fabricate import Fabric, small

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def pulled_anew(fabric: Fabric) -> None:
    fabric.layers[1]["created"] = "2026-11-24T09:32:50Z"


def made_anew(fabric: Fabric) -> None:
    diff = fabric.root / "overlay" / fabric.layers[1]["id"] / "diff"
    shutil.copytree(diff, diff.with_name("new"))
    diff.rename(diff.with_name("old"))  # keeps its inode from being used again
    diff.with_name("new").rename(diff)


@pytest.mark.parametrize("change", [pulled_anew, made_anew])
def test_a_layer_that_was_pulled_again_meanwhile_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Fabric], None]
) -> None:
    fabric = small(tmp_path / "source")
    whole = merge.__globals__["_Merger"]._commit

    def again(merger: object) -> int:
        change(fabric)
        fabric.save()
        return int(whole(merger))

    monkeypatch.setattr(merge.__globals__["_Merger"], "_commit", again)
    merge(tmp_path / "source", tmp_path / "target", tmp_path / "aside")
    assert image_names(tmp_path / "target") == {"docker.io/library/base:latest"}
    assert not verify(tmp_path / "target").damage


def test_no_file_that_podman_reads_a_layer_by_is_written_anew(tmp_path: Path) -> None:
    """So that none can be torn by a crash of the node after its source has long been on disk."""
    small(tmp_path / "source")
    merge(tmp_path / "source", tmp_path / "target", tmp_path / "aside")
    written = {
        path.name
        for path in (tmp_path / "target").rglob("*")
        if path.is_file() and not path.is_symlink() and path.stat().st_nlink == 1
    }
    assert written == {"link", "layers.json", "volatile-layers.json", "images.json"}
