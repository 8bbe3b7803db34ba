"""Names in archives of images."""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING

import pytest
from podman_agent.docker import archive

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST = json.dumps([{"Config": "c.json", "RepoTags": ["localhost/a:1", "docker.io/library/b:2", "r.example/c:3"]}])
REPOSITORIES = json.dumps({"localhost/a": {"1": "x"}})


def podmans() -> bytes:
    """An archive as podman writes it, with a layer behind the names and a link to it."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, text in (("manifest.json", MANIFEST), ("repositories", REPOSITORIES), ("l.tar", "layer" * 9000)):
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
        link = tarfile.TarInfo("x/layer.tar")
        link.type, link.linkname = tarfile.SYMTYPE, "../l.tar"
        tar.addfile(link)
    return target.getvalue()


def look(data: bytes) -> tuple[list[str], dict[str, object], int, str]:
    """Tags, repositories, the layer's size, the link's target."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        found = [tar.extractfile(name) for name in ("manifest.json", "repositories")]
        manifest, repositories = (json.loads(file.read()) for file in found if file)
        return manifest[0]["RepoTags"], repositories, tar.getmember("l.tar").size, tar.getmember("x/layer.tar").linkname


WANTED = (["a:1", "b:2", "r.example/c:3"], {"a": {"1": "x"}}, 45000, "../l.tar")


def test_names_in_a_stream_are_dockers() -> None:
    target = io.BytesIO()
    archive.copy(io.BytesIO(podmans()), target)
    assert look(target.getvalue()) == WANTED


def test_names_in_a_file_are_changed_where_they_stand(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(podmans())
    archive.rename(path)
    assert look(path.read_bytes()) == WANTED
    assert path.stat().st_size == len(podmans())


def test_what_is_no_archive_is_an_error() -> None:
    with pytest.raises(tarfile.ReadError):
        archive.copy(io.BytesIO(b"no archive"), io.BytesIO())
