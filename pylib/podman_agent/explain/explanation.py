"""What is said about one known text, and where most of them are documented."""

from __future__ import annotations

from dataclasses import dataclass

PODMAN = "https://github.com/containers/podman/issues/"
BUILDAH = "https://github.com/containers/buildah/issues/"


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a known text means.

    Args:
        text: A line that has it, as it is met.
        pattern: A regular expression searched in one line of a log; it must match nothing that a build of the user's
            own may print.
        cause: Why it happens in a pod.
        cure: The pod field, variable or command to change.
        source: Where that is documented.
        again: Whether another attempt of a pull or push that failed so helps; None where none fails so.
        verdict: Instead of `pattern` where the message is known to be podman's own verdict on a transfer.
        name: The cause in a few words, for a log line of a retry; what `verdict` matched where it is empty.
    """

    text: str
    pattern: str
    cause: str
    cure: str
    source: str
    again: bool | None = None
    verdict: str = ""
    name: str = ""
