"""One answer to where the volume is: the plan's, gc's and cache ls'."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from podman_agent.pod import volume
from store.conftest import end

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = 1000
CLI = "import sys; from podman_agent import cli; sys.exit(cli.main())"
LOOK = "from podman_agent.prepare import state; print(state.look().facts.store)"
WHERE = f"import os; from podman_agent.pod.volume import volume; print(volume(os.environ, {USER}))"


class User:
    """Runs this package as an ordinary user, who can read neither root's home nor a venv in it."""

    def __init__(self, pylib: Path) -> None:
        self.pylib = pylib
        self.python = shutil.which("python3", path=os.defpath)

    def __call__(self, code: str, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a program of Python with these variables."""
        assert self.python
        return subprocess.run(
            [self.python, "-P", "-c", code, *args],
            env={"PYTHONPATH": str(self.pylib), "PATH": os.defpath, **env},
            user=USER,
            group=USER,
            extra_groups=[],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
        )


@pytest.fixture(scope="module")
def as_user(tmp_path_factory: pytest.TempPathFactory) -> User:
    copy = tmp_path_factory.mktemp("user") / "pylib"
    shutil.copytree(Path(__file__).parents[3] / "pylib", copy, ignore=shutil.ignore_patterns("__pycache__"))
    # pytest's own directories of this run are root's alone; under xdist there is one more
    for parent in (p for p in copy.parents if p.name.startswith(("user", "popen-", "pytest-"))):
        parent.chmod(0o755)
    return User(copy)


def test_the_variable_wins() -> None:
    assert volume.volume({"PODMAN_AGENT_VOLUME": "/cache", "HOME": "/root"}, USER) == Path("/cache")


def test_root_is_told_when_its_volume_may_not_be_written() -> None:
    assert volume.volume({"HOME": "/root"}, 0) == volume.DEFAULT


def test_a_directory_that_may_not_be_searched_is_not_there(tmp_path: Path, as_user: User) -> None:
    """Path.exists raises there: a home directory of root's, mode 0700, was a traceback."""
    tmp_path.chmod(0o700)
    done = as_user(WHERE, HOME=str(tmp_path / "home"))
    assert done.stdout.strip() == f"/tmp/podman-agent-{USER}/containers", done.stderr


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home directory of an ordinary user, in a container whose /var/lib/containers is root's."""
    tmp_path.chmod(0o755)
    made = tmp_path / "home"
    made.mkdir()
    os.chown(made, USER, USER)
    yield made
    end(made)


def test_the_plan_gc_and_ls_see_one_store(home: Path, as_user: User) -> None:
    mine = {"PODMAN_AGENT_STATE_DIR": str(home / "state"), "PODMAN_AGENT_CACHE_KEY": "team", "HOME": str(home)}
    planned = as_user(LOOK, **mine)
    assert planned.stdout.strip() == "team/0", planned.stderr
    listed = as_user(CLI, "cache", "ls", **mine)
    assert "team/0" in listed.stdout, listed.stderr
    collected = as_user(CLI, "gc", **mine)
    assert f"on {home}/.local/share/containers" in collected.stdout, collected.stderr
    assert "team/0" in collected.stdout


@pytest.mark.parametrize("command", [["gc"], ["cache", "ls"], ["cache", "verify"], ["cache", "rm", "--all"]])
@pytest.mark.parametrize("closed", ["", "podman-agent"])
def test_a_directory_that_may_not_be_read_is_one_clear_line(
    tmp_path: Path, as_user: User, command: list[str], closed: str
) -> None:
    tmp_path.chmod(0o755)
    cache = tmp_path / "cache"
    (cache / "podman-agent/team/0").mkdir(parents=True)
    (cache / closed).chmod(0o700)
    done = as_user(CLI, *command, PODMAN_AGENT_VOLUME=str(cache))
    assert done.returncode == 73, done.stderr
    assert "Permission denied" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_key_of_another_user_is_named_and_passed_over(tmp_path: Path, as_user: User) -> None:
    tmp_path.chmod(0o755)
    cache = tmp_path / "cache"
    (cache / "podman-agent/theirs/0").mkdir(parents=True)
    (cache / "podman-agent/theirs").chmod(0o700)
    done = as_user(CLI, "gc", PODMAN_AGENT_VOLUME=str(cache))
    assert (done.returncode, done.stderr) == (0, "")
    assert "theirs: belongs to another user" in done.stdout
    listed = as_user(CLI, "cache", "ls", PODMAN_AGENT_VOLUME=str(cache))
    assert (listed.returncode, listed.stderr.count("theirs")) == (0, 1)


def test_a_volume_that_was_named_and_is_not_there_is_an_error(tmp_path: Path, as_user: User) -> None:
    done = as_user(CLI, "gc", "--volume", str(tmp_path / "none"))
    assert done.returncode == 64
    assert "there is no such directory" in done.stderr


ROW = "100 99 8:1 {root} /var/lib/containers rw,relatime - ext4 /dev/sda1 rw\n"


@pytest.mark.parametrize(
    ("root", "pods"),
    [
        ("/srv/cache", True),
        ("/var/lib/kubelet/pods/0b/volumes/kubernetes.io~empty-dir/cache", True),
        ("/", True),
        ("/var/lib/containerd/io.containerd.grpc.v1.cri/containers/0b/volumes/1c", False),
        (f"/var/lib/containers/storage/volumes/{'0b' * 32}/_data", False),
    ],
)
def test_a_runtimes_directory_for_the_image_is_no_volume_of_the_pod(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: str, *, pods: bool
) -> None:
    """The path of an emptyDir is the kubelet's, the image's one containerd's or podman's: as mountinfo showed them."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    (tmp_path / "mountinfo").write_text(ROW.format(root=root))
    assert bool(volume.passed_over({}, USER, tmp_path / "mountinfo")) == pods
    assert volume.passed_over({}, 0, tmp_path / "mountinfo") == ""
    assert volume.passed_over({"PODMAN_AGENT_VOLUME": "/x"}, USER, tmp_path / "mountinfo") == ""
