"""Reads the `build` sections of a compose file as bake targets.

Fields: https://docs.docker.com/reference/compose-file/build/; `x-bake`:
https://docs.docker.com/build/bake/compose-file/#extension-field-with-x-bake.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from podman_agent.bake.values import parse_bool
from podman_agent.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

_VARIABLE = re.compile(r"\$(?:(\$)|\{([A-Za-z_]\w*)|([A-Za-z_]\w*)|(?=.))")


class _Loader(yaml.SafeLoader):
    """YAML as Go's yaml.v3 reads it, every scalar as the text that compose makes of it.

    `no` and `22:22` stay as they are; `1.10` becomes `1.1` and `0o14` becomes `12`, as with docker.
    """


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in entries if tag.endswith((":null", ":merge"))]
    for first, entries in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_INTEGER = re.compile(r"[-+]?(?:0b[01_]+|0o?[0-7_]*|0x[0-9a-fA-F_]+|[1-9][0-9_]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")


def _number(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> str:
    text = str(loader.construct_scalar(node))
    if _INTEGER.fullmatch(text):
        plain = text.replace("_", "")
        return str(int(re.sub(r"^([-+]?)0o?(?=[0-7])", r"\g<1>0o", plain), 0))
    value = float(text)
    return str(int(value)) if value.is_integer() and abs(value) < 1e21 else repr(value)


for _tag, _shape in (("tag:podman-agent,number", _INTEGER), ("tag:podman-agent,number", _FLOAT)):
    _Loader.add_implicit_resolver(_tag, re.compile(f"(?:{_shape.pattern})$"), list("-+.0123456789"))
_Loader.add_constructor("tag:podman-agent,number", _number)


def load(source: str, name: str, env: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Read the services that have a `build` section.

    Args:
        source: The file's text.
        name: Its path: what it includes is found from there, and errors name it.
        env: Variables for interpolation.

    Returns:
        Service name to bake attributes, in the file's order; paths as written.

    Raises:
        DataError: If it is not YAML, has no services, or a service makes no sense.
    """
    document = _document(source, name, {"COMPOSE_PROJECT_NAME": "bake", **env}, ())
    services, secrets = document["services"], document.get("secrets") or {}
    bodies = {service: _extended(services, service, name, env) for service in services}
    for service, body in bodies.items():
        if body.get("build") is None and not body.get("image"):
            what = f"{name}: service {service} has neither an image nor a build section"
            raise DataError(what)
    return {
        service: _target(service, body, secrets, env)
        for service, body in bodies.items()
        if body.get("build") is not None
    }


def _document(source: str, name: str, env: Mapping[str, str], outer: tuple[str, ...]) -> dict[str, Any]:
    try:
        read = yaml.load(source, Loader=_Loader)  # noqa: S506 - a SafeLoader with fewer types
    except yaml.YAMLError as error:
        what = f"{name}: not valid YAML"
        raise DataError(what, str(error)) from error
    if not isinstance(read, dict) or not isinstance(read.get("services", {}), dict):
        what = f"{name}: not a compose file"
        raise DataError(what, "it has no services")
    document: dict[str, Any] = _interpolated(read, env, name)
    for included in document.pop("include", None) or []:
        paths = included if isinstance(included, str) else included.get("path") or []
        for path in [paths] if isinstance(paths, str) else paths:
            document = _deep(_included(Path(name).parent / path, name, env, (*outer, name)), document)
    if not isinstance(document.get("services"), dict):
        what = f"{name}: not a compose file"
        raise DataError(what, "it has no services")
    return document


def _included(path: Path, name: str, env: Mapping[str, str], outer: tuple[str, ...]) -> dict[str, Any]:
    if str(path) in outer:
        what = f"{name}: include of {path}"
        raise DataError(what, "the files include each other")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        what = f"{name}: cannot include {path}"
        raise DataError(what, str(error)) from error
    return _document(text, str(path), env, outer)


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


def _extended(services: dict[str, Any], service: str, name: str, env: Mapping[str, str]) -> dict[str, Any]:
    body: dict[str, Any] = services.get(service) or {}
    seen = {(name, service)}
    while extends := body.get("extends"):
        parent = extends if isinstance(extends, str) else extends.get("service", "")
        if isinstance(extends, dict) and extends.get("file"):
            path = Path(name).parent / extends["file"]
            name, services = str(path), _included(path, name, env, ())["services"]
        if (name, parent) in seen or parent not in services:
            what = f"{name}: service {service} extends {parent}"
            raise DataError(what, "which is itself" if (name, parent) in seen else "which does not exist")
        seen.add((name, parent))
        own = {k: v for k, v in body.items() if k != "extends"}
        body = _deep(services[parent] or {}, own)
    return body


