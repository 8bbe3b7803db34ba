"""Reads bake and compose files into build targets: files in, targets in dependency order out.

Formats: https://docs.docker.com/build/bake/reference/ (HCL and JSON) and the `build` sections of
compose files. No format of our own. Nothing is built here and no path is touched or made absolute.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dotenv import dotenv_values

from podman_agent.bake.layers import Scope, Source, read
from podman_agent.bake.targets import Target, evaluate_targets, finish, parse_override
from podman_agent.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

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


@dataclass(frozen=True)
class Bake:
    """All groups and targets of the files."""

    groups: Mapping[str, tuple[str, ...]]
    targets: Mapping[str, Target]

    def expand(self, names: Sequence[str] = ()) -> tuple[str, ...]:
        """Replace groups by their targets, each once, in order.

        Args:
            names: Groups and targets; `default` when empty.

        Raises:
            DataError: For a name that is neither, or a group that contains itself.
        """
        found: dict[str, None] = {}
        for name in names or ("default",):
            found.update(dict.fromkeys(self._expand(name, ())))
        return tuple(found)

    def _expand(self, name: str, outer: tuple[str, ...]) -> list[str]:
        if name in outer:
            what = f"group {name} contains itself"
            raise DataError(what, " > ".join([*outer, name]))
        if name in self.groups:
            return [t for n in self.groups[name] for t in self._expand(n, (*outer, name))]
        if name in self.targets:
            return [name]
        what = f"no target or group {name}"
        raise DataError(what, fix=f"there are: {', '.join([*self.groups, *self.targets]) or 'none'}")

    def order(self, names: Sequence[str] = ()) -> list[Target]:
        """Give the named targets and all they link to, each after those it links to.

        Raises:
            DataError: For an unknown name or a circle.
        """
        done: dict[str, Target] = {}

        def visit(name: str, path: tuple[str, ...]) -> None:
            if name in path:
                what = "targets depend on each other"
                raise DataError(what, " > ".join([*path, name]))
            if name not in self.targets:
                what = f"target {path[-1]} needs {name}, which does not exist"
                raise DataError(what)
            for link in self.targets[name].links:
                visit(link, (*path, name))
            done.setdefault(name, self.targets[name])

        for name in self.expand(names):
            visit(name, ())
        return list(done.values())


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
    raw, groups = evaluate_targets(layers, Scope(layers, env))
    return Bake(groups, finish(raw, [parse_override(o) for o in overrides]))
