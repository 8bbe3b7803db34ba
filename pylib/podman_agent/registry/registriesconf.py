"""What registries.conf says of a push: TLS or not, blocked or not, and who has the credentials.

Format: https://github.com/containers/image/blob/main/docs/containers-registries.conf.5.md. Mirrors and locations are
for pulls only, and podman's and skopeo's own affair.
"""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podman_agent.errors import ConfigError
from podman_agent.plan.render import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Mapping


class RegistriesConf:
    """The files in force, later ones over earlier ones.

    Args:
        main: The text of the first of them.
        documents: All of them, parsed.
    """

    def __init__(self, main: str, documents: list[dict[str, Any]]) -> None:
        tables = [table for document in documents for table in document.get("registry", [])]
        self._main, self._tables = main, {t.get("prefix") or t.get("location", ""): t for t in tables}

    @classmethod
    def load(cls, env: Mapping[str, str] | None = None, root: Path = Path("/")) -> RegistriesConf:
        """Read the files that podman reads.

        Args:
            env: `os.environ` when None.
            root: Where `etc` is; for tests.

        Raises:
            ConfigError: If a file cannot be read, or is not TOML.
        """
        env = os.environ if env is None else env
        home = Path(env.get("XDG_CONFIG_HOME") or Path(env.get("HOME") or "/root") / ".config")
        user, system = home / "containers", root / "etc/containers"
        chosen = _chosen(env)
        candidates = [chosen] if chosen else [user / "registries.conf", system / "registries.conf"]
        main = next((_text(file) for file in candidates if file.is_file()), "")
        files = [f for d in (system, user) if not chosen for f in sorted((d / "registries.conf.d").glob("*.conf"))]
        return cls(main, [_parsed(candidates[0], main), *(_parsed(file, _text(file)) for file in files)])

    def insecure(self, name: str) -> bool:
        """Whether plain HTTP and unverified TLS are allowed there.

        Args:
            name: A registry, or an image.
        """
        # as the plan writes it once there is one
        loopback = name.partition("/")[0].partition(":")[0] in LOOPBACK
        return bool(self._of(name).get("insecure", loopback))

    def without_mirrors(self, name: str) -> str:
        """The main file and a table for one repository, so that it is read where it is pushed to.

        The longest prefix counts: only a drop-in for this very repository would still be before it.

        Args:
            name: Registry and repository.
        """
        table = {"prefix": name, "location": name, "insecure": self.insecure(name)}
        table["blocked"] = bool(self._of(name).get("blocked"))
        return f"{self._main}\n[[registry]]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in table.items())

    def _of(self, name: str) -> dict[str, Any]:
        host = name.partition("/")[0]

        def matches(prefix: str) -> bool:
            if prefix.startswith("*."):
                return host.endswith(prefix[1:])
            # a prefix without a port holds for all ports of that host
            return bool(prefix) and f"{name}/".startswith((f"{prefix}/", f"{prefix}:"))

        found: dict[str, Any] = self._tables.get(max((p for p in self._tables if matches(p)), key=len, default=""), {})
        return found


def registries_conf(env: Mapping[str, str] | None = None) -> list[str]:
    """Give skopeo's flag for the file that a variable names: podman reads the variable, skopeo does not."""
    file = _chosen(os.environ if env is None else env)
    return [f"--registries-conf={file}"] if file else []


def _chosen(env: Mapping[str, str]) -> Path | None:
    file = env.get("CONTAINERS_REGISTRIES_CONF")
    return Path(file) if file else None


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        what = f"cannot read {file}"
        raise ConfigError(what, str(error)) from error


def _parsed(file: Path, text: str) -> dict[str, Any]:
    try:
        document: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        what = f"cannot read {file}"
        raise ConfigError(what, str(error)) from error
    return document
