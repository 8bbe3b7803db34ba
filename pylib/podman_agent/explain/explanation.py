"""What is said about one known text, and where most of them are documented."""

from __future__ import annotations

from dataclasses import dataclass

PODMAN = "https://github.com/containers/podman/issues/"
BUILDAH = "https://github.com/containers/buildah/issues/"


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a known text means.

    Args:
        pattern: A regular expression searched in one line.
        cause: Why it happens in a pod.
        cure: The pod field, variable or command to change.
        source: Where that is documented.
    """

    pattern: str
    cause: str
    cure: str
    source: str
