"""``docker inspect``: podman's objects with docker's ids and names."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any

from podman_agent.docker.options import Spec, letters, parse, words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from podman_agent.docker.call import Call

SPEC = Spec(words("format type"), words("size latest"), letters("f=format s=size t=type l=latest"))
_HEX = re.compile(r"[0-9a-f]{64}")
_IMPLIED = re.compile(r"^(localhost/|docker\.io/library/|docker\.io/)")
_DIGESTS = re.compile(r"RepoDigests|json\s+\.\s*[|}]|^json$|\brange\s+\.\s*}|{{-?\s*\.\s*-?}}|\$")  # whole, or by name
# https://docs.docker.com/reference/cli/docker/container/ls/#status against libpod's states.
STATES = {"configured": "created", "stopped": "exited", "initialized": "created"}


def familiar(name: str) -> str:
    """An image name as docker shows it: without the registry and path that it implies."""
    return _IMPLIED.sub("", name)


def sha256(value: str) -> str:
    """An image id as docker prints it."""
    return f"sha256:{value}" if _HEX.fullmatch(value) else value


def image(found: dict[str, Any], digests: Mapping[str, list[str]] | None = None) -> dict[str, Any]:
    """A podman image object with docker's spelling.

    Args:
        found: As ``podman image inspect`` gives it.
        digests: RepoDigests by image id, in full; None for podman's own.
    """
    repo_digests = (found.get("RepoDigests") or []) if digests is None else digests.get(found["Id"], [])
    return found | {
        "Id": sha256(found["Id"]),
        "Parent": sha256(found.get("Parent") or ""),
        "RepoTags": [familiar(name) for name in found.get("RepoTags") or []],
        "RepoDigests": [familiar(name) for name in repo_digests],
    }


def as_typed(config: dict[str, Any]) -> str:
    """The image of a container as the user named it, which docker keeps; else its short name."""
    from podman_agent.errors import PodmanAgentError  # noqa: PLC0415
    from podman_agent.plan.reference import Reference  # noqa: PLC0415

    short = familiar(config["Image"])
    for word in config.get("CreateCommand") or []:
        try:
            if familiar(str(Reference.parse(word))) == short:
                return str(word)
        except PodmanAgentError:
            continue
    return short


def container(found: dict[str, Any]) -> dict[str, Any]:
    """A podman container object with docker's spelling."""
    state = dict(found["State"])
    state["Status"] = STATES.get(state["Status"], state["Status"])
    if not (state.get("Health") or {}).get("Status"):
        state.pop("Health", None)
    config = found.get("Config") or {}
    return found | {
        "Config": config | ({"Image": as_typed(config)} if config.get("Image") else {}),
        "Image": sha256(found.get("Image", "")),
        "Name": "/" + found["Name"].removeprefix("/"),
        "State": state,
    }


def docker_object(found: dict[str, Any], digests: Mapping[str, list[str]] | None = None) -> dict[str, Any]:
    """Whatever podman inspected, with docker's spelling; `digests` as for `image`."""
    if "RepoTags" in found:
        return image(found, digests)
    if "State" in found and "Image" in found:
        return container(found)
    return found


def run(call: Call, verb: str, args: list[str]) -> int:
    """Inspect containers, images, volumes.

    Args:
        call: The docker call.
        verb: ``inspect``, ``image inspect`` or ``container inspect``.
        args: What follows it.

    Returns:
        Podman's exit code; 1 for a bad template, as docker's.
    """
    parsed = parse(args, SPEC)
    template = parsed.get("format")
    if parsed.get("type") in {"network", "pod", "secret"} or not parsed.operands:
        call.become(*verb.split(), *args)
    others = [token for option in parsed.without("format") for token in option.tokens()]
    command = (*verb.split(), *others, "--", *parsed.operands)
    code, text = call.read(*command)
    objects = json.loads(text or "[]") or []
    containers = [found for found in objects if (found.get("State") or {}).get("Health")]
    if containers and (template is None or "Health" in template) and _checked(call, containers):
        code, text = call.read(*command)
        objects = json.loads(text or "[]") or []
    digests = None
    if any("RepoTags" in found for found in objects) and (template is None or _DIGESTS.search(template)):
        from podman_agent.docker.digests import of_all  # noqa: PLC0415

        digests = of_all(call)
    objects = [docker_object(found, digests) for found in objects]
    if template is None:
        print(json.dumps(objects, indent=4, ensure_ascii=False))
        return code and 1
    return _print(call, verb, args, template, objects) or (code and 1)


def _checked(call: Call, containers: list[dict[str, Any]]) -> bool:
    from podman_agent.docker.health import refresh  # noqa: PLC0415

    return refresh(call, containers)


def _print(call: Call, verb: str, args: list[str], template: str, objects: list[dict[str, Any]]) -> int:
    from podman_agent.docker.gotemplate import TemplateError, render  # noqa: PLC0415

    try:
        lines = [render(template, found) for found in objects]
    except TemplateError as error:
        if "no entry" not in str(error):  # something our templates lack; podman's may have it
            call.become(*verb.split(), *args)
        print(f"docker: template parsing error: {error}", file=sys.stderr)
        return 1
    for line in lines:
        print(line)
    return 0
