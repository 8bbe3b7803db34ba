"""What Git knows about the tree that is built: for tags and labels."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from podman_agent.errors import UsageError
from podman_agent.explain.redact import MASK, Redactor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# https://semver.org/#is-there-a-suggested-regular-expression-regex-to-check-a-semver-string
_SEMVER = re.compile(
    r"v?(?P<core>(?P<major>0|[1-9]\d*)\.(?P<minor>0|[1-9]\d*)\.(?:0|[1-9]\d*))"
    r"(?P<pre>-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?"
)
SCHEMES = ("commit", "branch", "semver")


@dataclass(frozen=True)
class GitInfo:
    """One work tree.

    Attributes:
        revision: Full commit id.
        branch: Its name; Jenkins' BRANCH_NAME or GIT_BRANCH where HEAD is detached.
        tags: Tags of this commit.
        source: URL of `origin`, without credentials.
        committed: Commit time in seconds since the epoch.
    """

    revision: str
    branch: str
    tags: tuple[str, ...]
    source: str
    committed: int

    @classmethod
    def read(cls, directory: Path, env: Mapping[str, str] | None = None) -> GitInfo | None:
        """Ask git; None outside a work tree or without git."""
        env = os.environ if env is None else env

        def git(*arguments: str) -> str:
            # Jenkins checks out as another user than the container's: that is not for us to judge.
            command = ["git", "-c", "safe.directory=*", "-C", str(directory), *arguments]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            return done.stdout.strip() if done.returncode == 0 else ""

        try:
            revision = git("rev-parse", "--verify", "HEAD")
        except FileNotFoundError:
            return None
        if not revision:
            return None
        named = git("symbolic-ref", "--short", "-q", "HEAD")
        branch = env.get("BRANCH_NAME") or env.get("GIT_BRANCH", "").removeprefix("origin/")
        source = Redactor()(git("remote", "get-url", "origin")).replace(f"{MASK}@", "")
        return cls(
            revision,
            branch or named,
            tuple(git("tag", "--points-at", "HEAD").split()),
            source,
            int(git("show", "-s", "--format=%ct", "HEAD") or 0),
        )

    def labels(self) -> dict[str, str]:
        """OCI labels (https://github.com/opencontainers/image-spec/blob/main/annotations.md)."""
        found = {"org.opencontainers.image.revision": self.revision}
        if self.source:
            found["org.opencontainers.image.source"] = self.source
        return found

    def image_tags(self, schemes: Sequence[str]) -> list[str]:
        """Give image tags.

        Args:
            schemes: Any of `commit` (the first 12 digits), `branch` (what a tag may not contain
                becomes ``-``) and `semver` (of a tag v1.2.3: 1.2.3, 1.2, 1; of a pre-release, only
                itself; nothing where no tag is a version).

        Raises:
            UsageError: For another scheme.
        """
        found: list[str] = []
        for scheme in schemes:
            if scheme == "commit":
                found.append(self.revision[:12])
            elif scheme == "branch":
                name = re.sub(r"[^A-Za-z0-9_.-]", "-", self.branch).lstrip(".-")[:128]
                found += [name] if name else []
            elif scheme == "semver":
                found += [t for tag in self.tags for t in _versions(tag)]
            else:
                what = f"unknown tag scheme {scheme}"
                raise UsageError(what, fix=f"there are: {', '.join(SCHEMES)}")
        return list(dict.fromkeys(found))


def _versions(tag: str) -> list[str]:
    match = _SEMVER.fullmatch(tag)
    if not match:
        return []
    if match["pre"]:
        return [match["core"] + match["pre"]]
    short = [] if match["major"] == "0" else [match["major"]]
    return [match["core"], f"{match['major']}.{match['minor']}", *short]
