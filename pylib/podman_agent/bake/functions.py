"""The functions a bake file may call: buildx's list, but for what has no meaning here.

Names and meaning follow https://docs.docker.com/build/bake/stdlib/; what each takes is go-cty's
(https://github.com/zclconf/go-cty/tree/main/cty/function/stdlib).
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import itertools
import math
import os.path
import posixpath
import re
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podman_agent.bake import arithmetic, texts
from podman_agent.bake.values import (
    EXACT,
    SetValue,
    Type,
    convert,
    kind_of,
    same,
    to_bool,
    to_number,
    to_string,
    unified,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from decimal import Decimal

_STRINGS = Type("list", Type("string"))
_CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    "s": to_string,
    "n": to_number,
    "i": lambda v: _integer(to_number(v)),
    "b": to_bool,
    "L": lambda v: convert(v, _STRINGS),
    "l": lambda v: _expected(v, list),
    "S": lambda v: SetValue(_expected(v, list)),
    "m": lambda v: _expected(v, dict),
    "v": lambda v: v,
    "V": lambda v: v,
}
"""What a letter of a signature makes of an argument: text, number, integer, boolean, list of text, list, set,
map, any value, any value or null."""


def _integer(number: int | Decimal) -> int:
    if not isinstance(number, int):
        msg = "a whole number is required"
        raise TypeError(msg)
    return number


def _expected(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        msg = f"not a {kind_of(value)}"
        raise TypeError(msg)
    return value


def call(name: str, values: Sequence[Any]) -> Any:
    """Call a function with its arguments converted as go-cty does.

    Raises:
        KeyError: There is no such function.
        LookupError, TypeError, ValueError, ArithmeticError: The arguments do not fit.
    """
    signature, function = FUNCTIONS[name]
    letters = signature.rstrip("*?")
    fixed = letters[:-1] if signature[-1:] in ("*", "?") else letters
    most = len(letters) if not signature.endswith("*") else len(values)
    if not len(fixed) <= len(values) <= most:
        msg = f"{name}() takes {len(fixed)} argument{'s' if len(fixed) != 1 else ''}, {len(values)} given"
        raise TypeError(msg)
    given = []
    for at, value in enumerate(values):
        letter = letters[min(at, len(letters) - 1)]
        if value is None and letter != "V":
            msg = f"argument {at + 1} of {name}() must not be null"
            raise TypeError(msg)
        given.append(_CONVERSIONS[letter](value))
    return function(*given)


def _flatten(value: Iterable[Any]) -> list[Any]:
    return [x for v in value for x in (_flatten(v) if isinstance(v, list) else [v])]


def _keyed(value: Any, key: Any) -> Any:
    """An element by its key, for `index`: text of a map, number of a list."""
    if isinstance(value, dict):
        return value[to_string(key)]
    at = _integer(to_number(key))
    if isinstance(value, SetValue) or not isinstance(value, list) or not 0 <= at < len(value):
        msg = f"no element {key}"
        raise LookupError(msg)
    return value[at]


def _has(value: Any, key: Any) -> bool:
    try:
        _keyed(value, key)
    except (LookupError, TypeError):
        return False
    return True


def _lookup(value: dict[str, Any], key: str, default: Any = LookupError) -> Any:
    if key in value:
        return value[key]
    if default is LookupError:
        msg = f"lookup failed to find {key!r}"
        raise LookupError(msg)
    return default


def _coalesce(*values: Any) -> Any:
    for value in unified(values):
        if value is not None:
            return value
    msg = "no non-null arguments"
    raise ValueError(msg)


def _coalesce_list(*values: Any) -> Any:
    for value in values:
        if value:
            return value
    msg = "no non-empty arguments"
    raise ValueError(msg)


def _contains(values: Any, wanted: Any) -> bool:
    return any(same(v, wanted) for v in (values.values() if isinstance(values, dict) else values))


def _index_of(values: list[Any], wanted: Any) -> int:
    for at, value in enumerate(values):
        if same(value, wanted):
            return at
    msg = "item not found"
    raise LookupError(msg)


def _distinct(values: list[Any]) -> list[Any]:
    return [v for at, v in enumerate(values) if not any(same(v, w) for w in values[:at])]


def _element(values: list[Any], index: int) -> Any:
    if not values:
        msg = "cannot use element function with an empty list"
        raise LookupError(msg)
    if index < 0:
        msg = "cannot use element function with a negative index"
        raise LookupError(msg)
    return values[index % len(values)]


def _slice(values: list[Any], start: int, end: int) -> list[Any]:
    if not 0 <= start <= end <= len(values):
        msg = f"slice {start}:{end} of {len(values)} elements"
        raise LookupError(msg)
    return values[start:end]


def _chunks(values: list[Any], size: int) -> list[Any]:
    if size < 0:
        msg = "the size argument must be positive"
        raise ValueError(msg)
    return [values[i : i + size] for i in range(0, len(values), size)] if size else [values]


def _substr(text: str, offset: int, length: int) -> str:
    start = offset if offset >= 0 else max(0, len(text) + offset)
    return text[start:] if length < 0 else text[start:][:length]


def _merge(*values: Any) -> Any:
    return {k: v for value in values for k, v in (value or {}).items()}


def _sets(join: Callable[[SetValue, SetValue], list[Any]]) -> Callable[..., SetValue]:
    def function(first: SetValue, *rest: SetValue) -> SetValue:
        for other in rest:
            first = SetValue(unified(join(first, other)))
        return first

    return function


def _product(*values: list[Any]) -> list[Any]:
    rows = [list(row) for row in itertools.product(*values)]
    return SetValue(rows) if all(isinstance(v, SetValue) for v in values) else rows


def _hash(name: str) -> Callable[[str], str]:
    return lambda text: hashlib.new(name, text.encode(), usedforsecurity=False).hexdigest()


def _indent(spaces: int, text: str) -> str:
    return text.replace("\n", "\n" + " " * spaces)


def _join(separator: str, *lists: list[str]) -> str:
    if any(text is None for values in lists for text in values):
        msg = "element is null; cannot concatenate null values"
        raise ValueError(msg)
    return separator.join(text for values in lists for text in values)


def _length(value: Any) -> int:
    if not isinstance(value, list | dict):
        msg = "collection must be a list, a map or a tuple"
        raise TypeError(msg)
    return len(value)


def _zipmap(keys: list[str], values: list[Any]) -> dict[str, Any]:
    if len(keys) != len(values):
        msg = f"number of keys ({len(keys)}) does not match number of values ({len(values)})"
        raise ValueError(msg)
    return dict(zip(keys, values, strict=True))


def _refused(name: str) -> Callable[..., Any]:
    def function(*_: Any) -> Any:
        msg = f"{name}() is not supported here: compute the value outside and pass it as a variable"
        raise ValueError(msg)

    return function


_SPACES: dict[str, uuid.UUID] = {
    "dns": uuid.NAMESPACE_DNS, "url": uuid.NAMESPACE_URL, "oid": uuid.NAMESPACE_OID, "x500": uuid.NAMESPACE_X500,
}  # fmt: skip

FUNCTIONS: dict[str, tuple[str, Callable[..., Any]]] = {
    "absolute": ("n", abs),
    "add": ("nn", arithmetic.exactly(EXACT.add)),
    "and": ("bb", lambda a, b: a and b),
    "base64decode": ("s", lambda s: base64.b64decode(s, validate=True).decode()),
    "base64encode": ("s", lambda s: base64.b64encode(s.encode()).decode()),
    "basename": ("s", lambda s: s.rstrip("/").rpartition("/")[2] or ("/" if s else ".")),
    "bcrypt": ("sn*", _refused("bcrypt")),
    "byteslen": ("v", _refused("byteslen")),
    "bytesslice": ("vnn", _refused("bytesslice")),
    "ceil": ("n", math.ceil),
    "chomp": ("s", lambda s: re.sub(r"(?:\r\n?|\n)*\Z", "", s)),
    "chunklist": ("li", _chunks),
    "cidrhost": ("si", texts.cidr_host),
    "cidrnetmask": ("s", texts.cidr_netmask),
    "cidrsubnet": ("sii", texts.cidr_subnet),
    "cidrsubnets": ("si*", texts.cidr_subnets),
    "coalesce": ("VV*", _coalesce),
    "coalescelist": ("ll*", _coalesce_list),
    "compact": ("L", lambda v: [x for x in v if x]),
    "concat": ("ll*", lambda *v: [x for part in v for x in part]),
    "contains": ("vv", _contains),
    "csvdecode": ("s", texts.csv_decode),
    "dirname": ("s", lambda s: posixpath.normpath(s.rpartition("/")[0] or ("/" if s[:1] == "/" else "."))),
    "distinct": ("l", _distinct),
    "divide": ("nn", arithmetic.divide),
    "element": ("li", _element),
    "equal": ("VV", same),
    "flatten": ("l", _flatten),
    "floor": ("n", math.floor),
    "format": ("sV*", texts.format_text),
    "formatdate": ("ss", lambda layout, s: texts.format_date(layout, texts.parse_time(s))),
    "formatlist": ("sV*", texts.format_list),
    "formattimestamp": ("sv", texts.format_timestamp),
    "greaterthan": ("nn", lambda a, b: a > b),
    "greaterthanorequalto": ("nn", lambda a, b: a >= b),
    "hasindex": ("vv", _has),
    "homedir": ("", lambda: os.environ.get("HOME") or str(Path.home())),
    "indent": ("is", _indent),
    "index": ("vv", _keyed),
    "indexof": ("lv", _index_of),
    "int": ("n", int),
    "join": ("sLL*", _join),
    "jsondecode": ("s", texts.from_json),
    "jsonencode": ("V", texts.to_json),
    "keys": ("m", sorted),
    "length": ("v", _length),
    "lessthan": ("nn", lambda a, b: a < b),
    "lessthanorequalto": ("nn", lambda a, b: a <= b),
    "log": ("nn", arithmetic.logarithm),
    "lookup": ("msv?", _lookup),
    "lower": ("s", lambda s: s.lower()),
    "max": ("n*", lambda *v: max(v)),
    "md5": ("s", _hash("md5")),
    "merge": ("V*", _merge),
    "min": ("n*", lambda *v: min(v)),
    "modulo": ("nn", arithmetic.modulo),
    "multiply": ("nn", arithmetic.exactly(EXACT.multiply)),
    "negate": ("n", lambda x: -x),
    "not": ("b", lambda x: not x),
    "notequal": ("VV", lambda a, b: not same(a, b)),
    "or": ("bb", lambda a, b: a or b),
    "parseint": ("vi", arithmetic.parse_integer),
    "pow": ("nn", arithmetic.power),
    "range": ("nn*", arithmetic.sequence),
    "regex": ("ss", lambda p, s: texts.regex_match(re.search(p, s))),
    "regex_replace": ("sss", texts.regex_replace),
    "regexall": ("ss", lambda p, s: [texts.regex_match(m) for m in re.finditer(p, s)]),
    "replace": ("sss", lambda s, old, new: s.replace(old, new)),
    "reverse": ("s", lambda s: s[::-1]),
    "reverselist": ("l", lambda v: v[::-1]),
    "rsadecrypt": ("ss", _refused("rsadecrypt")),
    "sanitize": ("s", lambda s: re.sub(r"[^a-zA-Z0-9_-]", "_", s)),
    "semvercmp": ("ss", texts.semver_compare),
    "sethaselement": ("Sv", _contains),
    "setintersection": ("SS*", _sets(lambda a, b: [x for x in a if _contains(b, x)])),
    "setproduct": ("lll*", _product),
    "setsubtract": ("SS", _sets(lambda a, b: [x for x in a if not _contains(b, x)])),
    "setsymmetricdifference": (
        "SS*",
        _sets(lambda a, b: [x for x in a if not _contains(b, x)] + [x for x in b if not _contains(a, x)]),
    ),
    "setunion": ("SS*", _sets(lambda a, b: [*a, *b])),
    "sha1": ("s", _hash("sha1")),
    "sha256": ("s", _hash("sha256")),
    "sha512": ("s", _hash("sha512")),
    "signum": ("n", lambda x: (x > 0) - (x < 0)),
    "slice": ("lii", _slice),
    "sort": ("L", sorted),
    "split": ("ss", lambda sep, s: s.split(sep) if sep else list(s)),
    "strlen": ("s", len),
    "substr": ("sii", _substr),
    "subtract": ("nn", arithmetic.exactly(EXACT.subtract)),
    "timeadd": ("ss", texts.time_add),
    "timestamp": ("", lambda: texts.to_time(datetime.datetime.now(datetime.UTC))),
    "title": ("s", texts.title),
    "trim": ("ss", lambda s, chars: s.strip(chars) if chars else s),
    "trimprefix": ("ss", lambda s, p: s.removeprefix(p)),
    "trimspace": ("s", lambda s: s.strip()),
    "trimsuffix": ("ss", lambda s, p: s.removesuffix(p)),
    "unixtimestampparse": ("i", texts.unix_timestamp),
    "upper": ("s", lambda s: s.upper()),
    "urlencode": ("s", texts.url_encode),
    "uuidv4": ("", lambda: str(uuid.uuid4())),
    "uuidv5": (
        "ss",
        lambda space, name: str(uuid.uuid5(_SPACES[space] if space in _SPACES else uuid.UUID(space), name)),
    ),
    "values": ("m", lambda v: [v[k] for k in sorted(v)]),
    "zipmap": ("Ll", _zipmap),
}
"""Each function's signature: letters of `_CONVERSIONS`; `*` after the last: any number of it, `?`: may be missing."""
