"""What the files say, not yet computed, and what a name in them means."""

from __future__ import annotations

import csv
import json
import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podman_agent.bake import compose, hcl
from podman_agent.bake.functions import FUNCTIONS, to_number, to_string
from podman_agent.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


@dataclass(frozen=True)
class Source:
    """One file's text; `name` gives the format by its suffix, or both are tried without one."""

    name: str
    text: str


@dataclass
class Layer:
    """One file: attribute expressions of each block, unevaluated unless `literal`."""

    globals: dict[str, Any] = field(default_factory=dict)
    variables: dict[str, dict[str, Any]] = field(default_factory=dict)
    functions: dict[str, dict[str, Any]] = field(default_factory=dict)
    groups: dict[str, dict[str, Any]] = field(default_factory=dict)
    targets: dict[str, dict[str, Any]] = field(default_factory=dict)
    literal: bool = False


def read(source: Source, env: Mapping[str, str]) -> Layer:
    """Parse one file; without a telling suffix JSON, HCL and compose are tried in this order.

    Args:
        source: The file.
        env: Variables for compose, which interpolates while it reads.

    Raises:
        DataError: If it is none of the formats.
    """
    match Path(source.name).suffix:
        case ".hcl":
            return _read_hcl(source)
        case ".json":
            return _read_json(source)
        case ".yaml" | ".yml":
            return _read_compose(source, env)
    readers: list[Callable[[Source], Layer]] = [_read_json, _read_hcl]
    for reader in readers:
        try:
            return reader(source)
        except DataError:
            continue
    return _read_compose(source, env)


def _read_compose(source: Source, env: Mapping[str, str]) -> Layer:
    services = compose.load(source.text, source.name, env)
    default = {"default": {"targets": list(services)}}
    return Layer(groups=default, targets=services, literal=True)


def _read_json(source: Source) -> Layer:
    try:
        document = json.loads(source.text)
    except ValueError as error:
        what = f"{source.name}: not valid JSON"
        raise DataError(what, str(error)) from error
    if not isinstance(document, dict):
        what = f"{source.name}: not a bake file"
        raise DataError(what, "the document is not an object")
    layer = Layer()
    for kind, blocks in _kinds(layer).items():
        blocks.update(document.pop(kind, {}))
    layer.globals = document
    return layer


def _read_hcl(source: Source) -> Layer:
    body = hcl.parse(source.text, source.name)
    layer = Layer(globals=dict(hcl.attributes(body)))
    kinds = _kinds(layer)
    for kind, name, inner in hcl.blocks(body):
        if kind not in kinds:
            what = f"{source.name}: unknown block {kind}"
            raise DataError(what, fix=f"bake has {', '.join(kinds)}")
        block: dict[str, Any] = dict(hcl.attributes(inner))
        checks = [hcl.attributes(b) for k, _, b in hcl.blocks(inner) if k == "validation"]
        if checks:
            block["validation"] = checks
        kinds[kind].setdefault(name, {}).update(block)
    return layer


def _kinds(layer: Layer) -> dict[str, dict[str, dict[str, Any]]]:
    return {
        "variable": layer.variables,
        "function": layer.functions,
        "group": layer.groups,
        "target": layer.targets,
    }


class Scope:
    """What a name means: variables (the environment wins), globals, functions, other targets."""

    def __init__(self, layers: Sequence[Layer], env: Mapping[str, str]) -> None:
        self._env = env
        self._globals: dict[str, Any] = {}
        self._variables: dict[str, dict[str, Any]] = {}
        self._functions: dict[str, dict[str, Any]] = {}
        for layer in layers:
            self._globals.update(layer.globals)
            self._functions.update(layer.functions)
            for name, block in layer.variables.items():
                self._variables.setdefault(name, {}).update(block)
        self._known: dict[str, Any] = {
            "BAKE_CMD_CONTEXT": "cwd://",
            "BAKE_LOCAL_PLATFORM": f"linux/{_GO_ARCH.get(platform.machine(), platform.machine())}",
        }
        self._busy: list[str] = []

    def __call__(self, name: str) -> Any:
        """Give a variable's value, or a function for `name()`; KeyError for an unknown name."""
        if name.endswith("()"):
            return self._function(name.removesuffix("()"))
        if name not in self._known:
            if name in self._busy:
                what = f"bake file: variable {name} depends on itself"
                raise DataError(what, " > ".join([*self._busy, name]))
            self._busy.append(name)
            self._known[name] = self._value(name)
            self._busy.pop()
        return self._known[name]

    def _value(self, name: str) -> Any:
        if name not in self._variables:
            return hcl.evaluate(self._globals[name], self)
        block = self._variables[name]
        default = hcl.evaluate(block.get("default", ""), self)
        kind = hcl.text(block["type"]) if "type" in block else type(default).__name__
        value = default
        if f"{name}_JSON" in self._env:
            value = json.loads(self._env[f"{name}_JSON"])
        elif name in self._env:
            value = _typed(name, self._env[name], kind)
        self._known[name] = value  # its own validation names it
        for check in block.get("validation", ()):
            if not hcl.evaluate(check["condition"], self):
                what = f"bake file: invalid value of variable {name}"
                raise DataError(what, to_string(hcl.evaluate(check["error_message"], self)))
        return value

    def _function(self, name: str) -> Callable[..., Any]:
        if name not in self._functions:
            return FUNCTIONS[name]
        block = self._functions[name]
        params = _names(block.get("params", []))
        rest = _names(block.get("variadic_params", []))

        def call(*values: Any) -> Any:
            bound = dict(zip(params, values, strict=False))
            if rest:
                bound[rest[0]] = list(values[len(params) :])
            return hcl.evaluate(block["result"], self.within(bound))

        return call

    def within(self, bound: Mapping[str, Any]) -> hcl.Lookup:
        """Give a lookup in which `bound` comes first."""
        return lambda name: bound[name] if name in bound else self(name)


_GO_ARCH = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm/v7", "i686": "386"}


def _names(value: Any) -> list[str]:
    return value if isinstance(value, list) else hcl.identifiers(value)


def _typed(name: str, value: str, kind: str) -> Any:
    """Read a variable's value from the environment as its type or its default asks."""
    kind = kind.partition("(")[0].strip()
    if kind == "bool":
        return to_boolean(value, f"variable {name}")
    if kind in {"int", "float", "number"}:
        try:
            return to_number(value)
        except ValueError as error:
            what = f"variable {name} must be a number"
            raise DataError(what, repr(value)) from error
    if kind in {"list", "set", "tuple"}:
        return next(csv.reader([value]), [])
    if kind in {"dict", "map", "object"}:
        what = f"variable {name} is an object"
        raise DataError(what, fix=f"set {name}_JSON instead")
    return value


def to_boolean(value: Any, what: str) -> bool:
    """Read a boolean or its text.

    Raises:
        DataError: If it is neither, naming `what`.
    """
    if isinstance(value, bool):
        return value
    try:
        return {"true": True, "1": True, "false": False, "0": False}[str(value).lower()]
    except KeyError:
        raise DataError(what, f"{value!r} is neither true nor false") from None
