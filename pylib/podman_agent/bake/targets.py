"""From layers to targets: matrices, inheritance, merging, overrides."""

from __future__ import annotations

import csv
import dataclasses
import fnmatch
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from podman_agent.bake import hcl
from podman_agent.bake.functions import to_string
from podman_agent.bake.layers import to_boolean
from podman_agent.errors import DataError, UsageError

if TYPE_CHECKING:
    from podman_agent.bake.layers import Layer, Scope

_MERGED_LISTS = {"annotations", "attest", "cache-from", "secret", "ssh", "ulimits", "entitlements"}
_MAPS = {"args", "labels", "contexts", "extra-hosts"}
_LISTS = _MERGED_LISTS | {"cache-to", "no-cache-filter", "output", "platforms", "tags"}
_BOOLEANS = {"no-cache", "pull"}
_OVERRIDE_NAMES = {"platform": "platforms", "secrets": "secret", "outputs": "output"}


@dataclass(frozen=True)
class Target:
    """One image to build, everything resolved.

    List entries with fields (`cache_from`, `cache_to`, `output`, `secret`, `ssh`, `attest`) are
    given in buildx's text form, for example `type=registry,ref=example.com/cache`.
    """

    name: str
    context: str = "."
    dockerfile: str = "Dockerfile"
    dockerfile_inline: str | None = None
    target: str | None = None
    """The stage to stop at."""
    args: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    contexts: Mapping[str, str] = field(default_factory=dict)
    annotations: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    cache_from: tuple[str, ...] = ()
    cache_to: tuple[str, ...] = ()
    output: tuple[str, ...] = ()
    secret: tuple[str, ...] = ()
    ssh: tuple[str, ...] = ()
    attest: tuple[str, ...] = ()
    no_cache: bool | None = None
    no_cache_filter: tuple[str, ...] = ()
    pull: bool | None = None
    network: str | None = None
    shm_size: str | None = None
    ulimits: tuple[str, ...] = ()
    extra_hosts: Mapping[str, str] = field(default_factory=dict)
    entitlements: tuple[str, ...] = ()
    call: str | None = None
    description: str | None = None

    @property
    def links(self) -> tuple[str, ...]:
        """Names of the targets whose results this one uses (`contexts = {x = "target:y"}`)."""
        prefix = "target:"
        return tuple(v.removeprefix(prefix) for v in self.contexts.values() if v.startswith(prefix))

    def as_dict(self) -> dict[str, Any]:
        """Give the attributes under bake's own names, unset ones left out (`bake --print`)."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        del values["name"]
        return {
            k.replace("_", "-"): list(v) if isinstance(v, tuple) else v
            for k, v in values.items()
            if v not in (None, (), {})
        }


Attributes = dict[str, Any]


def evaluate_targets(layers: Sequence[Layer], scope: Scope) -> tuple[dict[str, Attributes], dict[str, tuple[str, ...]]]:
    """Compute every attribute of every target and group; inheritance is still to come.

    Args:
        layers: The files, in order.
        scope: The names they share.

    Returns:
        Attributes by target, with `inherits`, and the members by group. A matrix target becomes
        several targets and a group of its own name
        (https://docs.docker.com/build/bake/matrices/).
    """
    targets: dict[str, Attributes] = {}
    groups: dict[str, list[str]] = {}
    lookup = _with_targets(scope, layers, targets)
    for layer in layers:
        for name, block in layer.targets.items():
            for expanded, attributes in _expanded(name, block, layer, lookup):
                targets[expanded] = merge(targets.get(expanded, {}), attributes)
                if expanded != name:
                    groups.setdefault(name, []).append(expanded)
    for layer in layers:
        for name, block in layer.groups.items():
            members = block["targets"]
            members = members if layer.literal else hcl.evaluate(members, lookup)
            groups[name] = [*(groups.get(name, []) if layer.literal else []), *members]
    return targets, {k: tuple(dict.fromkeys(v)) for k, v in groups.items()}


def _with_targets(scope: Scope, layers: Sequence[Layer], done: Mapping[str, Attributes]) -> hcl.Lookup:
    """Let expressions say `target.other.args.X`, in whatever order the targets stand."""

    class Others(dict[str, Any]):
        def __missing__(self, name: str) -> Attributes:
            self[name] = {}  # a target that asks for itself finds nothing, not a deep stack
            for layer in layers:
                if name in layer.targets and name not in done:
                    attributes = {
                        k: v if layer.literal else hcl.evaluate(v, lookup) for k, v in layer.targets[name].items()
                    }
                    self[name] = merge(self[name], attributes)
            return self[name] or done[name]

    others = Others()

    def lookup(name: str) -> Any:
        return others if name == "target" else scope(name)

    return lookup


def _expanded(name: str, block: Attributes, layer: Layer, lookup: hcl.Lookup) -> list[tuple[str, Attributes]]:
    if layer.literal:
        return [(name, block)]
    if "matrix" not in block:
        return [(name, {k: hcl.evaluate(v, lookup) for k, v in block.items()})]
    if "name" not in block:
        what = f"target {name} has a matrix"
        raise DataError(what, "but no name to tell its members apart")
    matrix = hcl.evaluate(block["matrix"], lookup)
    rest = {k: v for k, v in block.items() if k not in {"matrix", "name"}}
    found = []
    for values in itertools.product(*matrix.values()):
        bound = dict(zip(matrix, values, strict=True))

        def inner(word: str, bound: dict[str, Any] = bound) -> Any:
            return bound[word] if word in bound else lookup(word)

        member = to_string(hcl.evaluate(block["name"], inner))
        found.append((member, {k: hcl.evaluate(v, inner) for k, v in rest.items()}))
    return found


def merge(base: Attributes, over: Attributes) -> Attributes:
    """Put `over` on top: maps and some lists grow, everything else is replaced.

    Which lists grow is buildx's choice (`Target.Merge` in
    https://github.com/docker/buildx/blob/master/bake/bake.go).
    """
    merged = dict(base)
    for key, value in over.items():
        if value is None:
            continue
        if key in _MAPS and isinstance(value, Mapping):
            added = {k: v for k, v in value.items() if v is not None}
            merged[key] = {**(merged.get(key) or {}), **added}
        elif key in _MERGED_LISTS:
            merged[key] = _unique([*_listed(merged.get(key)), *_listed(value)])
        else:
            merged[key] = value
    return merged


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _unique(values: list[Any]) -> list[Any]:
    return [v for i, v in enumerate(values) if v not in values[:i]]


@dataclass(frozen=True)
class Override:
    """One `--set`: a pattern of target names, a key, perhaps a key inside it, and a value."""

    pattern: str
    key: str
    sub: str
    value: str
    append: bool


def parse_override(text: str) -> Override:
    """Read `TARGETPATTERN.KEY[.SUBKEY]=VALUE` or `+=VALUE`.

    Raises:
        UsageError: If it is not that, or the key is not bake's.
    """
    match = re.fullmatch(r"([^.=]+)\.([a-z-]+)(?:\.([^=]+?))?(\+?)=(.*)", text, re.DOTALL)
    if not match:
        what = f"--set {text}"
        raise UsageError(what, fix="write it as TARGET.KEY=VALUE or TARGET.args.NAME=VALUE")
    pattern, key, sub, plus, value = match.groups()
    key = _OVERRIDE_NAMES.get(key, key)
    if key not in _KEYS | {"push", "load"} or (key in _MAPS) is not bool(sub):
        what = f"--set {text}: invalid key {key}"
        raise UsageError(what, fix=f"bake has {', '.join(sorted(_KEYS))}; maps need .NAME")
    return Override(pattern, key, sub or "", value, bool(plus))


def finish(raw: Mapping[str, Attributes], overrides: Sequence[Override]) -> dict[str, Target]:
    """Apply inheritance and overrides.

    Args:
        raw: What `evaluate_targets` gave.
        overrides: In the order given; several for one list key make one list.

    Raises:
        DataError: For an unknown parent, a circle, an unknown attribute or a wrong type.
        UsageError: For an override that matches no target.
    """
    for override in overrides:
        if not fnmatch.filter(raw, override.pattern):
            what = f"--set {override.pattern}.{override.key}: no target matches"
            raise UsageError(what, fix=f"there are: {', '.join(raw) or 'none'}")
    return {
        name: _target(
            name,
            _overridden(
                _inherited(name, raw, ()),
                [o for o in overrides if fnmatch.fnmatchcase(name, o.pattern)],
            ),
        )
        for name in raw
    }


def _inherited(name: str, raw: Mapping[str, Attributes], path: tuple[str, ...]) -> Attributes:
    if name in path:
        what = "targets inherit from each other"
        raise DataError(what, " > ".join([*path, name]))
    if name not in raw:
        what = f"target {path[-1]} inherits {name}, which does not exist"
        raise DataError(what)
    result: Attributes = {}
    for parent in _listed(raw[name].get("inherits")):
        result = merge(result, _inherited(parent, raw, (*path, name)))
    return merge(result, {k: v for k, v in raw[name].items() if k != "inherits"})


def _overridden(attributes: Attributes, overrides: Sequence[Override]) -> Attributes:
    result = dict(attributes)
    seen: set[str] = set()
    for o in overrides:
        if o.key in {"push", "load"}:
            if to_boolean(o.value, f"--set {o.key}"):
                kind = "registry" if o.key == "push" else "docker"
                result["output"] = [f"type={kind}"]
        elif o.key in _MAPS:
            result[o.key] = {**(result.get(o.key) or {}), o.sub: o.value}
        elif o.key in _LISTS:
            values = next(csv.reader([o.value]), []) if o.key == "platforms" else [o.value]
            keep = o.append or o.key in seen
            result[o.key] = [*(_listed(result.get(o.key)) if keep else []), *values]
            seen.add(o.key)
        else:
            result[o.key] = o.value
    return result


def _target(name: str, attributes: Attributes) -> Target:
    values: dict[str, Any] = {}
    for key, value in attributes.items():
        if key not in _KEYS:
            what = f"target {name} has an unknown attribute {key}"
            raise DataError(what, fix=f"bake has {', '.join(sorted(_KEYS))}")
        if value is None:
            continue
        try:
            values[key.replace("-", "_")] = _converted(key, value)
        except TypeError as error:
            what = f"target {name}: {key} has the wrong type"
            raise DataError(what, str(error)) from error
    return Target(name, **values)


def _converted(key: str, value: Any) -> Any:
    if key in _BOOLEANS:
        return to_boolean(value, key)
    if key in _MAPS:
        if not isinstance(value, Mapping):
            msg = f"{value!r} is not a map"
            raise TypeError(msg)
        return {k: to_string(v) for k, v in value.items() if v is not None}
    if key in _LISTS:
        return tuple(dict.fromkeys(entry for v in _listed(value) if (entry := _entry(v))))
    return to_string(value)


def _entry(value: Any) -> str:
    """Give one list entry as buildx's text: an object becomes `key=value,...`, type first."""
    if not isinstance(value, Mapping):
        return to_string(value)
    keys = sorted(value, key=lambda k: (k not in {"type", "id"}, k))
    if "paths" in value:
        return f"{value['id']}={','.join(value['paths'])}"
    return ",".join(f"{k}={to_string(value[k])}" for k in keys if value[k] is not None)


_KEYS = {f.name.replace("_", "-") for f in dataclasses.fields(Target)} - {"name"}
