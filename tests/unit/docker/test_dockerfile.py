"""The Dockerfile that podman is given, and how."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from podman_agent.docker.build import BuildPlan, translate
from podman_agent.docker.call import Call
from podman_agent.docker.dockerfile import hand_over
from podman_agent.errors import RefusalError

if TYPE_CHECKING:
    from collections.abc import Iterator

PLAIN = "FROM busybox\nRUN a\n"
LINKED = "FROM busybox AS B\nCOPY --link a b\n"


@pytest.fixture
def stdin() -> Iterator[None]:
    """Puts the test's own stdin back."""
    kept = os.dup(0)
    yield
    os.dup2(kept, 0)
    os.close(kept)


def plan(*args: str, isolation: str = "oci", podman: str = "/usr/bin/podman") -> BuildPlan:
    """The plan for these arguments."""
    return hand_over(Call(podman, [], {"BUILDAH_ISOLATION": isolation}, []), translate(list(args), {}))


def test_the_users_own_file_by_name(tmp_path: Path) -> None:
    for name in ("Dockerfile", "Containerfile"):
        (tmp_path / name).write_text(PLAIN)
    assert plan(str(tmp_path)).options == [f"--file={tmp_path}/Dockerfile"]


@pytest.mark.usefixtures("stdin")
def test_a_rewritten_copy_on_stdin(tmp_path: Path) -> None:
    """With the ignore file that belonged to the user's own."""
    (tmp_path / "D").write_text(LINKED)
    (tmp_path / "D.dockerignore").touch()
    made = plan("-f", f"{tmp_path}/D", "--target=b", str(tmp_path))
    assert made.options == ["--target=b", "--file=-", f"--ignorefile={tmp_path}/D.dockerignore"]
    assert os.read(0, 1000).decode() == LINKED.replace("AS B", "AS b").replace("--link", "")
    assert (tmp_path / "D").read_text() == LINKED


@pytest.mark.usefixtures("stdin")
def test_a_file_from_stdin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(PLAIN.encode())))
    assert plan("-f", "-", str(tmp_path)).options == ["--file=-"]
    assert os.read(0, 1000).decode() == PLAIN


def test_dockers_ignore_file_before_podmans(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(PLAIN)
    for name in (".dockerignore", ".containerignore"):
        (tmp_path / name).touch()
    assert plan(str(tmp_path)).options[1:] == [f"--ignorefile={tmp_path}/.dockerignore"]
    assert plan("--ignorefile=x", str(tmp_path)).options == ["--ignorefile=x", f"--file={tmp_path}/Dockerfile"]


def test_an_ignore_file_in_podmans_words(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(PLAIN)
    (tmp_path / ".dockerignore").write_text("**.md\n")
    (option,) = plan(str(tmp_path)).options[1:]
    assert Path(option.removeprefix("--ignorefile=")).read_text() == "**/*.md\n"


@pytest.mark.parametrize("args", [("-",), ("https://example.com/a.git",), ("-f", "x", "."), ()])
def test_what_is_not_on_this_disk_is_podmans_affair(args: tuple[str, ...]) -> None:
    assert plan(*args) == translate(list(args), {})


def test_no_network_is_refused_where_steps_have_none_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN --network=none a\n")
    assert plan(str(tmp_path)).options == [f"--file={tmp_path}/Dockerfile"]
    with pytest.raises(RefusalError, match="Dockerfile:2: RUN --network=none"):
        plan(str(tmp_path), isolation="chroot")
    with pytest.raises(RefusalError):
        plan("--isolation=chroot", str(tmp_path))
    with pytest.raises(RefusalError):
        plan(str(tmp_path), podman="/opt/podman-agent/entrypoint/podman-without-namespaces")
