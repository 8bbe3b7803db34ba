"""How registries are reached: what podman and skopeo are told, and what they would miss."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from podman_agent import planfile

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Access:
    """How registries are reached; what is not said here podman and skopeo find where they always do.

    Attributes:
        insecure: Allow plain HTTP and unverified TLS; only ever when asked.
        cert_dir: Like podman's ``--cert-dir``; instead of the `certs.d` directories.
        authfile: Like podman's ``--authfile``; the only file credentials are read from.
    """

    insecure: bool = False
    cert_dir: Path | None = None
    authfile: Path | None = None

    def flags(self, env: Mapping[str, str] | None = None) -> list[str]:
        """Give podman's and skopeo's flags for it; never a password."""
        found = ["--tls-verify=false"] if self.insecure else []
        if self.cert_dir:
            found.append(f"--cert-dir={self.cert_dir}")
        if authfile := self.authfile or pull_secret(env):
            found.append(f"--authfile={authfile}")
        return found


def pull_secret(env: Mapping[str, str] | None = None) -> Path | None:
    """Find a Kubernetes pull secret mounted as a directory, which podman would miss.

    A secret of type `kubernetes.io/dockerconfigjson` mounted without `items` appears as
    `.dockerconfigjson` (https://kubernetes.io/docs/tasks/configure-pod-container/pull-image-private-registry/).

    Args:
        env: `os.environ` when None.

    Returns:
        The file to give podman as `--authfile`, or None if podman finds credentials by itself.
    """
    if any(f.is_file() for f in _podmans_files(_podmans_environment() if env is None else env)):
        return None
    env = os.environ if env is None else env
    directory = env.get("DOCKER_CONFIG") or Path(env.get("HOME") or "/root") / ".docker"
    secret = Path(directory) / ".dockerconfigjson"
    return secret if secret.is_file() else None


def _podmans_environment() -> Mapping[str, str]:
    """What podman is started with: the plan names directories where the pod's own cannot be written."""
    hot = planfile.load()
    return {**(hot.environment if hot else {}), **os.environ}


def _podmans_files(env: Mapping[str, str]) -> list[Path]:
    """The files podman reads credentials from, whether they exist or not.

    Order: https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md and `GetDefaultAuthFile` in
    https://github.com/containers/common/blob/main/pkg/auth/auth.go.
    """
    if chosen := env.get("REGISTRY_AUTH_FILE"):
        return [Path(chosen)]
    if chosen := env.get("DOCKER_CONFIG"):
        return [Path(chosen) / "config.json"]
    home = Path(env.get("HOME") or "/root")
    runtime = env.get("XDG_RUNTIME_DIR")
    login = Path(runtime) / "containers" if runtime else Path(f"/run/containers/{os.geteuid()}")
    config = Path(env.get("XDG_CONFIG_HOME") or home / ".config")
    return [
        login / "auth.json",
        config / "containers" / "auth.json",
        home / ".docker" / "config.json",
        home / ".dockercfg",
    ]
