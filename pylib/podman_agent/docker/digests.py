"""The digests under which a registry holds an image: docker's RepoDigests.

Podman gives every name of an image every digest of its manifests, that of the local one included, which no registry
has: its layers are not compressed, a push makes another. Docker knows a digest from a pull or a push, of the repository
that it was pulled from or pushed to (`ImageInspect`, daemon/images/image_inspect.go, and `pushV2Tag`,
distribution/push_v2.go, of moby 28.5.2). So pushes, pulls and tags are written down beside the store; of an image that
came otherwise, as a build's base or by `docker run`, its manifest and its only name tell.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podman_agent.errors import PodmanAgentError
from podman_agent.plan.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Iterable

    from podman_agent.docker.call import Call

RECORD = "podman-agent-digests"  # in the graphroot; a line is `IMAGE REPOSITORY DIGEST`
TAGGED = "-"  # for a digest: the name was given here
LIMIT = 1 << 20  # bytes of it; after that the newer half is kept


@dataclass(frozen=True)
class Image:
    """What a store says about an image.

    Attributes:
        id: 64 hexadecimal digits.
        names: All its names, in full.
        lists: Digests of its manifest lists.
        manifests: Digests of its manifests whose layers are as a registry has them, compressed.
    """

    id: str
    names: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    manifests: tuple[str, ...] = ()


def repo_digests(image: Image, recorded: Iterable[tuple[str, str]]) -> list[str]:
    """The full names with digest, in the order of their letters, as docker has it.

    Args:
        image: The image.
        recorded: Repository and digest of its pushes and pulls, oldest first; `TAGGED` for a name given here.
    """
    # a repository that all names of the image have left is of no more interest, as after `docker rmi`
    named = {_repository(name) for name in image.names}
    known: dict[tuple[str, str], None] = dict.fromkeys(pair for pair in recorded if pair[0] in named)
    # podman writes `localhost/` before a name that was given here; of two others nobody can tell which was pulled
    rest = {_repository(n) for n in image.names if not n.startswith("localhost/")} - {name for name, _ in known}
    if len(rest) == 1:
        taken = {digest for _, digest in known}
        known |= {(name, d): None for name in rest for d in image.lists or image.manifests if d not in taken}
    return sorted(f"{repository}@{digest}" for repository, digest in known if digest != TAGGED)


def _repository(name: str) -> str:
    """Registry and path of a name; docker.io's where podman has put ``localhost/`` before one without a registry."""
    try:
        return Reference.parse(name.removeprefix("localhost/")).name
    except PodmanAgentError:
        return Reference.bare(name)


