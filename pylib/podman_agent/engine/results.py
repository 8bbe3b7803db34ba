"""What the engine's methods give back."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Layer:
    """One layer as the registry has it: digest, and compressed size in bytes."""

    digest: str
    size: int


@dataclass(frozen=True)
class BuildResult:
    """A finished build.

    Attributes:
        image_id: ``sha256:...`` of the image's configuration, or of the list for several platforms.
        tags: The names it was given.
        seconds: Wall-clock time, waits included.
        attempts: Tries it took; more than 1 if a base image could not be pulled at first.
        cached_steps: Build steps served from the cache.
        steps: Build steps in all.
        manifest: The image is a manifest list.
    """

    image_id: str
    tags: tuple[str, ...]
    seconds: float
    attempts: int
    cached_steps: int = 0
    steps: int = 0
    manifest: bool = False


@dataclass(frozen=True)
class PushResult:
    """A push that the registry confirmed.

    Attributes:
        image: The full name in the registry.
        digest: The manifest's digest, the same at both ends.
        image_id: ``sha256:...`` of the configuration; empty for a manifest list.
        pushed: Layers that were sent; of all its images, for a manifest list.
        skipped: Layers the registry had already.
        seconds: Wall-clock time, waits included.
        attempts: Tries it took.
    """

    image: str
    digest: str
    image_id: str
    pushed: tuple[Layer, ...]
    skipped: tuple[Layer, ...]
    seconds: float
    attempts: int

    @property
    def bytes_pushed(self) -> int:
        """Compressed bytes of the layers that were sent."""
        return sum(layer.size for layer in self.pushed)


@dataclass(frozen=True)
class PullResult:
    """A finished pull: name, ``sha256:...`` id, manifest digest, seconds, attempts."""

    image: str
    image_id: str
    digest: str
    seconds: float
    attempts: int


@dataclass(frozen=True)
class CopyResult:
    """A copy from registry to registry that both confirm: names, digest, seconds, attempts."""

    source: str
    destination: str
    digest: str
    seconds: float
    attempts: int


@dataclass(frozen=True)
class ImageInfo:
    """One image of the local store.

    Attributes:
        image_id: ``sha256:...``.
        names: Its names.
        digest: Of its manifest here, which is uncompressed and not what a registry shows.
        size: Bytes.
        created: Seconds since the epoch.
    """

    image_id: str
    names: tuple[str, ...]
    digest: str
    size: int
    created: int


@dataclass(frozen=True)
class RunResult:
    """A container that ended: exit code and its two streams."""

    returncode: int
    stdout: str
    stderr: str
