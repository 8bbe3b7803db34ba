"""An ignore file in podman's words.

Source: moby/patternmatcher ``compile``: ``**`` at the very beginning with plain text behind it matches every path that
ends so; containers/storage ``fileutils`` (podman 5.4.2) wants a ``/`` between.
"""

from __future__ import annotations

import re

_SUFFIX = re.compile(r"^([ \t]*!?[ \t]*)\*\*(?=[^/*\s])(?=[^*?\[\]\\\r\n]*\r?$)", re.MULTILINE)


def translated(text: str) -> str:
    """The same to podman: ``**.md`` becomes ``**/*.md``; every other line stays as it is."""
    return _SUFFIX.sub(r"\1**/*", text)
