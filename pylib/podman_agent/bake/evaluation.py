"""Computes the blocks of all files: matrices, names, and targets that speak of each other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from podman_agent.bake import hcl
from podman_agent.bake.targets import KEYS, SET_IN_FILES, Attributes, Config, decoded, merge
from podman_agent.bake.templates import within
from podman_agent.bake.values import to_string
from podman_agent.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from podman_agent.bake.layers import Block, Layer
    from podman_agent.bake.scope import Scope
    from podman_agent.bake.templates import Lookup

_NAME = re.compile(r"[a-zA-Z0-9_-]+")


class _Member(Mapping[str, Any]):
    """One target of one block, its attributes computed when they are asked for."""

    def __init__(self, name: str, block: Block, lookup: Lookup) -> None:
        self.name, self._block, self._lookup = name, block, lookup
        self._known: dict[str, Any] = {"name": name}
        self._busy: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        if key not in self._known:
            if key in self._busy:
                what = f"bake file: target.{self.name}.{key} refers to itself"
                raise DataError(what)
            if key not in SET_IN_FILES:
                raise KeyError(key)
            self._busy.add(key)
            try:
                self._known[key] = self._computed(key)
            finally:
                self._busy.discard(key)
        return self._known[key]

    def _computed(self, key: str) -> Any:
        if key not in self._block:
            return None
        return _typed("target", self.name, key, hcl.evaluate(self._block[key], self._lookup))

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(SET_IN_FILES - {"matrix"}))

    def __len__(self) -> int:
        return len(SET_IN_FILES) - 1

    def attributes(self) -> Attributes:
        """All that the block sets."""
        return {key: self[key] for key in self._block if key in KEYS or key == "inherits"}


def evaluate(layers: Sequence[Layer], scope: Scope) -> Config:
    """Compute every attribute of every target and group; inheritance is still to come.

    Args:
        layers: The files, in order.
        scope: The names they share.

    Returns:
        A matrix target becomes several targets and a group of its own name
        (https://docs.docker.com/build/bake/matrices/).

    Raises:
        DataError: A file makes no sense.
    """
    targets, groups = _services(layers)
    scope.check()
    members: list[_Member] = []
    renamed: dict[str, list[str]] = {}
    for label, block in (b for layer in layers for b in layer.blocks["target"]):
        found = list(_members(label, block, scope))
        if len({m.name for m in found}) != len(found):
            what = f"target {label} has two members of one name"
            raise DataError(what, ", ".join(m.name for m in found))
        members += found
        renamed.setdefault(label, []).extend(m.name for m in found)
    scope.targets = {member.name: member for member in members}
    for member in members:
        targets[member.name] = merge(targets.get(member.name, {}), member.attributes())
    for label, block in (b for layer in layers for b in layer.blocks["group"]):
        _checked(label)
        groups[label] = tuple(_group(label, block, scope))
    scope.finish()
    for label, names in renamed.items():
        names = list(dict.fromkeys(names))  # noqa: PLW2901 - the same names, each once
        if names != [label]:
            groups.setdefault(label, tuple(names))
    return Config(targets, {k: tuple(dict.fromkeys(v)) for k, v in groups.items()}, _unknown(layers))


def _unknown(layers: Sequence[Layer]) -> tuple[str, ...]:
    """What buildx passes over in silence."""
    known = {"target": SET_IN_FILES, "group": {"targets", "description"}}
    return tuple(
        f"{kind} {label}: {key} is no attribute of a {kind}, as docker buildx does it is passed over"
        for layer in layers
        for kind, names in known.items()
        for label, block in layer.blocks[kind]
        for key in block
        if key not in names
    ) + tuple(note for layer in layers for note in layer.notes)


def _services(layers: Sequence[Layer]) -> tuple[dict[str, Attributes], dict[str, tuple[str, ...]]]:
    targets: dict[str, Attributes] = {}
    default: list[str] = []
    for layer in layers:
        for name, body in (layer.services or {}).items():
            _checked(name)
            targets[name] = merge(targets.get(name, {}), _service(name, body))
            default.append(name)
    return targets, {"default": tuple(default)} if any(layer.services is not None for layer in layers) else {}


def _service(name: str, body: Block) -> Attributes:
    """A compose service: its values are no templates any more."""
    return {key: _typed("service", name, key, value) for key, value in body.items() if key in KEYS}


def _typed(kind: str, name: str, key: str, value: Any) -> Any:
    try:
        return decoded(key, value)
    except (TypeError, ValueError) as error:
        what = f"{kind} {name}: {key} has the wrong type"
        raise DataError(what, str(error)) from error


def _group(label: str, block: Block, lookup: Lookup) -> list[str]:
    if "matrix" in block or "name" in block:
        what = f"group {label} has a {'matrix' if 'matrix' in block else 'name'}"
        raise DataError(what, "only a target may")
    if "targets" not in block:
        what = f"group {label} has no targets"
        raise DataError(what)
    try:
        return decoded("tags", hcl.evaluate(block["targets"], lookup)) or []
    except TypeError as error:
        what = f"group {label}: targets is no list of names"
        raise DataError(what, str(error)) from error


def _members(label: str, block: Block, lookup: Lookup) -> Iterator[_Member]:
    if "matrix" not in block:
        if "name" in block:
            what = f"target {label} has a name"
            raise DataError(what, "but no matrix that would give it several")
        yield _Member(_checked(label), block, lookup)
        return
    matrix = hcl.evaluate(block["matrix"], lookup)
    if not isinstance(matrix, Mapping) or not all(isinstance(v, list | dict) for v in matrix.values()):
        what = f"target {label}: matrix must be a map of lists"
        raise DataError(what)
    rows: list[dict[str, Any]] = [{}]
    for key, values in matrix.items():
        listed = list(values.values()) if isinstance(values, Mapping) else values
        rows = [{**row, key: value} for value in listed for row in rows]
    if not rows:
        what = f"target {label}: the matrix is empty"
        raise DataError(what)
    for row in rows:
        inner = within(lookup, row)
        name = to_string(hcl.evaluate(block["name"], inner)) if "name" in block else label
        yield _Member(_checked(name), block, inner)


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        what = f"{name!r} is no name of a target or group"
        raise DataError(what, fix="use letters, digits, '_' and '-'")
    return name
