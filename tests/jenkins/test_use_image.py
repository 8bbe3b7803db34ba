"""One's own image in every file below jenkins/, by a machine that has this clone and python3 and nothing else."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from podman_agent import cli

ROOT = Path(__file__).parents[2]
SHIPPED = "localhost/jenkins-podman-agent:latest"
OWN = "registry.example.com:5000/ci/jenkins-podman-agent:1"
DIGEST = f"registry.example.com/agent@sha256:{'0a' * 32}"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "jenkins", tmp_path / "clone/jenkins")
    return tmp_path / "clone"


def use(clone: Path, *image: str) -> subprocess.CompletedProcess[str]:
    """No environment, no packages of this Python's, another directory."""
    command = [sys.executable, "-I", "-S", str(clone / "jenkins/use-image"), *image]
    return subprocess.run(command, env={}, cwd="/", capture_output=True, text=True, check=False)


def texts(clone: Path) -> dict[str, str]:
    paths = [p for p in (clone / "jenkins").rglob("*") if p.is_file() and p.name != "use-image"]
    return {str(p.relative_to(clone)): p.read_text() for p in paths}


def test_every_file_names_the_image_and_may_do_so_again_and_back(clone: Path) -> None:
    before = texts(clone)
    named = {name for name, text in before.items() if SHIPPED in text}
    assert {"jenkins/casc/podman-agent.yaml", "jenkins/cache/gc-pvc.yaml", "jenkins/pipelines/pvc.Jenkinsfile"} < named
    first = use(clone, OWN)
    assert first.returncode == 0, first.stderr
    assert set(first.stdout.splitlines()[:-1]) >= named
    once = texts(clone)
    assert not [name for name, text in once.items() if SHIPPED in text]
    assert all(OWN in once[name] for name in named)
    assert use(clone, OWN).stdout == f"{OWN} is in place, 0 files changed\n"
    assert use(clone, DIGEST).returncode == 0
    assert use(clone, SHIPPED).returncode == 0
    assert texts(clone) == before
    assert sorted(texts(clone)) == sorted(before)  # and no file is left beside them


def test_the_generated_files_are_those_of_the_command_in_their_first_line(
    clone: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert use(clone, OWN).returncode == 0
    monkeypatch.chdir(clone)
    for path in [*(clone / "jenkins/pods").iterdir(), *(clone / "jenkins/casc").iterdir()]:
        text = path.read_text()
        assert cli.main(shlex.split(text.splitlines()[0].removeprefix("# podman-agent "))) == 0
        assert capsys.readouterr().out == text
        for made in yaml.safe_load_all(text):
            if made.get("kind") == "Pod":
                assert OWN in [container["image"] for container in made["spec"]["containers"]]


@pytest.mark.parametrize("image", ["", "Not An Image", "-h", "a b", "x;reboot", "https://r.example/x"])
def test_what_is_no_reference_changes_nothing(clone: Path, image: str) -> None:
    before = texts(clone)
    done = use(clone, image)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert texts(clone) == before
