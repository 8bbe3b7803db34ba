"""What all measures share: the scratch disk, the registry, the images, the peers that are up."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from typing import TYPE_CHECKING

import host
import outer

from bench import project
from bench.measuring import say, settle
from bench.peers import BUILDAH, DEFAULT, DOCKERD, OURS, STABLE, STABLE_CONF, STABLE_FUSE, Dockerd, Peer, Pod, ulimits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DISTRIBUTION = "trixie"
PACKAGES = "gcc,libc6-dev,make"


class Stage:
    """One run of the benchmarks.

    Args:
        work: A directory on a disk, empty.
        quick: Everything small and once: to see that it works, not how fast.
    """

    def __init__(self, work: Path, *, quick: bool) -> None:
        self.work, self.quick = work, quick
        self.stack = contextlib.ExitStack()
        self.absent: dict[str, str] = {}
        self._peers: dict[str, Peer] = {}
        self._project: Path | None = None
        self._base = ""

    def __enter__(self) -> Stage:
        host.ensure("podman")
        outer.ensure_image()
        self.registry = self.stack.enter_context(outer.Registry(self.work / "registry"))
        outer.push_busybox(self.registry)
        self.busybox = f"{self.registry.address}/library/busybox:latest"
        return self

    def __exit__(self, *_: object) -> None:
        for title in list(self._peers):
            self.dismiss(title)
        self.stack.close()

    @property
    def up(self) -> dict[str, Peer]:
        """The peers that are up."""
        return dict(self._peers)

    def rounds(self, many: int) -> int:
        """That many rounds, or one when it is quick."""
        return 1 if self.quick else many

    def peer(self, title: str) -> Peer | None:
        """The peer of that title, started when it is not up, with busybox in its store; None where it cannot be had.

        Why it cannot is kept in `absent`, for the rows to tell.
        """
        if title in self._peers or title in self.absent:
            return self._peers.get(title)
        try:
            peer = self.make(title)
        except (host.HostError, outer.OuterError, OSError) as error:
            if title == OURS:
                raise
            self.absent[title] = f"{title} could not be compared: {error}"
            say(self.absent[title])
            return None
        self._peers[title] = peer
        self.keep(peer, self.busybox, "busybox")
        return peer

    def make(self, title: str) -> Peer:
        """Start a peer."""
        stable = f"{ulimits()}{STABLE_CONF}"
        confs = {STABLE: stable, STABLE_FUSE: stable, DEFAULT: ulimits(), BUILDAH: ulimits()}
        if title == DOCKERD:
            return Dockerd(self.work)
        # ENV of quay.io/podman/stable
        env = {"BUILDAH_ISOLATION": "chroot"} if title in {STABLE, STABLE_FUSE} else {}
        return Pod(title, self.work, confs.get(title, ""), env)

    def dismiss(self, title: str) -> None:
        """End a peer and give its disk space back."""
        peer = self._peers.pop(title, None)
        if peer:
            peer.close()
            self.discard(peer.volume if isinstance(peer, Pod) else self.work / "dockerd")

    def discard(self, path: Path) -> None:
        """Remove a tree, whatever podman left mounted there, and let the disk settle."""
        mounts = subprocess.run(["findmnt", "-rno", "TARGET"], capture_output=True, text=True, check=False).stdout
        for mount in reversed([m for m in mounts.splitlines() if m.startswith(f"{path}/")]):
            subprocess.run(["umount", "-l", mount], check=False)
        shutil.rmtree(path, ignore_errors=True)
        settle()

    def peers(self, *titles: str) -> list[Peer]:
        """Those of the peers that can be had."""
        return [peer for title in titles if (peer := self.peer(title))]

    def missing(self, *titles: str) -> str:
        """Why some of the peers are not in a row."""
        return "; ".join(self.absent[t] for t in titles if t in self.absent)

    @property
    def project(self) -> Path:
        """The project to build, written at first use."""
        if self._project is None:
            self._project = self.work / "project"
            size = {"megabytes": 20, "files": 300} if self.quick else {}
            project.write(self._project, **size)
        return self._project

    @property
    def base(self) -> str:
        """The reference of an image with a compiler in the registry, made of Debian's packages at first use."""
        if not self._base:
            tar = outer.ROOT / f".cache/bench/{DISTRIBUTION}-gcc.tar"
            if not tar.exists():
                host.ensure("mmdebstrap", "debian-archive-keyring")
                tar.parent.mkdir(parents=True, exist_ok=True)
                aside = tar.with_suffix(".part.tar")
                outer.run("mmdebstrap", "--variant=minbase", f"--include={PACKAGES}", DISTRIBUTION, str(aside))
                aside.rename(tar)
            self._base = f"{self.registry.address}/bench/gcc:1"
            outer.podman("import", "-q", "--change", "ENV PATH=/usr/local/bin:/usr/bin:/bin", str(tar), self._base)
            outer.podman("push", "-q", self._base)
            outer.podman("rmi", self._base)
        return self._base

    def keep(self, peer: Peer, image: str, short: str = "") -> None:
        """Have an image in the peer's store, in use by a container: so a prune leaves it.

        Args:
            peer: Whose store.
            image: What to pull.
            short: A name it has on docker.io.
        """
        name = f"docker.io/library/{short}:latest" if short else image
        # --network host: dockerd has no bridge here
        peer.sh(f"$P pull -q {image}; $P tag {image} {name}; $P create --network host {name} true")

    def forget(self, peer: Peer) -> None:
        """Remove everything built and cached there, but not the base that is kept, and let the disk settle."""
        if peer.title == DOCKERD:
            peer.sh("$P builder prune -af; $P image prune -af")
        else:
            peer.sh("$P image prune -af")
        settle()

    @contextlib.contextmanager
    def fresh_registry(self) -> Iterator[outer.Registry]:
        """A registry that nobody has pushed to, nor remembers; gone afterwards."""
        where = self.work / "fresh-registry"
        shutil.rmtree(where, ignore_errors=True)
        with outer.Registry(where) as registry:
            yield registry
        self.discard(where)
