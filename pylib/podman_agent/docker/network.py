"""``docker network``: podman's networks under docker's names and in docker's structure.

Structure: https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Network.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from podman_agent.docker import flags
from podman_agent.docker.gotemplate import TemplateError, render
from podman_agent.docker.options import Spec, letters, parse, words

if TYPE_CHECKING:
    from podman_agent.docker.call import Call

# Docker's default network; podman's is called `podman`.
_NAMES = {"bridge": "podman"}
_SPEC = Spec(words("format"), words(""), letters("f=format v=verbose"))


def run(call: Call, verb: str, args: list[str]) -> int:
    """Run ``docker network inspect|connect|disconnect``; the rest is podman's as it is."""
    if verb != "network inspect":
        call.become(*verb.split(), *[_NAMES.get(arg, arg) for arg in args])
    parsed = parse(args, _SPEC)
    code, text = call.read("network", "inspect", *[_NAMES.get(n, n) for n in parsed.operands])
    found = [docker_network(network) for network in json.loads(text or "[]") or []]
    template = parsed.get("format")
    if template is None:
        print(json.dumps(found, indent=4))
        return code and 1
    try:
        for network in found:
            print(render(template, network))
    except TemplateError as error:
        print(f"docker: template parsing error: {error}", file=sys.stderr)
        return 1
    return code and 1


def create(call: Call, verb: str, args: list[str]) -> int:
    """``docker network create``, which prints the id; podman prints the name."""
    code, text = call.read(*flags.translate(verb, args))
    if code == 0:
        code, text = call.read("network", "inspect", "--format={{.ID}}", text.strip())
    sys.stdout.write(text)
    return code


def docker_network(found: dict[str, Any]) -> dict[str, Any]:
    """A podman network in docker's structure."""
    names = {podman: docker for docker, podman in _NAMES.items()}
    config = [
        {k: v for k, v in (("Subnet", s.get("subnet")), ("Gateway", s.get("gateway"))) if v}
        for s in found.get("subnets") or []
    ]
    return {
        "Name": names.get(found["name"], found["name"]),
        "Id": found["id"],
        "Created": found.get("created", ""),
        "Scope": "local",
        "Driver": found["driver"],
        "EnableIPv6": found.get("ipv6_enabled", False),
        "Internal": found.get("internal", False),
        "IPAM": {"Driver": "default", "Options": found.get("ipam_options") or {}, "Config": config},
        "Attachable": False,
        "Ingress": False,
        "ConfigOnly": False,
        "ConfigFrom": {"Network": ""},
        "Containers": {cid: _container(c) for cid, c in (found.get("containers") or {}).items()},
        "Options": found.get("options") or {},
        "Labels": found.get("labels") or {},
    }


def _container(found: dict[str, Any]) -> dict[str, Any]:
    interface: dict[str, Any] = next(iter((found.get("interfaces") or {}).values()), {})
    addresses = [subnet["ipnet"] for subnet in interface.get("subnets") or []]
    return {
        "Name": found["name"],
        "EndpointID": "",
        "MacAddress": interface.get("mac_address", ""),
        "IPv4Address": next((a for a in addresses if "." in a), ""),
        "IPv6Address": next((a for a in addresses if ":" in a), ""),
    }
