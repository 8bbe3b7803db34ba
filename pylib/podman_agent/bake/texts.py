"""What the functions of a bake file do with text: Go's formats, regular expressions, times, versions, networks.

Meaning: https://docs.docker.com/build/bake/stdlib/, and go-cty's and buildx's code where that page is silent.
"""

from __future__ import annotations

import csv
import datetime
import ipaddress
import json
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from podman_agent.bake.values import kind_of, to_bool, to_number, to_string, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_VERB = re.compile(
    r"%(%|(?P<flags>[-+ #0]*)(?P<width>\d*)(?:\.(?P<precision>\d+))?(?:\[(?P<index>\d+)\])?(?P<verb>.))", re.DOTALL
)


def to_json(value: Any) -> str:
    """JSON as Go writes it: no blanks, keys sorted, `<`, `>` and `&` escaped."""
    match kind_of(value):
        case "number":
            return to_string(value)
        case "list" | "set":
            return "[" + ",".join(map(to_json, value)) + "]"
        case "map":
            return "{" + ",".join(f"{to_json(k)}:{to_json(value[k])}" for k in sorted(value)) + "}"
        case "string":
            return re.sub("[<>&\u2028\u2029]", lambda m: f"\\u{ord(m[0]):04x}", json.dumps(value, ensure_ascii=False))
        case "null" | "bool":
            return json.dumps(value)


def from_json(text: str) -> Any:
    """A value from JSON, numbers exact.

    Raises:
        ValueError: It is not JSON.
    """
    return json.loads(text, parse_float=lambda t: whole(Decimal(t)))


def format_text(layout: str, *values: Any) -> str:
    """Go-like formatting: https://pkg.go.dev/github.com/zclconf/go-cty/cty/function/stdlib#Format.

    Raises:
        ValueError: A verb is unknown, or the number of values does not fit.
    """
    used, position = 0, 0

    def verb(match: re.Match[str]) -> str:
        nonlocal used, position
        if match[1] == "%":
            return "%"
        position = int(match["index"]) if match["index"] else position + 1
        used = max(used, position)
        if not 1 <= position <= len(values):
            msg = f"not enough arguments for {match[0]!r}: only {len(values)} given"
            raise ValueError(msg)
        return _formatted(match, values[position - 1])

    text = _VERB.sub(verb, layout)
    if used < len(values):
        msg = f"too many arguments; only {used} used by format string"
        raise ValueError(msg)
    return text


def _formatted(match: re.Match[str], value: Any) -> str:
    flags, width = match["flags"], int(match["width"] or 0)
    precision = int(match["precision"]) if match["precision"] is not None else None
    letter = match["verb"]
    if value is None and letter != "v":
        msg = f"unsupported value for {match[0]!r}: null value cannot be formatted"
        raise ValueError(msg)
    if letter == "v":
        # go-cty's %v: text as it is, numbers as %g, the rest as JSON
        text = value if isinstance(value, str) else to_json(value)
        return _padded(text, width, flags)
    if letter == "t":
        return _padded(to_string(to_bool(value)), width, flags)
    if letter in "sq":
        text = to_string(value)
        text = text if precision is None else text[:precision]
        return _padded(to_json(text) if letter == "q" else text, width, flags)
    number = to_number(value)
    if letter in "bdoxX":
        if not isinstance(number, int):
            msg = f"unsupported value for {match[0]!r}: an integer is required"
            raise ValueError(msg)
        digits = format(number, ("+" if "+" in flags else "") + letter)
        digits = " " + digits if " " in flags and not digits.startswith(("-", "+")) else digits
        return _padded(digits, width, flags)
    if letter in "eEfgG":
        rest = "".join(f for f in flags if f in "+ #-0").replace("-", "<")
        # %g is exact in Go where no precision is given
        if letter in "gG" and precision is None:
            return _padded(to_string(number), width, flags)
        return f"{'%' + rest.replace('<', '-')}{width or ''}.{6 if precision is None else precision}{letter}" % number
    msg = f"unsupported format verb {letter!r}"
    raise ValueError(msg)


