"""The table of ``PODMAN_AGENT_*`` variables: each one's name, what it sets, its values, and how it is read.

Whoever needs one reads it by ``VARIABLE.read(env)``; `tools/reference.py` makes the tables of the documentation of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_args

from podman_agent.errors import ConfigError
from podman_agent.pod.sizes import size_from
from podman_agent.pod.values import (
    BuildFormat,
    CacheLocks,
    CgroupManager,
    Cgroups,
    ChosenDriver,
    Events,
    GzipLevel,
    Isolation,
    LogDriver,
    Network,
    OciRuntime,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PREFIX = "PODMAN_AGENT_"
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True)
class Variable(Generic[T_co]):
    """One variable.

    Attributes:
        name: Without `PREFIX`.
        sets: What it sets, for a table: one line of Markdown.
        parse: Takes the variable's whole name and its text; raises ConfigError.
        values: All it may be, where that is a closed set.
        form: How a value is written, where it is not.
        without: What holds without it, in words.
    """

    name: str
    sets: str
    parse: Callable[[str, str], T_co]
    values: tuple[str, ...] = ()
    form: str = ""
    without: str = ""

    @property
    def full_name(self) -> str:
        """As the environment has it."""
        return PREFIX + self.name

    @property
    def choice(self) -> str:
        """What a plan's reasons call the choice it forces."""
        return self.name.lower()

    def read(self, env: Mapping[str, str]) -> T_co | None:
        """Its value in an environment; None where it is not set, or to nothing.

        Raises:
            ConfigError: The text is no value of this variable.
        """
        text = env.get(self.full_name)
        return self.parse(self.full_name, text) if text else None


@dataclass(frozen=True, kw_only=True)
class Defaulted(Variable[T_co]):
    """One that has a value where it is not set.

    Attributes:
        default: That value.
    """

    default: T_co

    def value(self, env: Mapping[str, str]) -> T_co:
        """Its value in an environment.

        Raises:
            ConfigError: The text is no value of this variable.
        """
        found = self.read(env)
        return self.default if found is None else found


