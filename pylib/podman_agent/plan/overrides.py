"""The ``PODMAN_AGENT_*`` variables: their names, the values they take, and how they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from podman_agent.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "PODMAN_AGENT_"
ANY = ("any text",)
# Every variable there is; an unknown one is an error: a typo in a pod template must not pass for a setting.
OVERRIDES: dict[str, tuple[str, ...]] = {
    "STORAGE_DRIVER": ("overlay", "vfs"),
    "ISOLATION": ("oci", "chroot", "rootless"),
    "RUNTIME": ("crun", "runc"),
    "CGROUPS": ("enabled", "disabled"),
    "CGROUP_MANAGER": ("cgroupfs", "systemd"),
    "EVENTS": ("file", "none", "journald"),
    "LOG_DRIVER": ("k8s-file", "none", "passthrough", "journald"),
    "NETWORK": ("host", "bridge", "none"),
    "BUILD_FORMAT": ("docker", "oci"),
    "COMPRESSION_LEVEL": tuple("123456789"),  # of gzip, for layers that are pushed
    "MIRRORS": ANY,  # docker.io=mirror.example.com/docker,quay.io=…
    "INSECURE_REGISTRIES": ANY,  # host:port,…
    "VOLUME": ANY,  # where the cache volume is mounted
    "GRAPHROOT": ANY,  # a graphroot of the caller's own: no store is claimed
    "CACHE_KEY": ANY,
    "CACHE_BUDGET": ANY,  # what the stores of a key may add up to, such as 40G
    "CACHE_STORES": ANY,  # how many stores a key may have
    "CACHE_WAIT": ANY,  # seconds to wait for a store when all are taken
    "CACHE_LOCKS": ("auto", "trust", "never"),  # whether locks on the volume hold across nodes
    "CACHE_IMAGES": ANY,  # images the job builds from: the store that has them is preferred
    "STATE_DIR": ANY,
    "JAR_HOSTS": ANY,  # host:port,… that agent.jar may be redirected to
    "RETRY_ATTEMPTS": ANY,  # retry.Policy reads these four
    "RETRY_MAX_WAIT": ANY,
    "RETRY_DEADLINE": ANY,
    "RETRY_TIMEOUT": ANY,
}


def overrides_from(env: Mapping[str, str]) -> dict[str, str]:
    """Pick our variables out of an environment, without their prefix.

    Raises:
        ConfigError: A name or a value that is none of those in `OVERRIDES`.
    """
    found = {name.removeprefix(PREFIX): value for name, value in env.items() if name.startswith(PREFIX)}
    for name, value in found.items():
        if name not in OVERRIDES:
            msg = f"unknown variable {PREFIX}{name}"
            raise ConfigError(msg, fix=f"known are {', '.join(PREFIX + n for n in OVERRIDES)}")
        allowed = OVERRIDES[name]
        if value and allowed != ANY and value not in allowed:
            msg = f"{PREFIX}{name}={value} is not a value we know"
            raise ConfigError(msg, fix=f"set it to one of: {', '.join(allowed)}")
    return {name: value for name, value in found.items() if value}


def split(name: str, text: str) -> list[str]:
    """Read a list of registry locations.

    Raises:
        ConfigError: One of them is none, or has a login in it, which is not quoted.
    """
    if "@" in text:
        msg = f"{PREFIX}{name} has a login in it"
        raise ConfigError(msg, "podman takes none in a location", "log in with docker login, or mount a pull secret")
    items = [item.strip() for item in text.split(",") if item.strip()]
    for item in items:
        if any(c in item for c in '"\\\n\0 ') or "://" in item:
            msg = f"{PREFIX}{name}: {item!r} is no registry location"
            raise ConfigError(msg, fix="write host[:port][/path] without a scheme")
        if "[" in item:
            msg = f"{PREFIX}{name}: {item!r} is an address that no image name of podman's may hold"
            raise ConfigError(msg, fix="write a host name, such as localhost for ::1")
    return items


def mirrors(text: str) -> tuple[tuple[str, str], ...]:
    """Read pairs of a registry and its mirror.

    Raises:
        ConfigError: One of them is no pair.
    """
    pairs = []
    for item in split("MIRRORS", text):
        registry, equals, mirror = item.partition("=")
        if not (registry and equals and mirror):
            msg = f"{PREFIX}MIRRORS: {item!r} is no mirror"
            raise ConfigError(msg, fix="write registry=mirror, as in docker.io=mirror.example.com/docker")
        pairs.append((registry, mirror))
    return tuple(pairs)