def _padded(text: str, width: int, flags: str) -> str:
    if "-" in flags:
        return text.ljust(width)
    if "0" in flags and text[:1] in {"-", "+"}:
        return text[0] + text[1:].rjust(width - 1, "0")
    return text.rjust(width, "0" if "0" in flags else " ")


def format_list(layout: str, *values: Any) -> list[str]:
    """`format` once for each element of the lists; what is no list is the same each time.

    Raises:
        ValueError: The lists differ in length.
    """
    lengths = {len(v) for v in values if isinstance(v, list)}
    if len(lengths) > 1:
        msg = "arguments have inconsistent lengths"
        raise ValueError(msg)
    rows = lengths.pop() if lengths else 1
    return [format_text(layout, *(v[i] if isinstance(v, list) else v for v in values)) for i in range(rows)]


def regex_match(match: re.Match[str] | None) -> Any:
    """What a match gives: named groups, else all groups, else the text.

    Raises:
        ValueError: There was none.
    """
    if match is None:
        msg = "pattern did not match any part of the given string"
        raise ValueError(msg)
    return match.groupdict() or list(match.groups()) or match[0]


def regex_replace(text: str, pattern: str, replacement: str) -> str:
    """Replace every match; `$1` and `${name}` as Go has them, where an unknown group is empty."""

    def expanded(match: re.Match[str]) -> str:
        def group(found: re.Match[str]) -> str:
            if found[0] == "$$":
                return "$"
            name = found[1] or found[2]
            known = match.groupdict()
            if name.isdigit():
                return (match[int(name)] or "") if int(name) <= len(match.groups()) else ""
            return known.get(name) or ""

        return re.sub(r"\$(?:\$|\{(\w+)\}|(\w+))", group, replacement)

    return re.sub(pattern, expanded, text)


def title(text: str) -> str:
    """Every word's first letter in upper case, as Go's strings.Title finds words."""
    return re.sub(r"(?<![\w'])[^\W\d_]|(?<=')[^\W\d_]", lambda m: m[0].upper(), text)


def parse_time(stamp: str) -> datetime.datetime:
    """An RFC 3339 time.

    Raises:
        ValueError: It is none.
    """
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)", stamp):
        msg = f"{stamp!r} is not an RFC 3339 time"
        raise ValueError(msg)
    return datetime.datetime.fromisoformat(re.sub(r"\.\d+", lambda m: (m[0] + "000000")[:7], stamp))


def to_time(when: datetime.datetime) -> str:
    """RFC 3339, whole seconds, `Z` for UTC."""
    return when.replace(microsecond=0).isoformat().replace("+00:00", "Z")


_CODES: dict[str, Callable[[datetime.datetime], str]] = {
    "YYYY": lambda t: f"{t.year:04}", "YY": lambda t: f"{t.year % 100:02}",
    "MMMM": lambda t: t.strftime("%B"), "MMM": lambda t: t.strftime("%b"),
    "MM": lambda t: f"{t.month:02}", "M": lambda t: str(t.month),
    "DD": lambda t: f"{t.day:02}", "D": lambda t: str(t.day),
    "EEEE": lambda t: t.strftime("%A"), "EEE": lambda t: t.strftime("%a"),
    "hh": lambda t: f"{t.hour:02}", "h": lambda t: str(t.hour),
    "HH": lambda t: f"{t.hour % 12 or 12:02}", "H": lambda t: str(t.hour % 12 or 12),
    "AA": lambda t: "AM" if t.hour < 12 else "PM", "aa": lambda t: "am" if t.hour < 12 else "pm",
    "mm": lambda t: f"{t.minute:02}", "m": lambda t: str(t.minute),
    "ss": lambda t: f"{t.second:02}", "s": lambda t: str(t.second),
    "ZZZZZ": lambda t: t.isoformat()[-6:], "ZZZZ": lambda t: t.strftime("%z"),
    "ZZZ": lambda t: "UTC" if not t.utcoffset() else t.strftime("%z"),
    "Z": lambda t: "Z" if not t.utcoffset() else t.isoformat()[-6:],
}  # fmt: skip


