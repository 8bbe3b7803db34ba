"""What git says of a checkout."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from podman_agent.builds.git import GitInfo
from podman_agent.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def git(branch: Any = "feature/Ä x", tags: Any = ()) -> Any:
    return GitInfo("0123456789abcdef0123", branch, tuple(tags), "https://example.com/x.git", 0)


@pytest.mark.parametrize(
    ("info", "schemes", "tags"),
    [
        (git(), ["commit", "branch"], ["0123456789ab", "feature---x"]),
        (git(branch=""), ["branch"], []),
        (git(tags=["v1.2.3", "other"]), ["semver"], ["1.2.3", "1.2", "1"]),
        (git(tags=["0.4.0"]), ["semver"], ["0.4.0", "0.4"]),
        (git(tags=["v2.0.0-rc.1", "v2.0.0+build.5"]), ["semver"], ["2.0.0-rc.1", "2.0.0", "2.0", "2"]),
        (git(tags=["v1.2"]), ["semver"], []),
    ],
)
def test_tags_from_git(info: Any, schemes: Any, tags: Any) -> None:
    assert info.image_tags(schemes) == tags
    with pytest.raises(UsageError, match="unknown tag scheme"):
        info.image_tags(["date"])


def test_git_is_read_and_jenkins_branch_counts_where_head_is_detached(tmp_path: Path) -> None:
    run = ["git", "-C", str(tmp_path), "-c", "user.name=t", "-c", "user.email=t@example.com"]
    subprocess.run(["git", "init", "-q", "-b", "main", tmp_path], check=True)
    assert GitInfo.read(tmp_path, {}) is None
    subprocess.run([*run, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    subprocess.run([*run, "remote", "add", "origin", "https://u:secret@example.com/x.git"], check=True)
    first = GitInfo.read(tmp_path, {})
    assert first is not None
    assert first.branch == "main"
    subprocess.run([*run, "checkout", "-q", "--detach"], check=True)
    found = GitInfo.read(tmp_path, {"GIT_BRANCH": "origin/dev"})
    assert found is not None
    assert (found.branch, found.source) == ("dev", "https://example.com/x.git")
    change = GitInfo.read(tmp_path, {"BRANCH_NAME": "pr-1", "GIT_BRANCH": "x"})
    assert change is not None
    assert change.branch == "pr-1"
