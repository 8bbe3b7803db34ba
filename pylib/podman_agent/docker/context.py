"""``docker context``: there is one context, ``default``, and it is this pod."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from podman_agent.docker.gotemplate import render
from podman_agent.docker.options import Spec, letters, parse, words
from podman_agent.errors import RefusalError

if TYPE_CHECKING:
    from podman_agent.docker.call import Call

HOST = "unix:///var/run/docker.sock"
_COMMANDS = {"create", "inspect", "list", "ls", "rm", "show", "use"}
_SPEC = Spec(words("format description docker from"), words(""), letters("f=format q=quiet"))
_ROW = {
    "Name": "default",
    "Description": "Podman in this pod",
    "DockerEndpoint": HOST,
    "Current": True,
    "Error": "",
    "ContextType": "moby",
}


def run(_call: Call, _verb: str, args: list[str]) -> int:
    """Run ``docker context ls|show|use|inspect|create|rm``.

    A context made of nothing but a name is the current one under another name, which GitLab's documentation makes
    for buildx; it is accepted and not kept.

    Raises:
        RefusalError: For another context than ``default``, and for one with an endpoint of its own.
    """
    name, *rest = args or ["ls"]
    parsed = parse(rest, _SPEC)
    form = parsed.get("format")
    elsewhere = parsed.get("docker") or (name in {"use", "inspect"} and set(parsed.operands) - {"default"})
    if elsewhere or name not in _COMMANDS:
        what = " ".join(["context", name, *parsed.operands])
        raise RefusalError(what, "the only context is this pod's podman", "for another podman set CONTAINER_HOST")
    if name in {"ls", "list"}:
        print(_list(form, quiet=parsed.has("quiet")))
    elif name == "inspect":
        found = _inspected()
        print(render(form, found) if form else json.dumps([found], indent=4))
    else:
        print(" ".join(parsed.operands) or "default")
    return 0


def _list(form: str | None, *, quiet: bool) -> str:
    if quiet:
        return "default"
    if form and not form.startswith("table"):
        return render(form, _ROW)
    return (
        f"NAME        DESCRIPTION          DOCKER ENDPOINT               ERROR\n"
        f"default *   {_ROW['Description']}   {HOST}   "
    )


def _inspected() -> dict[str, Any]:
    return {
        "Name": "default",
        "Metadata": {},
        "Endpoints": {"docker": {"Host": HOST, "SkipTLSVerify": False}},
        "TLSMaterial": {},
        "Storage": {"MetadataPath": "<IN MEMORY>", "TLSPath": "<IN MEMORY>"},
    }