def format_date(layout: str, when: datetime.datetime) -> str:
    """By go-cty's letters: https://pkg.go.dev/github.com/zclconf/go-cty/cty/function/stdlib#FormatDate.

    Raises:
        ValueError: A letter, or a number of them, that means nothing; an open quote.
    """
    out = ""
    for quoted, letter, more, other in re.findall(r"'((?:[^']|'')*)'|([a-zA-Z])(\2*)|([^a-zA-Z'])", layout):
        run = letter + more
        if run and run not in _CODES:
            msg = f"invalid format verb {run!r}"
            raise ValueError(msg)
        out += _CODES[run](when) if run else quoted.replace("''", "'") or other
    if re.sub(r"'(?:[^']|'')*'", "", layout).count("'"):
        msg = "unterminated literal ' in date format"
        raise ValueError(msg)
    return out


def format_timestamp(layout: str, when: Any) -> str:
    """`format_date` of a time as text or of seconds since the epoch; `X` gives the seconds."""
    if kind_of(when) == "number":
        if not isinstance(when, int):
            msg = "unix timestamp must be an integer"
            raise ValueError(msg)
        moment = datetime.datetime.fromtimestamp(when, datetime.UTC)
    else:
        moment = parse_time(when)
    return str(int(moment.timestamp())) if layout == "X" else format_date(layout, moment)


def unix_timestamp(seconds: int) -> dict[str, Any]:
    """The parts of a time given in seconds since the epoch."""
    when = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    year, week, _ = when.isocalendar()
    return {
        "year": when.year, "year_day": when.timetuple().tm_yday, "day": when.day, "month": when.month,
        "month_name": when.strftime("%B"), "weekday": when.isoweekday() % 7, "weekday_name": when.strftime("%A"),
        "hour": when.hour, "minute": when.minute, "second": when.second, "rfc3339": to_time(when),
        "iso_year": year, "iso_week": week,
    }  # fmt: skip


_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}


def time_add(stamp: str, duration: str) -> str:
    """A time, and one of Go's durations later.

    Raises:
        ValueError: One of them is none.
    """
    if not re.fullmatch(r"[-+]?(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|ms|s|m|h))+|[-+]?0", duration):
        msg = f"{duration!r} is not a duration"
        raise ValueError(msg)
    parts = re.findall(r"([\d.]+)(ns|us|µs|ms|s|m|h)", duration)
    seconds = sum(float(amount) * _UNITS[unit] for amount, unit in parts)
    return to_time(parse_time(stamp) + datetime.timedelta(seconds=-seconds if duration[0] == "-" else seconds))


def csv_decode(text: str) -> list[dict[str, str]]:
    """Rows as objects by the first line's names.

    Raises:
        ValueError: A row has another number of fields.
    """
    rows = [row for row in csv.reader(text.splitlines()) if row]
    if any(len(row) != len(rows[0]) for row in rows):
        msg = "wrong number of fields"
        raise ValueError(msg)
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


def url_encode(text: str) -> str:
    """Go's QueryEscape."""
    return quote(text, safe="").replace("%20", "+")


def cidr_subnet(prefix: str, bits: int, number: int) -> str:
    """The `number`th network inside one, longer by `bits`."""
    network = ipaddress.ip_network(prefix, strict=False)
    if network.prefixlen + bits > network.max_prefixlen or not 0 <= number < 1 << bits:
        msg = f"prefix extension of {bits} does not accommodate a subnet numbered {number}"
        raise ValueError(msg)
    size = 1 << (network.max_prefixlen - network.prefixlen - bits)
    return f"{network.network_address + number * size}/{network.prefixlen + bits}"


