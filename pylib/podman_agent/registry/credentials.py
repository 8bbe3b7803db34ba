"""Finds registry credentials where podman finds them, in podman's order.

Order and key rules: https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md and
`GetDefaultAuthFile` in https://github.com/containers/common/blob/main/pkg/auth/auth.go. ECR, GCR and
ACR work through their credential helpers (`docker-credential-ecr-login`, `-gcr`, `-acr-env`), named
in `credHelpers`; `credsStore` is docker's own and podman does not read it.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podman_agent.errors import ConfigError
from podman_agent.hot import shim

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from podman_agent.registry.reference import Reference

_DOCKER_HUB = {"docker.io", "registry-1.docker.io", "index.docker.io"}
_HELPER_TIMEOUT = 60.0


@dataclass(frozen=True)
class Credentials:
    """A name and a password, or an identity token of an OAuth2 login."""

    username: str
    password: str = field(repr=False)
    identity_token: str = field(default="", repr=False)
    source: str = ""


@dataclass(frozen=True)
class Access:
    """How registries are reached, for podman and for our own requests alike.

    Attributes:
        insecure: Allow plain HTTP and unverified TLS; only ever when asked.
        ca: A PEM file to trust besides the system's store, for our own requests.
        cert_dir: Like podman's ``--cert-dir``; instead of the `certs.d` directories.
        authfile: Like podman's ``--authfile``; the only file credentials are read from.
        credentials: Use these and read no file, for our own requests.
    """

    insecure: bool = False
    ca: Path | None = None
    cert_dir: Path | None = None
    authfile: Path | None = None
    credentials: Credentials | None = None

    def flags(self) -> list[str]:
        """Give podman's flags for it; never a password."""
        found = ["--tls-verify=false"] if self.insecure else []
        if self.cert_dir:
            found.append(f"--cert-dir={self.cert_dir}")
        if authfile := self.authfile or pull_secret():
            found.append(f"--authfile={authfile}")
        return found


def _podmans_environment() -> Mapping[str, str]:
    """What podman is started with: the plan names directories where the pod's own cannot be written."""
    hot = shim.load()
    return {**dict(hot.environment if hot else ()), **os.environ}


def auth_files(env: Mapping[str, str] | None = None) -> list[Path]:
    """List the files podman reads credentials from, whether they exist or not.

    Args:
        env: `os.environ`, and what the plan adds to podman's, when None.

    Returns:
        One file if `REGISTRY_AUTH_FILE` or `DOCKER_CONFIG` says which; else the login file of this
        boot, the user's own, docker's, and docker's old one.
    """
    env = _podmans_environment() if env is None else env
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


def pull_secret(env: Mapping[str, str] | None = None) -> Path | None:
    """Find a Kubernetes pull secret mounted as a directory, which podman would miss.

    A secret of type `kubernetes.io/dockerconfigjson` mounted without `items` appears as
    `.dockerconfigjson` (https://kubernetes.io/docs/tasks/configure-pod-container/pull-image-private-registry/).

    Returns:
        The file to give podman as `--authfile`, or None if podman finds credentials by itself.
    """
    env = os.environ if env is None else env
    if any(f.is_file() for f in auth_files(env)):
        return None
    directory = env.get("DOCKER_CONFIG") or Path(env.get("HOME") or "/root") / ".docker"
    secret = Path(directory) / ".dockerconfigjson"
    return secret if secret.is_file() else None


def find(
    reference: Reference, env: Mapping[str, str] | None = None, authfile: Path | None = None
) -> Credentials | None:
    """Look up the credentials podman would use for an image.

    Args:
        reference: The image; a key may be as specific as its repository.
        env: `os.environ` when None.
        authfile: Read this file only.

    Returns:
        None if there are none: the registry is then asked anonymously.

    Raises:
        ConfigError: If a file or a credential helper cannot be read; its content is not quoted.
    """
    secret = pull_secret(env)
    files = [authfile] if authfile else [*auth_files(env), *([secret] if secret else [])]
    for file in files:
        if found := _in_file(file, reference):
            return found
    return None


def _in_file(file: Path, reference: Reference) -> Credentials | None:
    document = _read(file)
    if document is None:
        return None
    legacy = file.name == ".dockercfg"
    if helper := (document.get("credHelpers") or {}).get(reference.registry):
        return _ask_helper(helper, reference.registry)
    auths: dict[str, Any] = document if legacy else document.get("auths") or {}
    for key in _keys(reference.name):
        if key in auths and (found := _decode(auths[key], file)):
            return found
    host = _normal(reference.registry)
    entries = (v for k, v in auths.items() if _normal(k) == host)
    return next((c for entry in entries if (c := _decode(entry, file))), None)


def _read(file: Path) -> dict[str, Any] | None:
    try:
        document = json.loads(file.read_text(encoding="utf-8") or "{}")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        what = f"cannot read {file}"
        raise ConfigError(what, error.strerror or "") from error
    except ValueError as error:
        what = f"cannot read {file}"
        raise ConfigError(what, "it is not JSON") from error
    return document if isinstance(document, dict) else {}


def _keys(name: str) -> Iterator[str]:
    """From the most specific key to the host: a/b/c, a/b, a."""
    while name:
        yield name
        name = name.rpartition("/")[0]


def _normal(key: str) -> str:
    host = key.removeprefix("https://").removeprefix("http://").partition("/")[0]
    # A key for one repository of a registry is no key for all of it; a URL's path is.
    if "/" in key and "://" not in key:
        return key
    return "docker.io" if host in _DOCKER_HUB else host


def _decode(entry: dict[str, Any], file: Path) -> Credentials | None:
    token = entry.get("identitytoken", "")
    try:
        text = base64.b64decode(entry.get("auth") or "").decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        what = f"cannot read {file}"
        raise ConfigError(what, "an auth entry is not base64") from error
    username, _, password = text.partition(":")
    if not token and not username:
        return None
    return Credentials(username, password.rstrip("\0"), token, str(file))


def _ask_helper(helper: str, registry: str) -> Credentials | None:
    """Speak the credential helper protocol (https://github.com/docker/docker-credential-helpers)."""
    program = f"docker-credential-{helper}"
    try:
        done = subprocess.run(
            [program, "get"],
            input=registry.encode(),
            capture_output=True,
            timeout=_HELPER_TIMEOUT,
            check=False,
        )
    except FileNotFoundError as error:
        what = f"credHelpers names {helper} for {registry}"
        raise ConfigError(what, f"but {program} is not on PATH") from error
    except subprocess.TimeoutExpired as error:
        what = f"{program} did not answer in {_HELPER_TIMEOUT:.0f} s"
        raise ConfigError(what) from error
    if done.returncode:
        if b"credentials not found" in done.stdout:
            return None
        what = f"{program} failed for {registry} with exit code {done.returncode}"
        raise ConfigError(what)
    try:
        answer = json.loads(done.stdout)
        username, secret = answer["Username"], answer["Secret"]
    except (ValueError, KeyError, TypeError) as error:
        what = f"{program} gave no credentials for {registry}"
        raise ConfigError(what) from error
    # <token> is the helpers' word for an identity token.
    if username == "<token>":
        return Credentials("", "", secret, program)
    return Credentials(username, secret, "", program)
