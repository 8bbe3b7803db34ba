"""What a name in a bake file means: variables (the environment wins), globals, functions, other targets."""

from __future__ import annotations

import csv
import platform
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, assert_never

from podman_agent.bake import functions, hcl, syntax
from podman_agent.bake.templates import within
from podman_agent.bake.texts import from_json
from podman_agent.bake.values import (
    MISSING,
    SetValue,
    Type,
    TypeKind,
    completed,
    convert,
    kind_of,
    parse_bool,
    to_bool,
    to_string,
    whole,
)
from podman_agent.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from podman_agent.bake.layers import Block, Layer

_GO_ARCH = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm/v7", "i686": "386"}


class Scope:
    """The names of all files; of two blocks of one name the last counts.

    Args:
        layers: The files, in order.
        env: The environment.
    """

    def __init__(self, layers: Sequence[Layer], env: Mapping[str, str]) -> None:
        self._env = env
        self._attributes: dict[str, Any] = {}
        self._variables: dict[str, Block] = {}
        self._functions: dict[str, Block] = {}
        for layer in layers:
            self._attributes.update(layer.attributes)
            self._variables.update(layer.blocks["variable"])
            self._functions.update(layer.blocks["function"])
        self._known: dict[str, Any] = {
            "BAKE_CMD_CONTEXT": "cwd://",
            "BAKE_LOCAL_PLATFORM": f"linux/{_GO_ARCH.get(platform.machine(), platform.machine())}",
        }
        self._busy: list[str] = []
        self.targets: Mapping[str, Any] = {}
        """What `target` means; filled in once the targets have their names."""

    def __call__(self, name: str) -> Any:
        """Give a variable's value, or a function for `name()`; KeyError for an unknown name."""
        if name == "target":
            return self.targets
        if name.endswith("()"):
            return self._function(name.removesuffix("()"))
        if name not in self._known:
            if name in self._busy:
                what = f"bake file: variable {name} depends on itself"
                raise DataError(what, " > ".join([*self._busy, name]))
            self._busy.append(name)
            try:
                self._known[name] = self._value(name)
            finally:
                self._busy.pop()
        return self._known[name]

    def check(self) -> None:
        """Compute every variable and hold it against its validations.

        Raises:
            DataError: One makes no sense or is not valid.
        """
        for name in self._variables:
            self(name)
        for name, block in self._variables.items():
            for check in _checks(block):
                self._valid(name, check)
        for name in self._functions:
            for key in ("params", "result"):
                if key not in self._functions[name]:
                    what = f"bake file: function {name} has no {key}"
                    raise DataError(what)

    def finish(self) -> None:
        """Compute the globals that nobody asked for.

        Raises:
            DataError: One makes no sense.
        """
        for name in self._attributes:
            self(name)

    def _valid(self, name: str, check: Block) -> None:
        try:
            holds = to_bool(hcl.evaluate(check["condition"], self))
        except TypeError as error:
            what = f"bake file: the condition of variable {name} is neither true nor false"
            raise DataError(what, str(error)) from error
        if not holds:
            what = f"bake file: invalid value of variable {name}"
            raise DataError(what, to_string(hcl.evaluate(check["error_message"], self)))

    def _value(self, name: str) -> Any:
        if name not in self._attributes and name not in self._variables:
            raise KeyError(name)
        block = self._variables.get(name, {})
        kind = self._type(block) if name not in self._attributes else None
        default = self._attributes.get(name, block.get("default", MISSING))
        value: Any = None if kind else ""
        if default is not MISSING:
            value = hcl.evaluate(default, self)
            if kind:
                value = _converted(name, value, kind)
        if name in self._variables:
            plain, json_text = self._override(name, kind)
            if json_text is not None and kind:
                return _converted(name, completed(_from_json(name, json_text), kind), kind)
            text = plain if plain is not None else json_text
            if text is not None:
                return _given(name, text, kind or _implied(value, has_default=default is not MISSING))
        return value

    def _override(self, name: str, kind: Type | None) -> tuple[str | None, str | None]:
        """The environment's value, plain and as JSON: of a typed variable JSON counts first."""
        plain = self._env.get(name)
        other = f"{name}_JSON"
        if (plain is None or kind) and other not in self._variables and other in self._env:
            return None, self._env[other]
        return plain, None

    def _type(self, block: Block) -> Type | None:
        given = block.get("type")
        if given is None:
            return None
        if isinstance(given, str):  # a JSON file writes the type as text
            given = syntax.attributes(syntax.parse(f"x = {given}", "type"))["x"]
        if syntax.text(given) == "null":
            return None
        return hcl.constraint(given, self)

    def _function(self, name: str) -> Callable[..., Any]:
        if name in functions.FUNCTIONS:
            return lambda *values: functions.call(name, values)
        block = self._functions[name]
        params = _names(block.get("params", []))
        rest = _names(block.get("variadic_params", []))

        def call(*values: Any) -> Any:
            if len(values) < len(params) or (len(values) > len(params) and not rest):
                msg = f"{name}() takes {len(params)} arguments, {len(values)} given"
                raise TypeError(msg)
            bound = dict(zip(params, values, strict=False))
            if rest:
                bound[rest[0]] = list(values[len(params) :])
            return hcl.evaluate(block["result"], within(self, bound))

        return call


