"""What a build can be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class BuildOptions:
    """One image to build.

    Attributes:
        context: Directory or URL.
        file: The Containerfile; podman looks for one in the context when None. `-` reads `stdin`.
        stdin: A Containerfile's text for `file="-"`.
        tags: Names for the result.
        args: Build arguments; handed over in a file, not in argv.
        labels: Image labels.
        contexts: Named contexts (`--build-context`).
        platforms: ``os/arch``; more than one makes a manifest list, named by the first tag.
        target: The stage to stop at.
        secrets: `id=NAME,src=FILE` or `id=NAME,env=VARIABLE`.
        cache_from: Repositories to take layers from.
        cache_to: Repositories to send layers to.
        timestamp: Seconds since the epoch for image and files: the same input, the same digest.
            The image is in OCI format then, which has no HEALTHCHECK, SHELL and ONBUILD.
        options: Further flags of `podman build`.
    """

    context: str = "."
    file: str | None = None
    stdin: str | None = None
    tags: tuple[str, ...] = ()
    args: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    contexts: Mapping[str, str] = field(default_factory=dict)
    platforms: tuple[str, ...] = ()
    target: str | None = None
    secrets: tuple[str, ...] = ()
    cache_from: tuple[str, ...] = ()
    cache_to: tuple[str, ...] = ()
    timestamp: int | None = None
    options: tuple[str, ...] = ()

    def flags(self) -> list[str]:
        """Give podman's flags, build arguments and the result's names left out."""
        found = [f"--file={self.file}"] if self.file else []
        found += [f"--label={k}={v}" for k, v in self.labels.items()]
        found += [f"--build-context={k}={v}" for k, v in self.contexts.items()]
        found += [f"--platform={','.join(self.platforms)}"] if self.platforms else []
        found += [f"--target={self.target}"] if self.target else []
        found += [f"--secret={s}" for s in self.secrets]
        found += [f"--cache-from={r}" for r in self.cache_from]
        found += [f"--cache-to={r}" for r in self.cache_to]
        found += ["--layers"] if self.cache_from or self.cache_to else []
        if self.timestamp is not None:
            # docker's format has the random id and host name of the build container in it
            found += [f"--timestamp={self.timestamp}", "--format=oci"]
        return [*found, *self.options]
