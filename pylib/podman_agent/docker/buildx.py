"""``docker buildx``: one builder, podman, that is always there.

Reference: https://docs.docker.com/reference/cli/docker/buildx/
"""

from __future__ import annotations

import platform
import sys
from typing import TYPE_CHECKING

from podman_agent.docker import pruning
from podman_agent.docker.call import note
from podman_agent.docker.inspect import sha256
from podman_agent.docker.options import Spec, letters, parse, words
from podman_agent.errors import RefusalError

if TYPE_CHECKING:
    from collections.abc import Callable

    from podman_agent.docker.call import Call

# The least version whose flags are all accepted here; scripts compare it.
VERSION = "0.17.0"
BUILDER = "default"

_SPEC = Spec(
    words(
        "builder name driver driver-opt buildkitd-flags buildkitd-config config node platform "
        "append-name timeout filter format keep-storage reserved-space max-used-space "
        "min-free-space"
    ),
    words(""),
    letters("f=force D=debug a=all"),
)
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def native() -> str:
    """This node's platform as docker names it."""
    machine = platform.machine()
    return f"linux/{_ARCHITECTURES.get(machine, machine)}"


def run(call: Call, verb: str, args: list[str]) -> int:
    """Run ``docker buildx`` or ``docker builder``.

    Args:
        call: The docker call.
        verb: ``buildx`` or ``builder``.
        args: What follows it.

    Returns:
        The exit code.
    """
    args = _global_flags(args)
    name, *rest = args or ["--help"]
    if name in _LATER:
        import importlib  # noqa: PLC0415

        return int(importlib.import_module(_LATER[name]).run(call, name, rest))
    command = _COMMANDS.get(name)
    if command is None:
        known = " ".join(sorted({*_COMMANDS, *_LATER}))
        msg = f"{verb} {name}"
        raise RefusalError(msg, "there is no such command on podman", f"known: {known}")
    return command(call, rest)


def _global_flags(args: list[str]) -> list[str]:
    """Drop ``--builder NAME`` and ``--debug`` in front of the command."""
    rest = list(args)
    while rest and rest[0].startswith("-") and rest[0] not in {"-h", "--help"}:
        flag = rest.pop(0)
        if flag == "--builder" and rest:
            rest.pop(0)
    return rest


def _create(_call: Call, args: list[str]) -> int:
    parsed = parse(args, _SPEC)
    driver = parsed.get("driver")
    if driver in {"kubernetes", "remote"}:
        msg = f"buildx create --driver {driver}"
        raise RefusalError(msg, "builds run in this pod", "leave --driver out")
    print(parsed.get("name") or (parsed.operands or ["podman"])[0])
    return 0


def _silent(_call: Call, _args: list[str]) -> int:
    return 0


def _removed(_call: Call, args: list[str]) -> int:
    for name in parse(args, _SPEC).operands or [BUILDER]:
        print(f"{name} removed", file=sys.stderr)
    return 0


def _engine_version(call: Call) -> str:
    return call.read("version", "--format={{.Client.Version}}")[1].strip()


def _list(call: Call, args: list[str]) -> int:
    form = parse(args, _SPEC).get("format")
    node = {
        "Name": BUILDER,
        "Status": "running",
        "Platforms": [native()],
        "Version": f"podman-{_engine_version(call)}",
    }
    builder = {
        "Name": BUILDER,
        "Driver": "podman",
        "Current": True,
        "Nodes": [node],
        "Status": "running",
        "DriverEndpoint": BUILDER,
        "Platforms": native(),
    }
    if form and not form.startswith("table"):
        from podman_agent.docker.gotemplate import render  # noqa: PLC0415

        print(render(form, builder))
        return 0
    row = "{:<14} {:<16} {:<8} {:<16} {}"
    print(row.format("NAME/NODE", "DRIVER/ENDPOINT", "STATUS", "BUILDKIT", "PLATFORMS"))
    print(row.format(f"{BUILDER}*", "podman", "", "", ""))
    print(row.format(f" \\_ {BUILDER}", f" \\_ {BUILDER}", "running", node["Version"], native()))
    return 0


def _inspect(call: Call, args: list[str]) -> int:
    name = (parse(args, _SPEC).operands or [BUILDER])[0]
    print(f"Name:          {name}\nDriver:        podman\n\nNodes:\nName:             {name}")
    print(f"Endpoint:         {BUILDER}\nStatus:           running")
    print(f"BuildKit version: podman-{_engine_version(call)}\nPlatforms:        {native()}")
    return 0


def _version(call: Call, _args: list[str]) -> int:
    print(f"github.com/docker/buildx v{VERSION} podman-{_engine_version(call)}")
    return 0


_USAGE = "{{.ID}}\t{{.Size}}\t{{.CreatedSince}}"


def _cache_images(call: Call, *filters: str) -> list[str]:
    """The layers no name and no container holds, which is what podman has for a build cache."""
    extra = [f"--filter={text}" for text in filters]
    code, text = call.read("images", "--all", "--filter=dangling=true", *extra, f"--format={_USAGE}")
    return [] if code else text.splitlines()


def _usage(call: Call, _args: list[str]) -> int:
    rows = _cache_images(call)
    print("ID\tSIZE\tLAST ACCESSED")
    for row in rows:
        print(row)
    print(f"Reclaimable:\t{len(rows)} layers")
    return 0


def _prune(call: Call, args: list[str]) -> int:
    """Remove cached layers; never a named image, as ``podman builder prune -a`` would."""
    parsed = parse(args, _SPEC)
    for name in ("keep-storage", "reserved-space", "max-used-space", "min-free-space"):
        if parsed.has(name):
            note(f"--{name} is ignored: podman's cache has no size limit")
    filters = [f"--filter={text}" for text in parsed.all("filter") if text.startswith(("until", "label"))]
    pruning.builds()
    code, text = call.read("image", "prune", "--force", *filters)
    for line in text.splitlines():
        print(sha256(line))
    print("Total reclaimed space: see `docker system df`", file=sys.stderr)
    return code


_COMMANDS: dict[str, Callable[[Call, list[str]], int]] = {
    "create": _create,
    "use": _silent,
    "stop": _silent,
    "install": _silent,
    "uninstall": _silent,
    "rm": _removed,
    "ls": _list,
    "list": _list,
    "inspect": _inspect,
    "version": _version,
    "du": _usage,
    "prune": _prune,
}
_LATER = {
    "build": "podman_agent.docker.building",
    "b": "podman_agent.docker.building",
    "bake": "podman_agent.docker.bake",
    "f": "podman_agent.docker.bake",
    "imagetools": "podman_agent.docker.imagetools",
}
