"""Values as HCL has them: what may become what, and when two are the same.

Strings, booleans, numbers (`int` or `Decimal`), None, lists, `SetValue` and dicts stand for those of go-cty; the
rules are its conversions (https://github.com/zclconf/go-cty/blob/main/docs/convert.md). A list here is cty's list or
tuple, a dict its map or object: only their elements tell them apart, and nothing that bake does depends on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, InvalidOperation
from typing import Any, Literal, assert_never

Kind = Literal["null", "bool", "number", "string", "list", "set", "map"]
TypeKind = Literal["any", "bool", "number", "string", "list", "set", "map", "object", "tuple"]
# go-cty computes with 512 bits
EXACT = Context(prec=154)
MISSING = object()


class SetValue(list[Any]):
    """A set: each element once, in go-cty's order."""

    def __init__(self, values: Iterable[Any] = ()) -> None:
        unique: list[Any] = []
        for value in values:
            if not any(same(value, other) for other in unique):
                unique.append(value)
        super().__init__(sorted(unique, key=_rank))


def _rank(value: Any) -> tuple[bool, Any]:
    # null is last; what go-cty has no order for stands in that of its text
    kind = kind_of(value)
    return value is None, value if kind in {"number", "string", "bool"} else str(value)


def kind_of(value: Any) -> Kind:
    """What a value is."""
    match value:
        case None:
            return "null"
        case bool():
            return "bool"
        case int() | Decimal():
            return "number"
        case str():
            return "string"
        case SetValue():
            return "set"
        case Mapping():
            return "map"
        case _:
            return "list"


def same(a: Any, b: Any) -> bool:
    """Whether two values are equal; those of different kinds never are (`"1" == 1` is false)."""
    if kind_of(a) != kind_of(b):
        return False
    if isinstance(a, Mapping):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


def to_string(value: Any) -> str:
    """A primitive as text.

    Raises:
        TypeError: For null, a list, a set or a map.
    """
    match kind_of(value):
        case "string":
            return str(value)
        case "bool":
            return "true" if value else "false"
        case "number":
            text = f"{Decimal(value):f}"
            return text.rstrip("0").rstrip(".") if "." in text else text
        case "null":
            msg = "null cannot be part of a string"
            raise TypeError(msg)
        case kind:
            msg = f"a {kind} cannot be part of a string"
            raise TypeError(msg)


def to_number(value: Any) -> int | Decimal:
    """A number, from one or from its decimal text.

    Raises:
        TypeError: It is neither.
    """
    if kind_of(value) == "number":
        return value  # type: ignore[no-any-return]
    try:
        number = Decimal(value) if isinstance(value, str) and "_" not in value and value == value.strip() else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite():
        msg = f"{value!r} is not a number"
        raise TypeError(msg)
    return whole(number)


def whole(number: int | Decimal) -> int | Decimal:
    """A number as `int` where it has no fraction."""
    return int(number) if int(number) == number else number


def to_bool(value: Any) -> bool:
    """A boolean, from one or from `true`, `false`, `1`, `0` as text.

    Raises:
        TypeError: It is neither.
    """
    if isinstance(value, bool):
        return value
    try:
        return {"true": True, "1": True, "false": False, "0": False}[value]
    except (KeyError, TypeError):
        msg = f"{value!r} is neither true nor false"
        raise TypeError(msg) from None


def parse_bool(text: str) -> bool | None:
    """A boolean as Go's strconv.ParseBool reads it; None for any other text."""
    if text in {"1", "t", "T", "true", "TRUE", "True"}:
        return True
    return False if text in {"0", "f", "F", "false", "FALSE", "False"} else None


def unified(values: Sequence[Any]) -> list[Any]:
    """The values as ones of a single type: text if one of them is text.

    Raises:
        TypeError: They have none in common.
    """
    kinds = {kind_of(v) for v in values} - {"null"}
    if "string" in kinds and kinds <= {"string", "number", "bool"}:
        return [v if v is None else to_string(v) for v in values]
    if kinds <= {"list", "set"} and kinds:
        lists = [v for v in values if v is not None]
        flat = iter(unified([e for v in lists for e in v]))
        return [v if v is None else type(v)(next(flat) for _ in v) for v in values]
    if len(kinds) > 1:
        msg = f"{' and '.join(sorted(kinds))} have no type in common"
        raise TypeError(msg)
    return list(values)


@dataclass(frozen=True)
class Type:
    """A type constraint: `list(string)`, `object({a = number})`.

    Attributes:
        kind: Which.
        element: Of a list, set or map.
        members: Of an object or tuple: name (empty in a tuple) and type.
    """

    kind: TypeKind = "any"
    element: Type | None = None
    members: tuple[tuple[str, Type], ...] = ()

    @property
    def primitive(self) -> bool:
        """Whether text alone can give it."""
        return self.kind in {"bool", "number", "string"}


def convert(value: Any, to: Type) -> Any:
    """A value as one of a type.

    Raises:
        TypeError: It cannot be one.
    """
    if value is None or to.kind == "any":
        return value
    match to.kind:
        case "string":
            return to_string(value)
        case "number":
            return to_number(value)
        case "bool":
            return to_bool(value)
        case "list" | "set":
            elements = _elements(_listed(value, to), to.element or Type())
            return SetValue(elements) if to.kind == "set" else elements
        case "map":
            mapped = _mapped(value, to)
            return dict(zip(mapped, _elements(list(mapped.values()), to.element or Type()), strict=True))
        case "object":
            return _object(_mapped(value, to), to)
        case "tuple":
            listed = _listed(value, to)
            if len(listed) != len(to.members):
                msg = f"{len(to.members)} elements are wanted, {len(listed)} are given"
                raise TypeError(msg)
            return [convert(v, t) for v, (_, t) in zip(listed, to.members, strict=True)]
        case unreachable:
            assert_never(unreachable)


def _elements(values: list[Any], element: Type) -> list[Any]:
    return unified(values) if element.kind == "any" else [convert(v, element) for v in values]


def _listed(value: Any, to: Type) -> list[Any]:
    if not isinstance(value, list):
        msg = f"a {to.kind} is wanted, not a {kind_of(value)}"
        raise TypeError(msg)
    return list(value)


def _mapped(value: Any, to: Type) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        msg = f"a {to.kind} is wanted, not a {kind_of(value)}"
        raise TypeError(msg)
    return value


def completed(value: Any, to: Type) -> Any:
    """A value from JSON, where an attribute of an object that is missing is null."""
    if to.kind == "object" and isinstance(value, Mapping):
        return {name: completed(value.get(name), member) for name, member in to.members}
    return value


def _object(value: Mapping[str, Any], to: Type) -> dict[str, Any]:
    if missing := [name for name, _ in to.members if name not in value]:
        msg = f'attribute "{missing[0]}" is required'
        raise TypeError(msg)
    return {name: convert(value[name], member) for name, member in to.members}
