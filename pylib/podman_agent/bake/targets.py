"""From attributes to targets: types, merging, inheritance, links, groups, as buildx's `bake.go` has them.

https://github.com/docker/buildx/blob/master/bake/bake.go
"""

from __future__ import annotations

import dataclasses
import fnmatch
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from podman_agent.bake import entries
from podman_agent.bake.entries import entry_kind
from podman_agent.bake.values import Type, convert
from podman_agent.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from podman_agent.bake.overrides import Overrides

Attributes = dict[str, Any]
_APPENDED = frozenset({"annotations", "no-cache-filter", "ulimits", "entitlements", "inherits"})
MAPS = frozenset({"args", "labels", "contexts", "extra-hosts"})
LISTS = _APPENDED | {"platforms", "tags"}
_BOOLEANS = frozenset({"no-cache", "pull"})
_REMOTE = re.compile(r"(?:https?|git|ssh)://|git@|github\.com/")


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
    """`type=cacheonly` for one that is only linked to."""
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
        values = {f.name.replace("_", "-"): getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "name"}
        return {k: _printed(k, v) for k, v in values.items() if v not in (None, (), {}, "")}


def _printed(key: str, value: Any) -> Any:
    if kind := entry_kind(key):
        return [entries.printed(kind, e) for text in value for e in entries.parse(kind, text)]
    if isinstance(value, tuple):
        return [_escaped(v) if key == "annotations" else v for v in value]
    if isinstance(value, Mapping):
        return {k: v if key == "contexts" else _escaped(v) for k, v in value.items()}
    return _escaped(value) if key == "dockerfile-inline" else value


def _escaped(text: str) -> str:
    return text.replace("${", "$${").replace("%{", "%%{")


KEYS = frozenset(f.name.replace("_", "-") for f in dataclasses.fields(Target)) - {"name"}
SET_IN_FILES = KEYS | {"inherits", "name", "matrix"}


def decoded(key: str, value: Any) -> Any:
    """An attribute's value as its type: text, list of text, map of text, boolean, or entries.

    Raises:
        TypeError: It has another type.
        ValueError: An entry makes no sense.
    """
    if value is None:
        return None
    if kind := entry_kind(key):
        return entries.read(kind, value)
    if key in MAPS:
        found = convert(value, Type("map", Type("string")))
        if key == "contexts" and None in found.values():
            msg = "string required"
            raise TypeError(msg)
        return found
    if key in LISTS:
        listed = convert(value, Type("list", Type("string")))
        if None in listed:
            msg = "string required"
            raise TypeError(msg)
        return listed
    return convert(value, Type("bool" if key in _BOOLEANS else "string"))


def merge(base: Attributes, over: Attributes) -> Attributes:
    """Put `over` on top: maps and some lists grow, everything else is replaced (`Target.Merge`)."""
    result = dict(base)
    for key, value in over.items():
        if value is None:
            continue
        kind = entry_kind(key)
        if key in MAPS:
            result[key] = {**(result.get(key) or {}), **{k: v for k, v in value.items() if v is not None}}
        elif kind and key not in {"cache-to", "output"}:
            result[key] = entries.merged(kind, result.get(key) or [], value)
        elif key in _APPENDED:
            result[key] = [*(result.get(key) or []), *value]
        elif key != "description" or value:
            result[key] = value
    return result


class Config:
    """Targets and groups of all files, and what they come to.

    Args:
        targets: Attributes by name, merged over the files, in the files' order.
        groups: Members by name.
        notes: What was passed over, a line each.
    """

    def __init__(
        self, targets: Mapping[str, Attributes], groups: Mapping[str, tuple[str, ...]], notes: tuple[str, ...] = ()
    ) -> None:
        self.raw, self.groups, self.notes = targets, groups, notes

    def matching(self, name: str) -> list[str]:
        """The groups and targets that a name on the command line means: `app-*` is a pattern.

        Raises:
            DataError: A pattern matches none.
        """
        name = name.replace(".", "_")
        if not re.search(r"[*?\[\]]", name):
            return [name]
        found = [n for n in (*self.groups, *self.raw) if fnmatch.fnmatchcase(n, name)]
        if not found:
            what = f"no target or group matches {name}"
            raise DataError(what, fix=f"there are: {', '.join([*self.groups, *self.raw]) or 'none'}")
        return found

    def members(
        self, name: str, seen: dict[str, tuple[list[str], list[str]]] | None = None
    ) -> tuple[list[str], list[str]]:
        """The targets of a group, and the groups in it with itself; a name that is no group is a target."""
        seen = {} if seen is None else seen
        if name in seen:
            return seen[name]
        if name not in self.groups:
            return [name], []
        seen[name] = ([], [])
        targets: list[str] = []
        groups = [name]
        for member in self.groups[name]:
            inner, more = self.members(member, seen)
            targets += inner or [member]
            groups += more
        seen[name] = (targets, groups)
        return seen[name]

    def resolve(self, name: str, overrides: Overrides) -> Target:
        """One target with what it inherits and what the command line sets.

        Raises:
            DataError: It or a parent does not exist, or has a value that makes no sense.
        """
        attributes = self._inherited(name, {}, overrides)
        if attributes is None:
            what = f"target {name} inherits itself"
            raise DataError(what)
        values: dict[str, Any] = {}
        for key, value in attributes.items():
            if key == "inherits" or value is None:
                continue
            if kind := entry_kind(key):
                value = tuple(entries.written(kind, e) for e in value)  # noqa: PLW2901 - the same value, as text
            elif isinstance(value, list):
                value = tuple(value)  # noqa: PLW2901
            elif isinstance(value, Mapping):
                value = {k: v for k, v in value.items() if v is not None}  # noqa: PLW2901
            values[key.replace("-", "_")] = value
        _check(name, values)
        values["context"] = _context(values.get("context", "."))
        values["dockerfile"] = values.get("dockerfile") or "Dockerfile"
        return Target(name, **values)

    def _inherited(self, name: str, seen: dict[str, Attributes | None], overrides: Overrides) -> Attributes | None:
        if name in seen:
            return seen[name]
        seen[name] = None
        if name not in self.raw:
            what = f"failed to find target {name}"
            raise DataError(what, fix=f"there are: {', '.join([*self.groups, *self.raw]) or 'none'}")
        result: Attributes = {}
        for parent in self.raw[name].get("inherits") or []:
            if attributes := self._inherited(parent, seen, overrides):
                result = merge(result, attributes)
        result = overrides.onto(name, merge(result, self.raw[name]))
        seen[name] = _normal(result)
        return seen[name]


