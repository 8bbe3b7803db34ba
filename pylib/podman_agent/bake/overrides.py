"""`--set TARGETPATTERN.KEY[.NAME]=VALUE` and the flags of ``bake`` that stand for one."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from podman_agent.bake import entries
from podman_agent.bake.entries import entry_kind
from podman_agent.bake.targets import KEYS, LISTS, MAPS
from podman_agent.bake.values import parse_bool
from podman_agent.errors import DataError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from podman_agent.bake.targets import Attributes

_NAMES = {"platform": "platforms", "secrets": "secret"}
_SWITCHES = frozenset({"no-cache", "pull", "push", "load"})
# buildx adds to these whether it is told to or not
_GROWING = frozenset({"entitlements", "annotations", "attest"})


@dataclass(frozen=True)
class Override:
    """One `--set`: a pattern of target names, a key, perhaps a key inside it, and a value."""

    pattern: str
    key: str
    sub: str
    value: str
    append: bool


def parse(text: str, env: Mapping[str, str]) -> Override | None:
    """Read `TARGETPATTERN.KEY[.SUBKEY]=VALUE` or `+=VALUE`.

    Args:
        text: The option's value.
        env: What `TARGET.args.NAME` without a value takes it from.

    Returns:
        None for an argument that is to come from the environment and is not there.

    Raises:
        UsageError: If it is not that, or the key is not bake's.
    """
    match = re.fullmatch(r"([^.=]+)\.([a-z-]+)(?:\.([^=]+?))?(?:(\+?)=(.*))?", text, re.DOTALL)
    if not match or (match[5] is None and match[2] != "args"):
        what = f"--set {text}"
        raise UsageError(what, fix="write it as TARGET.KEY=VALUE or TARGET.args.NAME=VALUE")
    pattern, key, sub, plus, value = match.groups()
    key = _NAMES.get(key, key)
    if key not in KEYS | {"push", "load"} or (key in MAPS) is not bool(sub):
        what = f"--set {text}: invalid key {key}"
        raise UsageError(what, fix=f"bake has {', '.join(sorted(KEYS))}; maps need .NAME")
    if value is None:
        if sub not in env:
            return None
        value = env[sub]
    if key in _SWITCHES:
        _boolean(value, text)
    return Override(pattern, key, sub or "", value, bool(plus))


def _boolean(value: str, text: str) -> bool:
    found = parse_bool(value)
    if found is None:
        what = f"--set {text}: {value!r} is neither true nor false"
        raise UsageError(what)
    return found


class Overrides:
    """All that the command line sets.

    Args:
        given: In its order.
        names: The targets there are.

    Raises:
        UsageError: One matches no target.
    """

    def __init__(self, given: Iterable[Override], names: Iterable[str]) -> None:
        self._given = list(given)
        known = list(names)
        for one in self._given:
            if one.pattern not in known and not fnmatch.filter(known, one.pattern):
                what = f"--set {one.pattern}.{one.key}: no target matches"
                raise UsageError(what, fix=f"there are: {', '.join(known) or 'none'}")

    def onto(self, name: str, attributes: Attributes) -> Attributes:
        """A target's attributes with what is set for it.

        Raises:
            DataError: A value makes no sense for its key.
        """
        result = dict(attributes)
        lists: dict[str, list[str]] = {}
        append: dict[str, bool] = {}
        mine = [o for o in self._given if o.pattern == name or fnmatch.fnmatchcase(name, o.pattern)]
        for one in mine:
            if one.key in LISTS or entry_kind(one.key):
                lists.setdefault(one.key, []).append(one.value)
                append[one.key] = one.append
            elif one.key in MAPS:
                result[one.key] = {**(result.get(one.key) or {}), one.sub: one.value}
            elif one.key not in {"push", "load"}:
                result[one.key] = _boolean(one.value, one.key) if one.key in _SWITCHES else one.value
        for key, values in lists.items():
            result[key] = _listed(name, key, values, result.get(key) or [], keep=append[key] or key in _GROWING)
        for one in mine:  # after what says where a result goes
            outputs = result.get("output") or []
            if one.key == "push":
                result["output"] = _pushed(outputs, push=_boolean(one.value, one.key))
            elif one.key == "load" and _boolean(one.value, one.key):
                result["output"] = _loaded(outputs)
        return result


def _listed(name: str, key: str, values: list[str], before: list[Any], *, keep: bool) -> list[Any]:
    kind = entry_kind(key)
    if not kind:
        return [*(before if keep else []), *values]
    try:
        read = entries.read(kind, values)
    except ValueError as error:
        what = f"--set {name}.{key}={','.join(values)}"
        raise DataError(what, str(error)) from error
    return entries.merged(kind, before if keep else [], read)


def _pushed(outputs: list[entries.Entry], *, push: bool) -> list[entries.Entry]:
    if not push:
        found = [o for o in outputs if o["type"] != "registry"]
        return [{**o, "push": "false"} if o["type"] == "image" else o for o in found]
    found = [{**o, "push": "true"} if o["type"] == "image" else o for o in outputs]
    if all(o["type"] == "docker" for o in outputs):
        found.append({"type": "image", "push": "true"})
    return found


def _loaded(outputs: list[entries.Entry]) -> list[entries.Entry]:
    for output in outputs:
        if output["type"] == "docker" and not output.get("dest"):
            return outputs
        if output["type"] not in {"docker", "image", "registry", "oci"}:
            return outputs
    return [*outputs, {"type": "docker"}]
