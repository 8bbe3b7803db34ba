"""From a docker command line to the module that serves it: one table."""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING

from podman_agent.docker import refused
from podman_agent.docker.direct import is_direct
from podman_agent.errors import RefusalError, exit_code_of

if TYPE_CHECKING:
    from podman_agent.docker.call import Call

# verb -> (module, function)
VERBS: dict[str, tuple[str, str]] = {
    "-v": ("version", "run"),
    "--version": ("version", "run"),
    "version": ("version", "run"),
    "info": ("version", "run"),
    "build": ("building", "run"),
    "buildx": ("buildx", "run"),
    "builder": ("buildx", "run"),
    "run": ("run", "run"),
    "exec": ("attached", "execute"),
    "create": ("run", "run"),
    "top": ("top", "run"),
    "stats": ("stats", "run"),
    "events": ("events", "run"),
    "inspect": ("inspect", "run"),
    "image inspect": ("inspect", "run"),
    "container inspect": ("inspect", "run"),
    "images": ("listing", "run"),
    "ps": ("listing", "run"),
    "history": ("listing", "run"),
    "commit": ("ids", "run"),
    "import": ("ids", "run"),
    "rmi": ("ids", "remove"),
    "stop": ("flags", "run"),
    "restart": ("flags", "run"),
    "rm": ("flags", "run"),
    "logs": ("flags", "run"),
    "cp": ("copying", "run"),
    "pull": ("transfer", "pull"),
    "tag": ("transfer", "tag"),
    "load": ("archive", "load"),
    "volume create": ("flags", "run"),
    "volume prune": ("pruning", "run"),
    "system prune": ("pruning", "run"),
    "network create": ("network", "create"),
    "network inspect": ("network", "run"),
    "network connect": ("network", "run"),
    "network disconnect": ("network", "run"),
    "push": ("transfer", "push"),
    "save": ("archive", "save"),
    "manifest create": ("manifest", "run"),
    "manifest push": ("manifest", "run"),
    "manifest inspect": ("manifest", "run"),
    "manifest annotate": ("manifest", "run"),
    "login": ("login", "run"),
    "logout": ("login", "run"),
    "context": ("context", "run"),
    "compose": ("compose", "run"),
}
# `docker GROUP VERB` and the old one-word verb it is the same as.
ALIASES = {
    "container ls": "ps", "container list": "ps", "container ps": "ps", "image ls": "images",
    "image list": "images", "image build": "build", "image push": "push", "image pull": "pull",
    "image save": "save", "image tag": "tag", "image rm": "rmi", "image remove": "rmi",
    "image load": "load", "image import": "import",
    "image history": "history", "container run": "run", "container exec": "exec", "container create": "create",
    "container top": "top", "container stats": "stats", "container commit": "commit",
    "container stop": "stop", "container restart": "restart", "container rm": "rm", "container logs": "logs",
    "container cp": "cp", "system info": "info", "system events": "events",
}  # fmt: skip
_GLOBAL_VALUES = {
    "--config",
    "-c",
    "--context",
    "-H",
    "--host",
    "-l",
    "--log-level",
    "--tlscacert",
    "--tlscert",
    "--tlskey",
}
_DIRECT_ASKS = ("DOCKER_HOST", "DOCKER_DEFAULT_PLATFORM")  # the variables that `is_direct` looks at
_GLOBAL_BOOLEANS = {"-D", "--debug", "--tls", "--tlsverify"}


def dispatch(call: Call) -> int:
    """Serve one docker command line.

    Args:
        call: The docker call.

    Returns:
        The exit code.
    """
    return exit_code_of(lambda: _serve(_without_global_flags(call)), "docker")


def _without_global_flags(call: Call) -> Call:
    """Apply docker's global flags, which stand before the verb."""
    args, env = list(call.args), dict(call.env)
    if (engine := env.get("DOCKER_HOST")) and not is_direct(["wait"], {b"DOCKER_HOST": os.fsencode(engine)}):
        refused.host(engine)
    while args and args[0].startswith("-") and args[0] not in {"-v", "--version", "-h", "--help"}:
        flag = args.pop(0)
        name, given, value = flag.partition("=")
        if name in _GLOBAL_VALUES:
            _global(name, value if given else args.pop(0) if args else "", env)
        elif name not in _GLOBAL_BOOLEANS:
            args.insert(0, flag)
            break
    return call._replace(args=args, env=env)


def _global(name: str, value: str, env: dict[str, str]) -> None:
    if name == "--config":
        env["DOCKER_CONFIG"] = value
    elif name in {"-c", "--context"} and value not in {"", "default"}:
        msg = f"--context {value}"
        raise RefusalError(
            msg,
            "the only context is this pod's podman",
            "leave it out, or for a remote podman set CONTAINER_HOST",
        )
    elif name in {"-H", "--host"} and not is_direct(["wait"], {b"DOCKER_HOST": os.fsencode(value)}):
        refused.host(value)


def _serve(call: Call) -> int:
    asked = {os.fsencode(k): os.fsencode(call.env[k]) for k in _DIRECT_ASKS if k in call.env}
    if not call.args or is_direct(call.args, asked):
        call.become(*call.args)
    verb, args = call.args[0], call.args[1:]
    if verb in refused.INSTEAD:
        refused.run(call, verb, args)
    if args and (pair := f"{verb} {args[0]}") in {**ALIASES, **dict.fromkeys(VERBS)}:
        verb, args = ALIASES.get(pair, pair), args[1:]
    if verb not in VERBS or (args in (["--help"], ["-h"]) and verb != "run"):
        call.become(*call.args)
    module, function = VERBS[verb]
    serve = getattr(importlib.import_module(f"podman_agent.docker.{module}"), function)
    code = int(serve(call, verb, args))
    sys.stdout.flush()
    return code
