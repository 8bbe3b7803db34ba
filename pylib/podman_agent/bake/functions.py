"""The functions a bake file may call: the part of buildx's list that needs no network.

Names and meaning follow https://docs.docker.com/build/bake/stdlib/.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import itertools
import json
import math
import operator
import re
import uuid
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def to_string(value: Any) -> str:
    """Render a value as HCL puts it into a template.

    Args:
        value: A string, number, boolean or None.

    Returns:
        ``true``/``false`` for booleans, no trailing ``.0`` on whole numbers, empty for None.

    Raises:
        TypeError: If the value is a list or an object.
    """
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer():
            return str(int(value))
        case str() | int() | float():
            return str(value)
        case _:
            msg = "a list or object cannot be part of a string"
            raise TypeError(msg)


def to_number(value: Any) -> int | float:
    """Read a number as HCL converts it: from a number or from its decimal text.

    Raises:
        ValueError: If the text is no number.
    """
    if isinstance(value, bool):
        msg = "a boolean is not a number"
        raise TypeError(msg)
    if isinstance(value, int | float):
        return value
    number = float(value)
    return int(number) if number.is_integer() else number


def _regex(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _regex_match(match: re.Match[str] | None) -> Any:
    if match is None:
        msg = "pattern did not match"
        raise ValueError(msg)
    if match.groupdict():
        return match.groupdict()
    return list(match.groups()) or match.group(0)


def _go_replacement(text: str) -> str:
    r"""Turn Go's ``$1`` and ``${name}`` of a replacement into Python's ``\\g<1>``."""
    return re.sub(r"\$(?:\{(\w+)\}|(\w+))", r"\\g<\1\2>", text.replace("\\", r"\\"))


def _format_date(layout: str, stamp: str) -> str:
    """Format an RFC 3339 time by go-cty's letters, longest run first."""
    when = datetime.datetime.fromisoformat(stamp)
    codes = {
        "YYYY": "%Y", "YY": "%y", "MMMM": "%B", "MMM": "%b", "MM": "%m", "M": "%-m",
        "DD": "%d", "D": "%-d", "EEEE": "%A", "EEE": "%a", "hh": "%H", "h": "%-H",
        "HH": "%I", "H": "%-I", "AA": "%p", "mm": "%M", "m": "%-M", "ss": "%S", "s": "%-S",
        "ZZZ": "%Z", "Z": "%z",
    }  # fmt: skip
    pieces = re.findall(r"'((?:[^']|'')*)'|([a-zA-Z])(\2*)|([^a-zA-Z']+)", layout)
    out = ""
    for quoted, letter, more, other in pieces:
        run = letter + more
        out += when.strftime(codes[run]) if run else quoted.replace("''", "'") + other
    return out


def _flatten(value: Iterable[Any]) -> list[Any]:
    return [x for v in value for x in (_flatten(v) if isinstance(v, list) else [v])]


def _element(value: list[Any], index: Any) -> Any:
    return value[int(to_number(index)) % len(value)]


def _lookup(value: dict[str, Any], key: str, *default: Any) -> Any:
    return value.get(key, *default) if default else value[key]


def _merge(*values: dict[str, Any]) -> dict[str, Any]:
    return {k: v for value in values for k, v in (value or {}).items()}


def _coalesce(*values: Any) -> Any:
    return next(v for v in values if v is not None and v != "")


def _sum(*values: Any) -> int | float:
    return sum(to_number(v) for v in values)


def _divide(a: Any, b: Any) -> int | float:
    return to_number(to_number(a) / to_number(b))


def _hash(name: str) -> Callable[[str], str]:
    return lambda text: hashlib.new(name, text.encode(), usedforsecurity=False).hexdigest()