_SHAPES = {
    "platforms": re.compile(r"[\w.-]+(?:/[\w.-]+){0,2}"),
    "ulimits": re.compile(r"[a-z]+=-?\d+(?::-?\d+)?"),
    "shm_size": re.compile(r"\d+(?:\.\d+)? ?[kKmMgGtTpP]?[iI]?[bB]?"),
}


def _check(name: str, values: Mapping[str, Any]) -> None:
    for key, shape in _SHAPES.items():
        given = values.get(key) or ()
        for value in [given] if isinstance(given, str) else given:
            if not shape.fullmatch(value):
                what = f"target {name}: {key.replace('_', '-')} {value!r} makes no sense"
                raise DataError(what)


def _normal(attributes: Attributes) -> Attributes:
    result = dict(attributes)
    for key, value in attributes.items():
        if kind := entry_kind(key):
            result[key] = entries.merged(kind, value or [])
        elif key in LISTS and value is not None:
            result[key] = [v for v in dict.fromkeys(value) if v != ""]
    if result.get("network") == "host":
        result["entitlements"] = list(dict.fromkeys([*(result.get("entitlements") or []), "network.host"]))
    if result.get("contexts"):
        result["contexts"] = {k: v for k, v in result["contexts"].items() if v != ""}
    return result


def _context(path: str) -> str:
    if path.startswith("cwd://"):
        return posixpath.normpath(path.removeprefix("cwd://"))
    return path if is_remote(path) else posixpath.normpath(path)


def is_remote(path: str) -> bool:
    """Whether a context is a URL or a git repository."""
    return bool(_REMOTE.match(path)) or path.endswith(".git")


def linked(config: Config, names: Sequence[str], overrides: Overrides) -> dict[str, Target]:
    """The named targets and all they link to; those only linked to give no output of their own.

    Raises:
        DataError: A target does not exist, links to itself, or is linked to for platforms it does not have.
    """
    targets = {name: config.resolve(name, overrides) for name in names}
    for name in list(targets):
        _follow(config, name, targets, overrides, ())
    return targets


def _follow(config: Config, name: str, targets: dict[str, Target], overrides: Overrides, path: tuple[str, ...]) -> None:
    path = (*path, name)
    for link in targets[name].links:
        if link in path:
            what = "targets depend on each other"
            raise DataError(what, " > ".join([*path, link]))
        if link not in targets:
            targets[link] = dataclasses.replace(config.resolve(link, overrides), output=("type=cacheonly",))
        _follow(config, link, targets, overrides, path)
        mine, theirs = targets[name], targets[link]
        targets[name] = dataclasses.replace(
            mine, entitlements=tuple(dict.fromkeys((*mine.entitlements, *theirs.entitlements)))
        )
        if len(mine.platforms) > 1 and len(theirs.platforms) > 1 and not set(mine.platforms) <= set(theirs.platforms):
            what = f"target {link} cannot be used by {name}"
            why = f"its platforms {' '.join(theirs.platforms)} do not hold all of {' '.join(mine.platforms)}"
            raise DataError(what, why)


def in_order(targets: Mapping[str, Target], names: Sequence[str]) -> Iterator[Target]:
    """The targets, each after those it links to."""
    done: set[str] = set()

    def visit(name: str) -> Iterator[Target]:
        if name in done:
            return
        done.add(name)
        for link in targets[name].links:
            yield from visit(link)
        yield targets[name]

    for name in names:
        yield from visit(name)