def _checks(block: Block) -> list[Block]:
    checks = block.get("validation", [])
    return checks if isinstance(checks, list) else [checks]


def _names(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return value if isinstance(value, list) else syntax.identifiers(value)


def _converted(name: str, value: Any, kind: Type) -> Any:
    try:
        return convert(value, kind)
    except TypeError as error:
        what = f"bake file: variable {name} has the wrong type"
        raise DataError(what, str(error)) from error


def _from_json(name: str, text: str) -> Any:
    try:
        return from_json(text)
    except ValueError as error:
        what = f"variable {name}: {name}_JSON is not valid JSON"
        raise DataError(what, str(error)) from error


def _implied(value: Any, *, has_default: bool) -> Type:
    kinds: dict[str, TypeKind] = {"bool": "bool", "number": "number", "string": "string"}
    if not has_default or value is None:
        return Type("string")
    return Type(kinds.get(kind_of(value), "object"))


def _given(name: str, text: str, kind: Type) -> Any:
    """Read a variable's value from the environment as its type asks.

    Raises:
        DataError: It cannot be read so.
    """
    what = f"variable {name}"
    match kind.kind:
        case "string":
            return text
        case "any":
            raise DataError(what, "a variable of type any cannot come from the environment", "give it another type")
        case "bool":
            switch = parse_bool(text)
            if switch is None:
                raise DataError(what, f"{text!r} is neither true nor false")
            return switch
        case "number":
            try:
                number = Decimal(text)
            except InvalidOperation as error:
                what = f"variable {name} must be a number"
                raise DataError(what, repr(text)) from error
            return whole(number)
        case "list" | "set" | "tuple" | "map":
            return _several(name, next(csv.reader([text]), []), kind)
        case "object":
            raise DataError(what, f"a value of this type cannot be text: {text!r}", f"set {name}_JSON instead")
        case unreachable:
            assert_never(unreachable)


def _several(name: str, fields: list[str], kind: Type) -> Any:
    what = f"variable {name}"
    if kind.kind == "tuple":
        if len(fields) != len(kind.members):
            raise DataError(what, f"{len(kind.members)} values are wanted, {len(fields)} are given")
        return [_given(name, f, _primitive(name, t)) for f, (_, t) in zip(fields, kind.members, strict=True)]
    element = _primitive(name, kind.element)
    if kind.kind == "map":
        pairs = [field.partition(":") for field in fields]
        if not all(separator and ":" not in value for _, separator, value in pairs):
            raise DataError(what, "write it as KEY:VALUE,KEY:VALUE")
        return {key: _given(name, value, element) for key, _, value in pairs}
    values = [_given(name, field, element) for field in fields]
    return SetValue(values) if kind.kind == "set" else values


def _primitive(name: str, kind: Type | None) -> Type:
    if kind is None or not kind.primitive:
        what = f"variable {name}"
        raise DataError(what, "only texts, numbers and booleans can be given in a list", f"set {name}_JSON instead")
    return kind
