"""Which files docker reads.

Expectations: BuildKit's ``dockerfile_dockerignore_test.go`` (testDockerignoreOverride) and ``dockerfile_core_test.go``
(testDockerfileLowercase).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from podman_agent.build.place import directory, dockerfile, ignore_file, ignore_file_of_podman

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("there", "named", "read"),
    [
        (["Dockerfile", "Containerfile"], None, "Dockerfile"),
        (["dockerfile", "Containerfile"], None, "dockerfile"),
        (["Containerfile"], None, "Containerfile"),
        (["dockerfile"], "Dockerfile", "dockerfile"),
        (["x"], "x", "x"),
        (["x"], "y", None),
        ([], None, None),
    ],
)
def test_the_dockerfile(tmp_path: Path, there: list[str], named: str | None, read: str | None) -> None:
    for name in there:
        (tmp_path / name).touch()
    found = dockerfile(tmp_path, str(tmp_path / named) if named else None)
    assert found == (tmp_path / read if read else None)


@pytest.mark.parametrize(
    ("there", "dockers", "podmans"),
    [
        ([".dockerignore", ".containerignore"], ".dockerignore", ".containerignore"),
        (["D.dockerignore", "D.containerignore", ".dockerignore"], "D.dockerignore", "D.dockerignore"),
        ([".dockerignore"], ".dockerignore", ".dockerignore"),
        ([".containerignore"], None, ".containerignore"),
        ([], None, None),
    ],
)
def test_the_ignore_file(tmp_path: Path, there: list[str], dockers: str | None, podmans: str | None) -> None:
    for name in there:
        (tmp_path / name).touch()
    file = tmp_path / "D"
    assert ignore_file(tmp_path, file) == (tmp_path / dockers if dockers else None)
    assert ignore_file_of_podman(tmp_path, file) == (tmp_path / podmans if podmans else None)


@pytest.mark.parametrize("context", [None, "-", "https://example.com/a.git", "/nowhere"])
def test_what_is_no_directory_is_podmans_affair(context: str | None) -> None:
    assert directory(context) is None
