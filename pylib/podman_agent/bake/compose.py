"""Reads the `build` sections of a compose file as bake targets.

Fields: https://docs.docker.com/reference/compose-file/build/; `x-bake`:
https://docs.docker.com/build/bake/compose-file/#extension-field-with-x-bake.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

from podman_agent.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

_VARIABLE = re.compile(r"\$(?:(\$)|\{([A-Za-z_]\w*)|([A-Za-z_]\w*)|(?=.))")


class _Loader(yaml.SafeLoader):
    """YAML whose scalars stay text: compose is YAML 1.2, where `no` and `22:22` are strings."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in entries if tag.endswith((":null", ":merge"))]
    for first, entries in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def load(source: str, name: str, env: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Read the services that have a `build` section.

    Args:
        source: The file's text.
        name: What to call it in an error.
        env: Variables for interpolation.

    Returns:
        Service name to bake attributes, in the file's order; paths as written.

    Raises:
        DataError: If it is not YAML, has no services, or uses `include` or `extends.file`.
    """
    try:
        document = yaml.load(source, Loader=_Loader)  # noqa: S506 - a SafeLoader with fewer types
    except yaml.YAMLError as error:
        what = f"{name}: not valid YAML"
        raise DataError(what, str(error)) from error
    if not isinstance(document, dict) or not isinstance(document.get("services"), dict):
        what = f"{name}: not a compose file"
        raise DataError(what, "it has no services")
    if "include" in document:
        what = f"{name}: include is not supported"
        raise DataError(what, fix="name each file with its own --file")
    document = _interpolated(document, env, name)
    services = {service: _extended(document["services"], service, name) for service in document["services"]}
    return {
        service: _target(body, document.get("secrets") or {}, env)
        for service, body in services.items()
        if body.get("build") is not None
    }


def interpolate(value: str, env: Mapping[str, str], name: str = "compose file") -> str:
    """Replace `$NAME`, `${NAME:-default}`, `${NAME:?message}`, `${NAME:+other}`; `$$` is a `$`.

    Raises:
        DataError: For an unset `${NAME:?message}` or an unclosed brace.
    """
    out, position = "", 0
    while match := _VARIABLE.search(value, position):
        out += value[position : match.start()]
        dollar, braced, plain = match.groups()
        position = match.end()
        if dollar or not (braced or plain):
            out += "$"
        elif plain:
            out += env.get(plain, "")
        else:
            end = _closing(value, position, name)
            out += _expand(braced, value[position:end], env, name)
            position = end + 1
    return out + value[position:]


def _closing(value: str, start: int, name: str) -> int:
    depth = 1
    for index in range(start, len(value)):
        depth += {"{": 1, "}": -1}.get(value[index], 0)
        if not depth:
            return index
    what = f"{name}: unclosed ${{ in {value!r}"
    raise DataError(what)


def _expand(variable: str, rest: str, env: Mapping[str, str], name: str) -> str:
    current = env.get(variable)
    present = current if not rest.startswith(":") else current or None
    sign, other = rest.removeprefix(":")[:1], rest.removeprefix(":")[1:]
    match sign:
        case "":
            return current or ""
        case "-":
            return present if present is not None else interpolate(other, env, name)
        case "+":
            return "" if present is None else interpolate(other, env, name)
        case "?" if present is not None:
            return present
        case "?":
            what = f"{name}: required variable {variable} is missing"
            raise DataError(what, interpolate(other, env, name))
        case _:
            what = f"{name}: invalid interpolation ${{{variable}{rest}}}"
            raise DataError(what)


def _interpolated(value: Any, env: Mapping[str, str], name: str) -> Any:
    match value:
        case str():
            return interpolate(value, env, name)
        case list():
            return [_interpolated(v, env, name) for v in value]
        case dict():
            return {k: _interpolated(v, env, name) for k, v in value.items()}
        case _:
            return value


def _extended(services: dict[str, Any], service: str, name: str) -> dict[str, Any]:
    body: dict[str, Any] = services.get(service) or {}
    seen = {service}
    while extends := body.get("extends"):
        parent = extends if isinstance(extends, str) else extends.get("service", "")
        if isinstance(extends, dict) and extends.get("file"):
            what = f"{name}: extends.file of service {service} is not supported"
            raise DataError(what, fix="name that file with its own --file")
        if parent in seen or parent not in services:
            what = f"{name}: service {service} extends {parent}"
            raise DataError(what, "which is itself" if parent in seen else "which does not exist")
        seen.add(parent)
        own = {k: v for k, v in body.items() if k != "extends"}
        body = _deep(services[parent] or {}, own)
    return body


def _deep(base: Any, over: Any) -> Any:
    if isinstance(base, dict) and isinstance(over, dict):
        return {**base, **{k: _deep(base.get(k), v) for k, v in over.items()}}
    if isinstance(base, list) and isinstance(over, list):
        return base + over
    return over


def _target(body: dict[str, Any], secrets: dict[str, Any], env: Mapping[str, str]) -> dict[str, Any]:
    build = body["build"]
    build = {"context": build} if isinstance(build, str) else dict(build)
    target: dict[str, Any] = {bake: build[compose] for compose, bake in _SAME.items() if build.get(compose) is not None}
    for field in ("args", "labels"):
        target[field] = _pairs(build.get(field), env if field == "args" else {})
    for field, key in (("additional_contexts", "contexts"), ("extra_hosts", "extra-hosts")):
        target[key] = {k: re.sub("^service:", "target:", v) for k, v in _pairs(build.get(field), {}).items()}
    target["tags"] = [*([body["image"]] if body.get("image") else []), *(build.get("tags") or [])]
    if "platforms" not in target and body.get("platform"):
        target["platforms"] = [body["platform"]]
    target["secret"] = [_secret(s, secrets) for s in build.get("secrets") or []]
    ssh = build.get("ssh") or []
    target["ssh"] = [f"{k}={v}" if v else k for k, v in ssh.items()] if isinstance(ssh, dict) else ssh
    target["ulimits"] = _ulimits(build.get("ulimits") or {})
    for key, value in (build.get("x-bake") or {}).items():
        old = target.get(key)
        listed = isinstance(old, list) and not isinstance(value, dict)
        target[key] = old + _listed(value) if listed and old else _deep(old, value)
    return {k: v for k, v in target.items() if v not in (None, [], {})}


_SAME = {
    "context": "context",
    "dockerfile": "dockerfile",
    "dockerfile_inline": "dockerfile-inline",
    "target": "target",
    "cache_from": "cache-from",
    "cache_to": "cache-to",
    "platforms": "platforms",
    "no_cache": "no-cache",
    "pull": "pull",
    "network": "network",
    "shm_size": "shm-size",
    "entitlements": "entitlements",
}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _pairs(value: Any, inherited: Mapping[str, str]) -> dict[str, str]:
    """Read a mapping given as such or as `NAME=value` lines; a bare name comes from `inherited`."""
    if isinstance(value, list):
        value = dict(_pair(entry) for entry in value)
    found = {k: v if v is not None else inherited.get(k) for k, v in (value or {}).items()}
    return {k: v for k, v in found.items() if v is not None}


def _pair(entry: str) -> tuple[str, str | None]:
    key, separator, value = entry.partition("=")
    return key, value if separator else None


def _secret(entry: Any, secrets: dict[str, Any]) -> str:
    entry = {"source": entry} if isinstance(entry, str) else entry
    source = entry["source"]
    definition = secrets.get(source) or {}
    identity = f"id={entry.get('target') or source}"
    if definition.get("file"):
        return f"{identity},src={definition['file']}"
    return f"{identity},env={definition.get('environment') or source}"


def _ulimits(value: dict[str, Any]) -> list[str]:
    return [f"{k}={v['soft']}:{v['hard']}" if isinstance(v, dict) else f"{k}={v}" for k, v in value.items()]
