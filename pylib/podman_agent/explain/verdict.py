"""Judges a pull or a push that failed: does another attempt help?"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from podman_agent.explain.catalogue import RULES
from podman_agent.explain.transfers import BLOB_GONE

if TYPE_CHECKING:
    from podman_agent.explain.explanation import Explanation

# A build fails with its step's words in the message, which may be anything.
_STEPS_OWN = re.compile(r"exit status \d+|exit code \d+|while running runtime")
# First match wins, so what is never tried again stands first; a layer's 404 is no image's.
_ORDER = sorted(
    (rule for rule in RULES if rule.again is not None), key=lambda rule: (rule is not BLOB_GONE, rule.again)
)
_JUDGED = tuple((re.compile(rule.verdict or rule.pattern), rule) for rule in _ORDER)


_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


def plain(line: str) -> str:
    """Give a line without the control characters of progress bars."""
    return _CONTROL.sub("", line).rstrip()


def last_words(stderr: str, returncode: int) -> str:
    """Give the error in what podman, buildah or skopeo wrote, in one line.

    Args:
        stderr: All of it.
        returncode: Told where nothing was written.
    """
    lines = [text for line in stderr.splitlines() if (text := plain(line))]
    lines = [line for line in lines if not line.startswith("podman-agent: ")]  # the shim's, about podman's
    said = [i for i, line in enumerate(lines) if line.startswith(("Error: ", "time="))]
    last = " ".join(lines[said[-1] :]) if said else (lines or [f"exit code {returncode}"])[-1]
    if logged := re.search(r'level=fatal msg="(.*)"', last):  # skopeo's way
        last = logged[1].replace('\\"', '"')
    return last.removeprefix("Error: ")


@dataclass(frozen=True)
class Verdict:
    """What became of a transfer.

    Attributes:
        transient: Another attempt may help.
        cause: Why it failed, in a few words; the whole message where that is not known.
        known: What is known about it.
    """

    transient: bool
    cause: str
    known: Explanation | None = None


def classify(message: str) -> Verdict:
    """Judge podman's error line.

    Args:
        message: The text after `Error:`; a build's output does not belong here, only its error.

    Returns:
        Transient or not; an unknown message is not.
    """
    if _STEPS_OWN.search(message):
        return Verdict(transient=False, cause="the build's own command failed")
    # A digest may contain 429 and a port may be 500: neither says anything.
    text = re.sub(r"[0-9a-f]{12,}|(?<=:)\d{2,5}(?=[/:\s\"'])|:\d+->", "", message)
    for pattern, rule in _JUDGED:
        if match := pattern.search(text):
            return Verdict(bool(rule.again), rule.name or match.group(), rule)
    return Verdict(transient=False, cause=message)
