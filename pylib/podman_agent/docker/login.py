"""``docker login`` and ``docker logout``: credentials where docker keeps them.

Docker writes ``$DOCKER_CONFIG/config.json``, podman a file of its own that beats it. Jenkins'
``withRegistry`` sets a temporary DOCKER_CONFIG and deletes it, so that is where they must go.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podman_agent.docker.call import is_mount_point
from podman_agent.docker.options import Spec, letters, parse, words
from podman_agent.files import replace

if TYPE_CHECKING:
    from podman_agent.docker.call import Call

SPEC = Spec(
    words("username password authfile compat-auth-file cert-dir secret"),
    words("password-stdin get-login tls-verify verbose"),
    letters("u=username p=password v=verbose"),
)
_HUB = "docker.io"
_HUB_NAMES = {
    "",
    "docker.io",
    "index.docker.io",
    "registry-1.docker.io",
    "registry.hub.docker.com",
    "hub.docker.com",
}


def host(server: str) -> str:
    """The registry that docker means by a server argument.

    Args:
        server: ``https://host/v1/``, ``host:port``, or empty for Docker Hub.

    Returns:
        Host and port.
    """
    name = server.partition("://")[2] if "://" in server else server
    name = name.partition("/")[0]
    return _HUB if name in _HUB_NAMES else name


def config_file(env: dict[str, str]) -> Path:
    """Where docker keeps credentials in this environment."""
    home = env.get("HOME") or "/root"
    return Path(env.get("DOCKER_CONFIG") or Path(home) / ".docker") / "config.json"


def run(call: Call, verb: str, args: list[str]) -> int:
    """Log in or out.

    Args:
        call: The docker call.
        verb: ``login`` or ``logout``.
        args: What follows it.

    Returns:
        Podman's exit code; 0 for a logout from where nobody was logged in, as docker's.
    """
    parsed = parse(args, SPEC)
    server = host((parsed.operands or [""])[0])
    options = [token for option in parsed.options for token in option.tokens()]
    path = config_file(call.env)
    own = call.env.get("REGISTRY_AUTH_FILE") or parsed.get("authfile") or not writable(path)
    where = [] if own else [f"--compat-auth-file={path}"]
    if verb == "logout":
        from subprocess import DEVNULL  # noqa: PLC0415

        code = call.run("logout", *options, *where, server, quiet=True, stderr=DEVNULL)
        print(f"Removing login credentials for {server}" if not code else f"Not logged in to {server}")
        return 0
    if not own:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if "DOCKER_CONFIG" in call.env:
            merge_pull_secrets(path, config_file({"HOME": call.env.get("HOME", "")}))
    # The password may be among the arguments: docker has it so, and nothing is added to it here.
    call.become("login", *options, *where, server)
    return None


def writable(path: Path) -> bool:
    """Whether a credentials file can be replaced: a mounted secret cannot."""
    if path.exists():
        return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK) and not is_mount_point(str(path))
    nearest = next(parent for parent in path.parents if parent.exists())
    return os.access(nearest, os.W_OK)


def merge_pull_secrets(path: Path, home: Path) -> None:
    """Add the pod's own pull secrets to another configuration, so base images still come.

    What is there already wins. The file is 0600 and goes when its directory goes.

    Args:
        path: The configuration that is used now.
        home: ``~/.docker/config.json``; may be missing or not be JSON, which is then left alone.
    """
    try:
        if not home.exists() or home.samefile(path):
            return
    except FileNotFoundError:
        pass
    secrets = _load(home).get("auths") or {}
    config = _load(path)
    merged = {**secrets, **(config.get("auths") or {})}
    if not secrets or merged == config.get("auths"):
        return
    replace(path, json.dumps(config | {"auths": merged}, indent=2), mode=0o600)


def _load(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
