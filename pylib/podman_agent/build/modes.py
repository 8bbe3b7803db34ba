"""``--chmod`` in symbols: what it makes of a mode.

Source: BuildKit hands the text to ``tonistiigi/dchapes-mode`` with a umask of 0; the grammar is chmod(1)'s.
"""

from __future__ import annotations

import re

_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=][rwxXst]*)+)")
_ACTION = re.compile(r"([-+=])([rwxXst]*)")
_SHIFT = {"u": 6, "g": 3, "o": 0}
_BITS = {"r": 4, "w": 2, "x": 1}
_STICKY, _SETGID, _SETUID = 0o1000, 0o2000, 0o4000


def is_octal(text: str) -> bool:
    """Whether podman understands it as it is."""
    return re.fullmatch(r"[0-7]+", text) is not None


def apply(text: str, mode: int) -> int | None:
    """The mode of a regular file after a change.

    Args:
        text: As behind ``--chmod=``.
        mode: Before.

    Returns:
        The permission bits; None when the text is not understood here.
    """
    for clause in text.split(","):
        match = _CLAUSE.fullmatch(clause)
        if match is None:
            return None
        who = "ugo" if not match[1] or "a" in match[1] else match[1]
        for action in _ACTION.finditer(match[2]):
            mode = _act(action[1], action[2], who, mode)
    return mode


def _act(sign: str, letters: str, who: str, mode: int) -> int:
    bits = 0
    for letter in letters:
        if letter == "X":
            bits |= sum(1 << _SHIFT[one] for one in who) if mode & 0o111 else 0
        elif letter == "s":
            bits |= (_SETUID if "u" in who else 0) | (_SETGID if "g" in who else 0)
        elif letter == "t":
            bits |= _STICKY
        else:
            bits |= sum(_BITS[letter] << _SHIFT[one] for one in who)
    if sign == "+":
        return mode | bits
    if sign == "-":
        return mode & ~bits
    cleared = sum(7 << _SHIFT[one] for one in who) | (_SETUID if "u" in who else 0) | (_SETGID if "g" in who else 0)
    return mode & ~cleared | bits


def absolute(text: str) -> int | None:
    """The mode that a change makes of every file alike, directories too; None when it depends on the file."""
    if "X" in text or "s" in text or "t" in text:
        return None
    none, every = apply(text, 0), apply(text, 0o777)
    return none if none == every else None
