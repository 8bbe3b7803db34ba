"""Reads registries.conf: where a name leads, through which mirrors, with or without TLS.

Format: https://github.com/containers/image/blob/main/docs/containers-registries.conf.5.md.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podman_agent.errors import ConfigError
from podman_agent.plan.render import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from podman_agent.registry.reference import Reference


@dataclass(frozen=True)
class Endpoint:
    """A place that may have the image.

    Attributes:
        name: Registry and repository there.
        insecure: Plain HTTP and unverified TLS are allowed.
        mirror: A mirror, good for pulls only.
    """

    name: str
    insecure: bool
    mirror: bool


class RegistriesConf:
    """The `[[registry]]` tables in force.

    Args:
        tables: One per prefix; later ones replace earlier ones.
    """

    def __init__(self, tables: list[dict[str, Any]]) -> None:
        self._tables = {t.get("prefix") or t.get("location", ""): t for t in tables}

    @classmethod
    def load(cls, env: Mapping[str, str] | None = None, root: Path = Path("/")) -> RegistriesConf:
        """Read the files that podman reads.

        Args:
            env: `os.environ` when None.
            root: Where `etc` is; for tests.

        Raises:
            ConfigError: If a file is not TOML.
        """
        env = os.environ if env is None else env
        home = Path(env.get("XDG_CONFIG_HOME") or Path(env.get("HOME") or "/root") / ".config")
        user, system = home / "containers", root / "etc/containers"
        main = [Path(env.get("CONTAINERS_REGISTRIES_CONF") or ""), user / "registries.conf"]
        main.append(system / "registries.conf")
        files = [next((f for f in main if f.is_file()), main[-1])]
        if not env.get("CONTAINERS_REGISTRIES_CONF"):
            for directory in (system, user):
                files += sorted((directory / "registries.conf.d").glob("*.conf"))
        return cls([table for file in files if file.is_file() for table in _tables(file)])

    def endpoints(self, reference: Reference) -> list[Endpoint]:
        """List where podman would look for an image, mirrors first, the registry itself last.

        Raises:
            ConfigError: If the registry is blocked.
        """
        prefix, table = self._match(reference.name)
        if table.get("blocked"):
            what = f"registry {prefix} is blocked"
            raise ConfigError(what, fix="see registries.conf")
        rest = "" if prefix.startswith("*.") else reference.name[len(prefix) :]
        mirrors = []
        for mirror in table.get("mirror", []):
            use = mirror.get("pull-from-mirror", "all")
            use = "digest-only" if table.get("mirror-by-digest-only") else use
            if use == "all" or (use == "digest-only") is bool(reference.digest):
                insecure = bool(mirror.get("insecure"))
                mirrors.append(Endpoint(mirror["location"] + rest, insecure, mirror=True))
        location = table.get("location")
        name = location + rest if location and prefix else reference.name
        # as the plan writes it once there is one
        loopback = name.partition("/")[0].partition(":")[0] in LOOPBACK
        return [*mirrors, Endpoint(name, bool(table.get("insecure", loopback)), mirror=False)]

    def _match(self, name: str) -> tuple[str, dict[str, Any]]:
        host = name.partition("/")[0]

        def matches(prefix: str) -> bool:
            if prefix.startswith("*."):
                return host.endswith(prefix[1:])
            # a prefix without a port holds for all ports of that host
            return bool(prefix) and f"{name}/".startswith((f"{prefix}/", f"{prefix}:"))

        found = max((p for p in self._tables if matches(p)), key=len, default="")
        return found, self._tables.get(found, {})


def _tables(file: Path) -> list[dict[str, Any]]:
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8")).get("registry", [])
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        what = f"cannot read {file}"
        raise ConfigError(what, str(error)) from error
    return list(tables)
