"""Builds several images in dependency order and in parallel, pushes them, checks digests."""

from __future__ import annotations

import csv
import graphlib
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from podman_agent.bake.flags import flags
from podman_agent.builds import sbom
from podman_agent.engine import events, process
from podman_agent.engine.options import BuildOptions
from podman_agent.errors import PodmanAgentError
from podman_agent.plan.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from podman_agent.bake import Target
    from podman_agent.engine.engine import Engine
    from podman_agent.engine.results import BuildResult, PushResult


@dataclass(frozen=True)
class Settings:
    """What holds for all images of a run.

    Attributes:
        push: Push every name; otherwise only what a target's own `output` says.
        cache: A repository to take layers from and, when pushing, send them to.
        labels: Added to every image.
        tags: Added to every repository an image is named after.
        timestamp: Seconds since the epoch for reproducible images.
        jobs: Builds at the same time.
        base: What relative contexts are relative to.
        sbom: A directory for `TARGET.spdx.json`, or None.
    """

    push: bool = False
    cache: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    tags: Sequence[str] = ()
    timestamp: int | None = None
    jobs: int = 2
    base: Path = Path()
    sbom: Path | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of one target.

    Attributes:
        target: Its name.
        status: `ok`, `failed` or `skipped`.
        seconds: Wall-clock time.
        build: None if the build failed.
        pushes: One for each name that the registry confirmed.
        error: One line; empty if it is ok.
        exit_code: 0 if it is ok.
    """

    target: str
    status: str
    seconds: float
    build: BuildResult | None = None
    pushes: tuple[PushResult, ...] = ()
    error: str = ""
    exit_code: int = 0


class ImageBuild:
    """One run over a list of targets.

    Args:
        engine: Shared by all threads.
        settings: For all images.
        on_event: Gets what this class itself has to say.
    """

    def __init__(self, engine: Engine, settings: Settings, on_event: events.Listener | None = None) -> None:
        self._engine, self._settings = engine, settings
        self._listener = on_event
        self._built: dict[str, BuildResult] = {}

    def run(self, targets: Sequence[Target], wanted: Sequence[str]) -> list[Outcome]:
        """Build all targets and push the wanted ones.

        A failed target takes those that need it with it; the others are finished.

        Args:
            targets: As `Bake.order` gives them.
            wanted: The names asked for; the rest are only needed by these.

        Returns:
            One outcome a target, in the order of `targets`.
        """
        by_name = {t.name: t for t in targets}
        graph = graphlib.TopologicalSorter({t.name: t.links for t in targets})
        graph.prepare()
        outcomes: dict[str, Outcome] = {}
        running: dict[Future[Outcome], str] = {}
        with ThreadPoolExecutor(max(1, self._settings.jobs)) as pool:
            try:
                while graph.is_active():
                    for name in graph.get_ready():
                        broken = [o for x in by_name[name].links if (o := outcomes[x]).status != "ok"]
                        if broken:
                            why = f"it needs {broken[0].target}, which was not built"
                            skipped = Outcome(name, "skipped", 0, error=why)
                            outcomes[name] = skipped
                            graph.done(name)
                            continue
                        running[pool.submit(self._one, by_name[name], name in wanted)] = name
                    for future in wait(running, return_when=FIRST_COMPLETED).done if running else ():
                        name = running.pop(future)
                        outcomes[name] = future.result()
                        graph.done(name)
            except BaseException:
                # Ctrl-C and SIGTERM reach this thread only, podman runs in the others.
                pool.shutdown(wait=False, cancel_futures=True)
                process.end_all()
                raise
        return [outcomes[t.name] for t in targets]

    def _one(self, target: Target, wanted: bool) -> Outcome:
        start = time.monotonic()
        build: BuildResult | None = None
        pushes: list[PushResult] = []
        try:
            build = self._engine.build(self._options(target))
            self._built[target.name] = build
            if wanted and self._pushes(target):
                for tag in build.tags:
                    pushes.append(self._engine.push(tag, manifest=build.manifest))  # noqa: PERF401 - keeps what was pushed before one fails
            if self._settings.sbom:
                image = build.tags[0] if build.tags else build.image_id
                file = self._settings.sbom / f"{target.name}.spdx.json"
                sbom.write(self._engine, image, file)
        except PodmanAgentError as error:
            took = round(time.monotonic() - start, 3)
            text = self._engine.redact(str(error))
            self._say(target.name, text)
            return Outcome(target.name, "failed", took, build, tuple(pushes), text, error.exit_code)
        took = round(time.monotonic() - start, 3)
        self._say(target.name, f"built {build.image_id} in {build.seconds:.1f} s", "done")
        return Outcome(target.name, "ok", took, build, tuple(pushes))

    def _say(self, target: str, text: str, kind: events.Kind = "log") -> None:
        if self._listener:
            self._listener(events.Event(kind, target, text))

    def _options(self, target: Target) -> BuildOptions:
        settings = self._settings
        remote = "://" in target.context or target.context.startswith("git@")
        context = target.context if remote else str(settings.base / target.context)
        tags = tuple(target.tags)
        repositories = dict.fromkeys(Reference.parse(t).name for t in tags)
        more = [f"{name}:{tag}" for name in repositories for tag in settings.tags]
        return BuildOptions(
            context=context,
            file="-" if target.dockerfile_inline else _file(context, target.dockerfile),
            stdin=target.dockerfile_inline,
            tags=tuple(dict.fromkeys((*tags, *more))),
            args=target.args,
            labels={**settings.labels, **target.labels},
            contexts={k: self._context(v) for k, v in target.contexts.items()},
            platforms=target.platforms,
            target=target.target,
            secrets=target.secret,
            cache_from=self._caches(target, target.cache_from),
            cache_to=self._caches(target, target.cache_to) if self._pushes(target) else (),
            timestamp=settings.timestamp,
            options=tuple(_flags(target)),
        )

    def _pushes(self, target: Target) -> bool:
        outputs = ("type=registry", "push=true")
        return self._settings.push or any(x in o for o in target.output for x in outputs)

    def _context(self, value: str) -> str:
        if not value.startswith("target:"):
            return value
        return f"container-image://{self._built[value.removeprefix('target:')].image_id}"

    def _caches(self, target: Target, entries: Sequence[str]) -> tuple[str, ...]:
        """Give podman's plain repositories for buildx's cache entries."""
        found = [Reference.parse(c).name for c in (self._settings.cache,) if c]
        for entry in entries:
            fields = dict(f.partition("=")[::2] for f in next(csv.reader([entry])))
            kind = fields.get("type", "registry")
            if kind == "registry":
                reference = fields.get("ref") or entry
                found.append(Reference.parse(reference).name)
            else:
                self._say(target.name, f"cache of type {kind} is buildkit's own: ignored")
        return tuple(dict.fromkeys(found))


def _file(context: str, dockerfile: str) -> str | None:
    """Bake counts the file from the context, podman from here; a default may be a Containerfile."""
    inside = Path(context) / dockerfile
    if inside.is_file():
        return str(inside)
    return None if dockerfile == "Dockerfile" else dockerfile


_PODMANS = ("ssh", "annotations", "network", "shm_size", "ulimits", "extra_hosts", "no_cache", "pull")
"""What has no field of `BuildOptions`."""


def _flags(target: Target) -> list[str]:
    # podman's annotations are the manifest's, its bare --pull fetches only what is newer
    podmans = {"--pull": "--pull=always"}
    found = [podmans.get(f, f).replace("=manifest:", "=", 1) for f in flags(target, only=_PODMANS)]
    outputs = [o for o in target.output if "type=local" in o or "type=tar" in o]
    return [*found, *(f"--output={o}" for o in outputs)]