def _deep(base: Any, over: Any) -> Any:
    if isinstance(base, dict) and isinstance(over, dict):
        return {**base, **{k: _deep(base.get(k), v) for k, v in over.items()}}
    if isinstance(base, list) and isinstance(over, list):
        return base + over
    return over


def _target(service: str, body: dict[str, Any], secrets: dict[str, Any], env: Mapping[str, str]) -> dict[str, Any]:
    build = body["build"]
    build = {"context": build} if isinstance(build, str) else dict(build)
    target: dict[str, Any] = {bake: build[compose] for compose, bake in _SAME.items() if build.get(compose) is not None}
    for field in ("args", "labels"):
        target[field] = _pairs(
            build.get(field), {**env, **_pairs(body.get("environment"), env)} if field == "args" else {}
        )
    target["contexts"] = {k: _named(v) for k, v in _pairs(build.get("additional_contexts"), {}).items()}
    target["extra-hosts"] = _hosts(build.get("extra_hosts") or {})
    target["tags"] = build.get("tags") or ([body["image"]] if body.get("image") else [])
    target["secret"] = [_secret(service, s, secrets) for s in build.get("secrets") or []]
    ssh = build.get("ssh") or []
    target["ssh"] = sorted(f"{k}={v}" if v else k for k, v in ssh.items()) if isinstance(ssh, dict) else sorted(ssh)
    target["ulimits"] = _ulimits(build.get("ulimits") or {})
    target["attest"] = [_attest(kind, str(build[kind])) for kind in ("sbom", "provenance") if build.get(kind)]
    for key, value in (build.get("x-bake") or {}).items():
        old = target.get(key)
        if key == "contexts":
            target[key] = {**{k: _named(v) for k, v in value.items()}, **(old or {})}
        else:
            target[key] = [*(old or []), *_listed(value)] if key in _X_LISTS else value
    return {k: v for k, v in target.items() if v not in (None, [], {})}


_X_LISTS = {"tags", "cache-from", "cache-to", "secret", "ssh", "platforms", "output", "no-cache-filter"}


def _named(path: str) -> str:
    kind, _, service = path.partition(":")
    if kind in {"service", "target"} and service:
        return "target:" + service.replace(".", "_")
    # compose cleans what is a path
    return path if ":" in path else posixpath.normpath(path)


def _hosts(value: Any) -> dict[str, str]:
    entries = value if isinstance(value, list) else [f"{k}={v}" for k, v in _flat(value)]
    found: dict[str, list[str]] = {}
    for entry in entries:
        host, address = re.split("[=:]", entry, maxsplit=1)
        found.setdefault(host, []).append(address.strip("[]"))
    return {host: ",".join(addresses) for host, addresses in found.items()}


def _flat(value: dict[str, Any]) -> list[tuple[str, str]]:
    return [(k, one) for k, v in value.items() for one in _listed(v)]


def _attest(kind: str, value: str) -> str:
    switch = parse_bool(value)
    return f"type={kind},{value}" if switch is None else f"type={kind}" + ("" if switch else ",disabled=true")


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
    return value if isinstance(value, list) else str(value).split()


def _pairs(value: Any, inherited: Mapping[str, str]) -> dict[str, str]:
    """Read a mapping given as such or as `NAME=value` lines; a bare name comes from `inherited`."""
    if isinstance(value, list):
        value = dict(_pair(entry) for entry in value)
    found = {k: v if v is not None else inherited.get(k) for k, v in (value or {}).items()}
    return {k: v for k, v in found.items() if v is not None}


def _pair(entry: str) -> tuple[str, str | None]:
    key, separator, value = entry.partition("=")
    return key, value if separator else None


def _secret(service: str, entry: Any, secrets: dict[str, Any]) -> str:
    source = entry if isinstance(entry, str) else entry["source"]
    definition = secrets.get(source)
    if definition is None:
        what = f"service {service} refers to undefined build secret {source}"
        raise DataError(what, fix=f"add it below `secrets`, as {source}: {{environment: VARIABLE}} or {{file: PATH}}")
    fields = [f"id={source}"]
    fields += [f"src={definition['file']}"] if definition.get("file") else []
    fields += [f"env={definition['environment']}"] if definition.get("environment") else []
    return ",".join(fields)


def _ulimits(value: dict[str, Any]) -> list[str]:
    return [f"{k}={v['soft']}:{v['hard']}" if isinstance(v, dict) else f"{k}={v}:{v}" for k, v in value.items()]
