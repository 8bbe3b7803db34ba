"""Image names: the one place that takes them apart.

Grammar: https://github.com/distribution/reference/blob/main/reference.go.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from podman_agent.errors import UsageError

_PATH = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?:(?P<host>(?:[a-zA-Z0-9.-]+|\[[0-9a-fA-F:]+\])(?::\d+)?)/)?"
    rf"(?P<path>{_PATH}(?:/{_PATH})*)"
    r"(?::(?P<tag>[\w][\w.-]{0,127}))?"
    r"(?:@(?P<digest>[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-f]{32,}))?"
)


@dataclass(frozen=True)
class Reference:
    """``registry/repository:tag@digest``."""

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read an image name; one without a registry is on docker.io, as docker has it.

        Args:
            text: An image name, a ``docker://`` prefix allowed.

        Raises:
            UsageError: If it is not a valid name; no attempt could cure that.
        """
        match = _REFERENCE.fullmatch(text.removeprefix("docker://"))
        if match:
            host, path = match["host"] or "", match["path"]
            if host and not (re.search(r"[.:\[]", host) or host == "localhost"):
                host, path = "", f"{host}/{path}"
            if path == path.lower():
                if host in {"", "index.docker.io"}:
                    host = "docker.io"
                if host == "docker.io" and "/" not in path:
                    path = f"library/{path}"
                return cls(host, path, match["tag"] or "", match["digest"] or "")
        what = f"{text!r} is not a valid image name"
        raise UsageError(what, fix="names are lower case: registry/team/image:tag")

    @staticmethod
    def bare(text: str) -> str:
        """Give a name as it is written, without tag and digest; it need not be a valid one."""
        head, slash, last = text.partition("@")[0].rpartition("/")
        return head + slash + last.partition(":")[0]

    @property
    def name(self) -> str:
        """Registry and repository, without tag and digest."""
        return f"{self.registry}/{self.repository}"

    @property
    def version(self) -> str:
        """What to ask the registry for: the digest, else the tag, else ``latest``."""
        return self.digest or self.tag or "latest"

    def __str__(self) -> str:
        """The full name; ``:latest`` where neither tag nor digest is given."""
        if self.digest:
            return f"{self.name}{':' + self.tag if self.tag else ''}@{self.digest}"
        return f"{self.name}:{self.version}"