def _format(layout: str, *values: Any) -> str:
    # %v is Go's "whatever it is"; the other verbs are C's, which Python shares.
    rest = iter(values)

    def verb(match: re.Match[str]) -> str:
        if match.group() == "%%":
            return "%"
        value = next(rest)
        if match.group(2) in "vs":
            return f"{match.group(1)}s" % (
                value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
            )
        if match.group(2) == "q":
            return json.dumps(value)
        return match.group() % to_number(value)

    return re.sub(r"(%[-+ #0]*\d*(?:\.\d+)?)([a-zA-Z%])", verb, layout)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "absolute": lambda x: abs(to_number(x)),
    "add": _sum,
    "and": lambda a, b: bool(a and b),
    "base64decode": lambda s: base64.b64decode(s).decode(),
    "base64encode": lambda s: base64.b64encode(s.encode()).decode(),
    "basename": lambda s: PurePosixPath(s).name,
    "ceil": lambda x: math.ceil(to_number(x)),
    "chomp": lambda s: s.rstrip("\r\n"),
    "chunklist": lambda v, n: [v[i : i + n] for i in range(0, len(v), n)],
    "coalesce": _coalesce,
    "coalescelist": lambda *v: next(x for x in v if x),
    "compact": lambda v: [x for x in v if x not in ("", None)],
    "concat": lambda *v: [x for part in v for x in part],
    "contains": lambda v, x: x in v,
    "dirname": lambda s: str(PurePosixPath(s).parent),
    "distinct": lambda v: [x for i, x in enumerate(v) if x not in v[:i]],
    "divide": _divide,
    "element": _element,
    "equal": operator.eq,
    "flatten": _flatten,
    "floor": lambda x: math.floor(to_number(x)),
    "format": _format,
    "formatdate": _format_date,
    "formatlist": lambda layout, *v: [_format(layout, *row) for row in zip(*v, strict=True)],
    "greaterthan": lambda a, b: to_number(a) > to_number(b),
    "greaterthanorequalto": lambda a, b: to_number(a) >= to_number(b),
    "hasindex": lambda v, k: k in v if isinstance(v, dict) else 0 <= k < len(v),
    "indent": lambda n, s: s.replace("\n", "\n" + " " * int(n)),
    "index": operator.getitem,
    "indexof": lambda v, x: v.index(x),
    "int": lambda x: int(to_number(x)),
    "join": lambda sep, *v: sep.join(to_string(x) for part in v for x in part),
    "jsondecode": json.loads,
    "jsonencode": lambda v: json.dumps(v, separators=(",", ":"), sort_keys=True),
    "keys": sorted,
    "length": len,
    "lessthan": lambda a, b: to_number(a) < to_number(b),
    "lessthanorequalto": lambda a, b: to_number(a) <= to_number(b),
    "lookup": _lookup,
    "lower": lambda s: s.lower(),
    "max": lambda *v: max(to_number(x) for x in v),
    "md5": _hash("md5"),
    "merge": _merge,
    "min": lambda *v: min(to_number(x) for x in v),
    "modulo": lambda a, b: math.fmod(to_number(a), to_number(b)),
    "multiply": lambda a, b: to_number(a) * to_number(b),
    "negate": lambda x: -to_number(x),
    "not": operator.not_,
    "notequal": operator.ne,
    "or": lambda a, b: bool(a or b),
    "parseint": lambda s, base: int(s, int(base)),
    "pow": lambda a, b: to_number(a) ** to_number(b),
    "range": lambda *v: list(range(*(int(to_number(x)) for x in v))),
    "regex": lambda p, s: _regex_match(_regex(p).search(s)),
    "regex_replace": lambda s, p, r: _regex(p).sub(_go_replacement(r), s),
    "regexall": lambda p, s: [_regex_match(m) for m in _regex(p).finditer(s)],
    "replace": lambda s, old, new: s.replace(old, new),
    "reverse": lambda s: s[::-1],
    "reverselist": lambda v: v[::-1],
    "sanitize": lambda s: re.sub(r"[^a-zA-Z0-9_-]", "_", s),
    "setintersection": lambda a, *v: [x for x in a if all(x in o for o in v)],
    "setproduct": lambda *v: [list(row) for row in itertools.product(*v)],
    "setsubtract": lambda a, b: [x for x in a if x not in b],
    "setunion": lambda *v: FUNCTIONS["distinct"]([x for part in v for x in part]),
    "sha1": _hash("sha1"),
    "sha256": _hash("sha256"),
    "sha512": _hash("sha512"),
    "signum": lambda x: (to_number(x) > 0) - (to_number(x) < 0),
    "slice": lambda v, a, b: v[int(a) : int(b)],
    "sort": sorted,
    "split": lambda sep, s: s.split(sep),
    "strlen": len,
    "substr": lambda s, o, n: s[int(o) :] if n < 0 else s[int(o) :][: int(n)],
    "subtract": lambda a, b: to_number(a) - to_number(b),
    "timestamp": _now,
    "title": lambda s: re.sub(r"\b[a-z]", lambda m: m.group().upper(), s),
    "trim": lambda s, chars: s.strip(chars),
    "trimprefix": lambda s, p: s.removeprefix(p),
    "trimspace": lambda s: s.strip(),
    "trimsuffix": lambda s, p: s.removesuffix(p),
    "upper": lambda s: s.upper(),
    "urlencode": quote_plus,
    "uuidv4": lambda: str(uuid.uuid4()),
    "values": lambda v: [v[k] for k in sorted(v)],
    "zipmap": lambda k, v: dict(zip(k, v, strict=True)),
}
