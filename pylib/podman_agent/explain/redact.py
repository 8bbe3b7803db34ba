"""Keeps secrets out of everything printed, logged or raised: the one place that knows what they look like."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MASK = "****"

# what is after :// up to the last @ that begins no digest; people write @ and / into passwords as they are
_URL = re.compile(r"(?<=://)[^\s\"'<>]*@(?!sha(?:256|512):[0-9a-f]{32})")
_HEADER = re.compile(r"(?i)\b(authorization:?\s*|bearer |basic )([A-Za-z0-9._~+/=-]{8,})")
_QUERY = re.compile(r"(?i)([?&](?:token|access_token|signature|x-amz-[a-z-]+|sig)=)[^&\s\"']+")
_SHORTEST = 4  # masking shorter values would eat ordinary words


class Redactor:
    """Replaces known secret values and the usual shapes of credentials by ``****``.

    Args:
        values: Secret values known from the start; each line of a value counts on its own.
    """

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values: set[str] = set()
        for value in values:
            self.add(value)

    def add(self, value: str) -> None:
        """Remember one more secret value; ones shorter than 4 characters are not masked."""
        self._values.update(v for v in value.splitlines() if len(v.strip()) >= _SHORTEST)

    def __call__(self, text: str) -> str:
        """Give the text without secrets."""
        for value in sorted(self._values, key=len, reverse=True):
            text = text.replace(value, MASK)
        text = _URL.sub(_userinfo, text)
        text = _QUERY.sub(rf"\1{MASK}", text)
        return _HEADER.sub(rf"\1{MASK}", text)


def _userinfo(found: re.Match[str]) -> str:
    """Mask a login; the @ of a path (``npmjs.org/@scope``, ``proxy/x/@v``) is none: no colon or @ is before its /."""
    text = found[0]
    host, slash, _ = text.partition("/")
    if slash and ":" not in host and "@" not in host:
        return text
    return f"{MASK}@"
