"""Reads bake and compose files into build targets: files in, targets in dependency order out.

Formats: https://docs.docker.com/build/bake/reference/ (HCL and JSON) and the `build` sections of
compose files. No format of our own. Nothing is built here and no path is touched or made absolute.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from dotenv import dotenv_values

from podman_agent.bake.evaluation import evaluate
from podman_agent.bake.layers import Source, read
from podman_agent.bake.overrides import Overrides
from podman_agent.bake.overrides import parse as parse_override
from podman_agent.bake.scope import Scope
from podman_agent.bake.targets import Target, in_order, linked
from podman_agent.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from podman_agent.bake.targets import Config

__all__ = ["Bake", "Source", "Target", "default_files", "load", "parse"]

DEFAULT_FILES = (
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
    "docker-bake.json",
    "docker-bake.hcl",
    "docker-bake.override.json",
    "docker-bake.override.hcl",
)
"""What bake looks for, in this order, all that exist
(https://docs.docker.com/build/bake/reference/#file-format)."""


class Bake:
    """All groups and targets of the files, with what the command line sets.

    Args:
        config: What the files say.
        overrides: What the command line sets.
    """

    def __init__(self, config: Config, overrides: Overrides) -> None:
        self._config, self._overrides = config, overrides

    @property
    def notes(self) -> tuple[str, ...]:
        """What the files say that means nothing, a line each."""
        return self._config.notes

    @property
    def groups(self) -> Mapping[str, tuple[str, ...]]:
        """The members of each group, as written."""
        return self._config.groups

    @cached_property
    def targets(self) -> Mapping[str, Target]:
        """Every target.

        Raises:
            DataError: One of them makes no sense.
        """
        return {name: self._config.resolve(name, self._overrides) for name in self._config.raw}

    def descriptions(self) -> dict[str, str]:
        """What each target says of itself, without inheritance."""
        return {name: raw.get("description") or "" for name, raw in self._config.raw.items()}

    def expand(self, names: Sequence[str] = ()) -> tuple[str, ...]:
        """Replace groups by their targets, each once, in order.

        Args:
            names: Groups, targets and patterns of them; `default` when empty.

        Raises:
            DataError: A pattern matches none.
        """
        return tuple(dict.fromkeys(t for name in self._named(names) for t in self._config.members(name)[0]))

    def shown_groups(self, names: Sequence[str] = ()) -> dict[str, tuple[str, ...]]:
        """The groups that ``bake --print`` shows: those asked for, those in them, and `default` for all asked for."""
        wanted = self._named(names)
        groups = [g for name in wanted for g in self._config.members(name)[1]]
        shown = {name: self._config.groups[name] for name in dict.fromkeys(groups)}
        if "default" not in shown or wanted != ["default"]:
            others = [name for name in wanted if name != "default" or "default" not in shown]
            shown["default"] = (*shown.get("default", ()), *others)
        shown["default"] = tuple(sorted(set(shown["default"])))
        return shown

    def order(self, names: Sequence[str] = ()) -> list[Target]:
        """Give the named targets and all they link to, each after those it links to.

        Raises:
            DataError: For an unknown name or a circle.
        """
        expanded = self.expand(names)
        return list(in_order(linked(self._config, expanded, self._overrides), expanded))

    def _named(self, names: Sequence[str]) -> list[str]:
        return list(dict.fromkeys(n for name in names or ("default",) for n in self._config.matching(name)))


def default_files(directory: Path) -> list[Path]:
    """List the bake and compose files of a directory, as bake itself finds them."""
    return [directory / name for name in DEFAULT_FILES if (directory / name).is_file()]


def load(files: Sequence[Path], env: Mapping[str, str], overrides: Sequence[str] = ()) -> Bake:
    """Read files; see `parse`. A compose file's `.env` beside it counts under `env`.

    Raises:
        DataError: If a file cannot be read or makes no sense.
    """
    variables = dict(env)
    sources = []
    for path in files:
        try:
            sources.append(Source(str(path), path.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError) as error:
            what = f"cannot read {path}"
            raise DataError(what, str(error)) from error
        if path.suffix in {".yaml", ".yml"} and (dotenv := path.parent / ".env").is_file():
            beside = {k: v or "" for k, v in dotenv_values(dotenv).items()}
            variables = {**beside, **variables}
    return parse(sources, variables, overrides)


def parse(sources: Sequence[Source], env: Mapping[str, str], overrides: Sequence[str] = ()) -> Bake:
    """Resolve variables, functions, inheritance, matrices and groups.

    Args:
        sources: Later ones override earlier ones.
        env: Values for the variables, as the environment gives them to bake.
        overrides: `TARGETPATTERN.KEY[.SUBKEY]=VALUE`, as bake's `--set`; `+=` appends.

    Raises:
        DataError: If a file makes no sense.
        UsageError: If an override makes no sense.
    """
    layers = [read(source, env) for source in sources]
    config = evaluate(layers, Scope(layers, env))
    given = [override for o in overrides if (override := parse_override(o, env))]
    return Bake(config, Overrides(given, config.raw))