class Forced:
    """The variables that are set, read and checked."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def get(self, variable: Variable[T]) -> T | None:
        """The value of one; None where it is not set."""
        value: T | None = self._values.get(variable.name)
        return value

    def __contains__(self, variable: Variable[Any]) -> bool:
        return variable.name in self._values


def forced(env: Mapping[str, str]) -> Forced:
    """Read every variable of an environment.

    Raises:
        ConfigError: A name or a value that is none of those in `TABLE`: a typo in a pod template must not pass for a
            setting.
    """
    known = {variable.full_name: variable for variable in TABLE}
    for name in env:
        if name.startswith(PREFIX) and name not in known:
            msg = f"unknown variable {name}"
            raise ConfigError(msg, fix=f"known are {', '.join(known)}")
    values = {variable.name: variable.read(env) for variable in TABLE}
    return Forced({name: value for name, value in values.items() if value is not None})


def _one_of(values: tuple[T, ...]) -> Callable[[str, str], T]:
    def parse(full_name: str, text: str) -> T:
        for value in values:
            if value == text:
                return value
        msg = f"{full_name}={text} is not a value we know"
        raise ConfigError(msg, fix=f"set it to one of: {', '.join(map(str, values))}")

    return parse


def _choice(name: str, sets: str, values: tuple[T, ...], without: str = "") -> Variable[T]:
    return Variable(name, sets, _one_of(values), values=tuple(map(str, values)), without=without)


def _text(_name: str, text: str) -> str:
    return text


def _words(_name: str, text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _items(_name: str, text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _count(least: int) -> Callable[[str, str], int]:
    def parse(name: str, text: str) -> int:
        if not (text.isascii() and text.isdigit()) or int(text) < least:
            what = f"{name}={text!r} is not a whole number of {least} or more"
            raise ConfigError(what)
        return int(text)

    return parse


def _seconds(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        what = f"{name}={text} is not a number"
        raise ConfigError(what) from error
    if not value >= 0:
        what = f"{name}={text} is no time"
        raise ConfigError(what, fix="write seconds, 0 or more")
    return value


def _size(name: str, text: str) -> int:
    size = size_from(text)
    if size is None:
        what = f"{name}={text!r} is not a size"
        raise ConfigError(what, fix="write 40G, 500Mi or a number of bytes")
    return size


def _locations(name: str, text: str) -> tuple[str, ...]:
    if "@" in text:
        msg = f"{name} has a login in it"
        raise ConfigError(msg, "podman takes none in a location", "log in with docker login, or mount a pull secret")
    items = tuple(item.strip() for item in text.split(",") if item.strip())
    for item in items:
        if any(c in item for c in '"\\\n\0 ') or "://" in item:
            msg = f"{name}: {item!r} is no registry location"
            raise ConfigError(msg, fix="write host[:port][/path] without a scheme")
        if "[" in item:
            msg = f"{name}: {item!r} is an address that no image name of podman's may hold"
            raise ConfigError(msg, fix="write a host name, such as localhost for ::1")
    return items


def _mirrors(name: str, text: str) -> tuple[tuple[str, str], ...]:
    pairs = []
    for item in _locations(name, text):
        registry, equals, mirror = item.partition("=")
        if not (registry and equals and mirror):
            msg = f"{name}: {item!r} is no mirror"
            raise ConfigError(msg, fix="write registry=mirror, as in docker.io=mirror.example.com/docker")
        pairs.append((registry, mirror))
    return tuple(pairs)


STORAGE_DRIVER: Variable[ChosenDriver] = _choice("STORAGE_DRIVER", "storage driver", get_args(ChosenDriver))
ISOLATION: Variable[Isolation] = _choice("ISOLATION", "isolation of build steps", get_args(Isolation))
RUNTIME: Variable[OciRuntime] = _choice("RUNTIME", "OCI runtime", get_args(OciRuntime))
CGROUPS: Variable[Cgroups] = _choice("CGROUPS", "whether containers get cgroups", get_args(Cgroups))
CGROUP_MANAGER: Variable[CgroupManager] = _choice("CGROUP_MANAGER", "who makes cgroups", get_args(CgroupManager))
EVENTS: Variable[Events] = _choice("EVENTS", "where podman keeps events", get_args(Events))
LOG_DRIVER: Variable[LogDriver] = _choice("LOG_DRIVER", "where containers' logs are kept", get_args(LogDriver))
NETWORK: Variable[Network] = _choice("NETWORK", "network of containers", get_args(Network))
BUILD_FORMAT: Variable[BuildFormat] = _choice("BUILD_FORMAT", "format of built images", get_args(BuildFormat))
COMPRESSION_LEVEL: Variable[GzipLevel] = _choice(
    "COMPRESSION_LEVEL", "gzip level of pushed layers", get_args(GzipLevel), without="podman's own, 5"
)
MIRRORS = Variable(
    "MIRRORS", "mirrors of registries, tried first", _mirrors, form="`docker.io=mirror.example.com/docker,…`"
)
INSECURE_REGISTRIES = Variable(
    "INSECURE_REGISTRIES",
    "registries that may speak HTTP",
    _locations,
    form="`host:port,…`",
    without="those on loopback, as with docker",
)
VOLUME = Variable(
    "VOLUME",
    "where the cache volume is mounted",
    _text,
    form="a directory",
    without="`/var/lib/containers`, or where this user may write",
)
GRAPHROOT = Variable("GRAPHROOT", "a graphroot of your own: no store is claimed", _text, form="a directory")
CACHE_KEY = Variable(
    "CACHE_KEY",
    "the part of the cache volume that this pod's team or job has for itself",
    _text,
    form="letters, digits, `.`, `_`, `-`",
    without="`default`",
)
CACHE_BUDGET = Variable(
    "CACHE_BUDGET",
    "what the stores of a key may add up to; kept at each claim",
    _size,
    form="a size, such as `40G`",
    without="no limit",
)
CACHE_STORES = Defaulted(
    "CACHE_STORES", "how many stores a key may have, of each kind of pods", _count(1), form="a number", default=8
)
CACHE_WAIT = Defaulted(
    "CACHE_WAIT", "how long to wait for a store when all are taken", _count(0), form="seconds", default=0
)
CACHE_IMAGES: Defaulted[tuple[str, ...]] = Defaulted(
    "CACHE_IMAGES",
    "images the job builds from: the store that has most of them is preferred",
    _words,
    form="names, with spaces between",
    without="none",
    default=(),
)
CACHE_LOCKS: Defaulted[CacheLocks] = Defaulted(
    "CACHE_LOCKS",
    "whether locks on the volume hold across nodes: as its file system says, always, never (a store per pod)",
    _one_of(get_args(CacheLocks)),
    values=get_args(CacheLocks),
    default="auto",
)
STATE_DIR = Variable(
    "STATE_DIR", "where the plan is kept", _text, form="a directory", without="`/run/podman-agent`, or below `/tmp`"
)
JAR_HOSTS: Defaulted[tuple[str, ...]] = Defaulted(
    "JAR_HOSTS",
    "where a controller on https may redirect the download of agent.jar to",
    _items,
    form="`host[:port],…`",
    without="its own host",
    default=(),
)
RETRY_ATTEMPTS = Defaulted("RETRY_ATTEMPTS", "attempts in all", _count(1), form="a number", default=5)
RETRY_MAX_WAIT = Defaulted(
    "RETRY_MAX_WAIT", "longest wait between two attempts; 0 never waits", _seconds, form="seconds", default=60.0
)
RETRY_DEADLINE = Defaulted(
    "RETRY_DEADLINE", "no attempt starts later than this after the first", _seconds, form="seconds", default=600.0
)
RETRY_TIMEOUT = Defaulted("RETRY_TIMEOUT", "how long one attempt may take", _seconds, form="seconds", default=1800.0)

# in the order of the documentation
TABLE: tuple[Variable[Any], ...] = (
    STORAGE_DRIVER, ISOLATION, RUNTIME, CGROUPS, CGROUP_MANAGER, EVENTS, LOG_DRIVER, NETWORK, BUILD_FORMAT,
    COMPRESSION_LEVEL, MIRRORS, INSECURE_REGISTRIES,
    VOLUME, GRAPHROOT, CACHE_KEY, CACHE_BUDGET, CACHE_STORES, CACHE_WAIT, CACHE_IMAGES, CACHE_LOCKS,
    STATE_DIR, JAR_HOSTS, RETRY_ATTEMPTS, RETRY_MAX_WAIT, RETRY_DEADLINE, RETRY_TIMEOUT,
)  # fmt: skip