def cidr_subnets(prefix: str, *bits: int) -> list[str]:
    """Consecutive networks inside one, each longer by its number of bits."""
    network = ipaddress.ip_network(prefix, strict=False)
    at, found = int(network.network_address), []
    for extra in bits:
        length = network.prefixlen + extra
        size = 1 << (network.max_prefixlen - length)
        at = -(-at // size) * size
        if at + size > int(network.broadcast_address) + 1:
            msg = "not enough remaining address space"
            raise ValueError(msg)
        found.append(f"{type(network.network_address)(at)}/{length}")
        at += size
    return found


def cidr_host(prefix: str, number: int) -> str:
    """The `number`th address of a network; from its end if negative."""
    network = ipaddress.ip_network(prefix, strict=False)
    if not -network.num_addresses <= number < network.num_addresses:
        msg = f"prefix of {network.prefixlen} does not accommodate a host numbered {number}"
        raise ValueError(msg)
    return str(network[number])


def cidr_netmask(prefix: str) -> str:
    """A network's mask."""
    return str(ipaddress.IPv4Network(prefix, strict=False).netmask)


_VERSION = re.compile(r"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?")
_RULE = re.compile(
    r"\s*(!=|<=|>=|=<|=>|[=<>~^]|~>)?\s*"
    r"(v?(?:\d+|[xX*])(?:\.(?:\d+|[xX*]))?(?:\.(?:\d+|[xX*]))?(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?)\s*,?"
)
Version = tuple[int, int, int, str]


def semver_compare(version: str, constraint: str) -> bool:
    """Whether a version fits a constraint, by https://github.com/Masterminds/semver#checking-version-constraints.

    Raises:
        ValueError: One of them cannot be read.
    """
    found = _VERSION.fullmatch(version)
    if not found:
        msg = f"{version!r} is not a semantic version"
        raise ValueError(msg)
    mine: Version = (int(found[1]), int(found[2] or 0), int(found[3] or 0), found[4] or "")
    return any(all(_fits(mine, *rule) for rule in _rules(part)) for part in constraint.split("||"))


def _rules(text: str) -> Iterator[tuple[str, str]]:
    text = re.sub(r"(\S+)\s+-\s+(\S+)", r">=\1 <=\2", text.strip())
    position = 0
    while position < len(text):
        match = _RULE.match(text, position)
        if not match:
            msg = f"improper constraint: {text}"
            raise ValueError(msg)
        yield match[1] or "", match[2]
        position = match.end()


def _fits(mine: Version, sign: str, text: str) -> bool:
    plain, _, pre = text.lstrip("v").partition("+")[0].partition("-")
    parts = plain.split(".")
    given = [int(p) for p in parts if p not in "xX*"]
    wild = len(given) < 3
    if mine[3] and not pre:
        return False  # a pre-release fits only what names one
    low: Version = (*[*given, 0, 0, 0][:3], pre)  # type: ignore[assignment]
    order = _order(mine, low)
    prefix = list(mine[: len(given)]) == given
    match sign:
        case "" | "=":
            return prefix if wild else order == 0
        case "!=":
            return not prefix if wild else order != 0
        case ">":
            return order > 0 and not (wild and prefix)
        case ">=" | "=>":
            return order >= 0
        case "<":
            return order < 0
        case "<=" | "=<":
            return order <= 0 or (wild and prefix)
        case "~" | "~>":
            return not given or (order >= 0 and list(mine[: min(2, len(given))]) == given[:2])
        case _:
            kept = next((i for i, n in enumerate(given) if n), len(given) - 1) + 1
            return not given or (order >= 0 and list(mine[:kept]) == given[:kept])


def _order(a: Version, b: Version) -> int:
    if a[:3] != b[:3]:
        return 1 if a[:3] > b[:3] else -1
    left, right = (_pre(v[3]) for v in (a, b))
    return (left > right) - (left < right)


def _pre(text: str) -> tuple[Any, ...]:
    if not text:
        return (1,)
    return (0, *((0, int(p), "") if p.isdigit() else (1, 0, p) for p in text.split(".")))
