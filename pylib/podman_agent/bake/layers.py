"""What the files say, not yet computed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podman_agent.bake import compose, syntax
from podman_agent.bake.texts import from_json
from podman_agent.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Block = dict[str, Any]
"""Attribute expressions by name: nodes of python-hcl2's tree, or values of a JSON file whose texts are templates."""
BLOCKS = ("variable", "function", "group", "target")


@dataclass(frozen=True)
class Source:
    """One file's text; `name` gives the format by its suffix, or both are tried without one."""

    name: str
    text: str


@dataclass
class Layer:
    """One file.

    Attributes:
        attributes: The global ones.
        blocks: Of each kind, in the file's order: label and attributes. A name may stand several times.
        services: A compose file's targets, already computed.
        notes: What was passed over, a line each.
    """

    attributes: dict[str, Any] = field(default_factory=dict)
    blocks: dict[str, list[tuple[str, Block]]] = field(default_factory=lambda: {kind: [] for kind in BLOCKS})
    services: dict[str, Block] | None = None
    notes: list[str] = field(default_factory=list)


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
    return Layer(services={name.replace(".", "_"): body for name, body in services.items()})


def _read_json(source: Source) -> Layer:
    try:
        document = from_json(source.text)
    except (ValueError, RecursionError) as error:
        what = f"{source.name}: not valid JSON"
        raise DataError(what, str(error)) from error
    if not isinstance(document, dict):
        what = f"{source.name}: not a bake file"
        raise DataError(what, "the document is not an object")
    layer = Layer()
    for kind in BLOCKS:
        # a list at any level is several of what could stand there: hcl/json/spec.md#blocks
        for labelled in _several(document.pop(kind, {}), source.name):
            for label, bodies in labelled.items():
                layer.blocks[kind] += [(label, dict(body)) for body in _several(bodies, source.name)]
    layer.attributes = document
    return layer


def _several(value: Any, name: str) -> list[dict[str, Any]]:
    found = value if isinstance(value, list) else [value]
    if not all(isinstance(one, dict) for one in found):
        what = f"{name}: a block must be an object"
        raise DataError(what, json.dumps(value, default=str)[:80])
    return found


def _read_hcl(source: Source) -> Layer:
    body = syntax.parse(source.text, source.name)
    layer = Layer(attributes=dict(syntax.attributes(body)))
    for kind, labels, inner in syntax.blocks(body):
        if kind not in BLOCKS:
            layer.notes.append(
                f"{source.name}: {kind} is no block of a bake file, as docker buildx does it is passed over"
            )
            continue
        if len(labels) != 1:
            what = f"{source.name}: a {kind} block has one name, not {len(labels)}"
            raise DataError(what)
        block: Block = dict(syntax.attributes(inner))
        below = syntax.blocks(inner)
        checks = [syntax.attributes(b) for k, _, b in below if k == "validation"]
        if kind == "variable" and checks:
            block["validation"] = checks
        layer.blocks[kind].append((labels[0], block))
    return layer