@dataclass
class Digests:
    """The stores of this pod, read when they are asked for.

    Attributes:
        graphroot: Podman's, where pushes are written down.
        others: Read-only stores behind it.
        driver: Their storage driver.
    """

    graphroot: Path
    others: list[Path] = field(default_factory=list)
    driver: str = "overlay"

    @classmethod
    def of(cls, call: Call) -> Digests:
        """Of the podman that a call would start.

        Raises:
            OSError, ValueError: Its storage.conf is not to be read.
        """
        import tomllib  # noqa: PLC0415

        file = call.env.get("CONTAINERS_STORAGE_CONF", "/etc/containers/storage.conf")
        storage: dict[str, Any] = tomllib.loads(Path(file).read_text(encoding="utf-8")).get("storage", {})
        stores = [Path(path) for path in storage.get("options", {}).get("additionalimagestores", [])]
        driver = call.env.get("STORAGE_DRIVER") or storage.get("driver") or "overlay"
        return cls(Path(storage.get("graphroot") or "/var/lib/containers/storage"), stores, driver)

    def images(self) -> dict[str, Image]:
        """Every image of the stores by its id; none of a store that cannot be read."""
        found: dict[str, Image] = {}
        for store in reversed((self.graphroot, *self.others)):
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                home = store / f"{self.driver}-images"
                for record in json.loads(_read(home / "images.json")):
                    found[record["id"]] = _image(home / record["id"], record)
        return found

    def recorded(self) -> dict[str, list[tuple[str, str]]]:
        """Repository and digest of every push and pull written down, by image, oldest first."""
        found: dict[str, list[tuple[str, str]]] = {}
        with contextlib.suppress(OSError, ValueError):
            for line in _read(self.graphroot / RECORD).splitlines():
                image, repository, digest = line.split(" ")
                found.setdefault(image, []).append((repository, digest))
        return found

    def record(self, image: str, repository: str, digest: str) -> None:
        """Write down that a registry holds this image; a store that cannot be written to is no failure."""
        path = self.graphroot / RECORD
        line = f"{image} {repository} {digest}\n"
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with contextlib.suppress(OSError, ValueError), open(os.open(path, flags, 0o644), "r+b", buffering=0) as file:  # noqa: PTH123
            fcntl.flock(file, fcntl.LOCK_EX)
            old = os.pread(file.fileno(), 2 * LIMIT, 0).decode()
            if line in old.splitlines(keepends=True):
                return
            if len(old) > LIMIT:
                file.truncate(0)
                line = old[len(old) // 2 :].partition("\n")[2] + line
            file.write(line.encode())

    def all(self) -> dict[str, list[str]]:
        """What docker shows as RepoDigests of each image, by its id, with full names."""
        recorded = self.recorded()
        return {key: repo_digests(image, recorded.get(key, ())) for key, image in self.images().items()}


def pushed(call: Call, image: str, name: str, file: str) -> str:
    """Write down what a push made.

    Args:
        call: The docker call.
        image: The image's id, with or without ``sha256:``.
        name: What was pushed to.
        file: What ``podman push --digestfile`` wrote.

    Returns:
        What the registry holds now; empty where podman wrote nothing.
    """
    digest = ""
    with contextlib.suppress(OSError, ValueError):
        digest = Path(file).read_text(encoding="ascii").strip()
        if image and digest:
            Digests.of(call).record(image.removeprefix("sha256:"), _repository(name), digest)
    return digest


def named(call: Call, name: object) -> str:
    """The id of the image that has this full name now; empty where none has."""
    with contextlib.suppress(OSError, ValueError):
        found = (image for image in Digests.of(call).images().values() if str(name) in image.names)
        return next((image.id for image in found), "")
    return ""


def built_here(call: Call, reference: Reference) -> str:
    """As `named`, of a name without a registry, before which podman has written ``localhost/``."""
    if reference.registry != "docker.io":
        return ""
    return named(call, f"localhost/{reference.repository.removeprefix('library/')}:{reference.version}")


def pulled(call: Call, image: str, reference: Reference) -> str:
    """Write down what a pull brought.

    Args:
        call: The docker call.
        image: The image's id.
        reference: What was asked for.

    Returns:
        The digest the registry has it under; empty where that is not to be known.
    """
    with contextlib.suppress(OSError, ValueError):
        digests = Digests.of(call)
        found = digests.images().get(image)
        # several: pulled by another name before, with other layers or as a list; then the tag may mean either
        digest = reference.digest or (found and _only(found.lists or found.manifests)) or ""
        if digest:
            digests.record(image, reference.name, digest)
        return digest
    return ""


def _only(found: tuple[str, ...]) -> str:
    return found[0] if len(found) == 1 else ""


def tagged(call: Call, name: str) -> None:
    """Write down that a name was given here, to the image that has it now."""
    with contextlib.suppress(OSError, ValueError, PodmanAgentError):
        reference = Reference.parse(name)
        if reference.registry != "docker.io" and (image := named(call, reference)):
            Digests.of(call).record(image, reference.name, TAGGED)


def of_all(call: Call) -> dict[str, list[str]]:
    """As `Digests.all` of the podman that a call would start; empty where its files are not to be read."""
    try:
        return Digests.of(call).all()
    except (OSError, ValueError):
        return {}


def _image(directory: Path, record: dict[str, Any]) -> Image:
    names = record.get("names") or []
    lists, manifests = [], []
    for key in record.get("big-data-names") or []:
        if not key.startswith("manifest-"):
            continue
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            manifest = json.loads(_big_data(directory, key))
            digest = key.removeprefix("manifest-")
            if "manifests" in manifest:
                lists.append(digest)
            elif _compressed(directory, manifest):
                manifests.append(digest)
    return Image(record["id"], tuple(names), tuple(lists), tuple(manifests))


def _compressed(directory: Path, manifest: dict[str, Any]) -> bool:
    """Whether a manifest is one a registry gave: its layers' digests are not those of their plain content."""
    if "layers" not in manifest:
        return "fsLayers" in manifest  # schema 1 is never written here
    config = json.loads(_big_data(directory, manifest["config"]["digest"]))
    return not {layer["digest"] for layer in manifest["layers"]} <= set(config["rootfs"]["diff_ids"])


def _big_data(directory: Path, key: str) -> str:
    from podman_agent.store.content import big_data_name  # noqa: PLC0415

    return _read(directory / big_data_name(key))


def _read(path: Path) -> str:
    """A file of a volume that other pods use."""
    from podman_agent.store.beneath import Root  # noqa: PLC0415

    return Root(path.parent).read(path).decode()
