"""Make a containers-storage directory without an engine, as podman 5.4.2 lays one out (overlay)."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any, cast

from podman_agent.store.content import big_data_name

if TYPE_CHECKING:
    from pathlib import Path

CREATED = "2026-11-23T09:32:50.927872119Z"


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Fabric:
    """A graphroot that grows layer by layer and image by image."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("overlay/l", "overlay-layers", "overlay-images", "overlay-containers"):
            (root / name).mkdir(parents=True)
        self.layers: list[dict[str, Any]] = []
        self.images: list[dict[str, Any]] = []
        self.containers: list[dict[str, Any]] = []

    def layer(self, files: dict[str, bytes], parent: str = "", **more: Any) -> str:
        """Add a layer with these files, and the tar-split its stream can be rebuilt from."""
        stream, entries = io.BytesIO(), []
        with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as archive:
            for name, data in files.items():
                at = stream.tell()
                member = tarfile.TarInfo(name)
                member.size, member.mode = len(data), 0o644
                archive.addfile(member, io.BytesIO(data))
                whole = stream.getvalue()
                header, rest = whole[at : at + 512], whole[at + 512 + len(data) :]
                entries += [(2, header), (1, name, len(data)), *([(2, rest)] if rest else [])]
            at = stream.tell()
        entries.append((2, stream.getvalue()[at:]))
        digest = sha(stream.getvalue())
        identity = sha(f"{parent}{digest}".encode())
        home = self.root / "overlay" / identity
        for name, data in files.items():
            path = home / "diff" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            path.chmod(0o644)
        for name in ("work", "merged"):
            (home / name).mkdir()
        (home / "link").write_text(identity[:26].upper())
        if parent:
            below = (self.root / "overlay" / parent / "lower").read_text() if self._has_parent(parent) else ""
            chain = [f"l/{parent[:26].upper()}", *below.split(":")]
            (home / "lower").write_text(":".join(filter(None, chain)))
        (self.root / "overlay/l" / identity[:26].upper()).symlink_to(f"../{identity}/diff")
        if parent:
            above = self.root / "overlay" / parent
            lower = above / "lower"
            chain = [f"l/{(above / 'link').read_text()}", *([lower.read_text()] if lower.exists() else [])]
            (home / "lower").write_text(":".join(chain))
        with gzip.open(self.root / "overlay-layers" / f"{identity}.tar-split.gz", "wt") as split:
            for number, entry in enumerate(entries):
                row: dict[str, Any] = {"type": entry[0], "position": number}
                if entry[0] == 2:
                    row["payload"] = base64.b64encode(cast("bytes", entry[1])).decode()
                else:
                    row |= {"name": entry[1], "size": entry[2], "payload": "AAAAAAAAAAA="}
                split.write(json.dumps(row) + "\n")
        record = {"id": identity, "created": CREATED, "diff-digest": f"sha256:{digest}", "diff-size": at}
        self.layers.append({**record, **({"parent": parent} if parent else {}), **more})
        return identity

    def _has_parent(self, layer: str) -> bool:
        return (self.root / "overlay" / layer / "lower").exists()

    def image(self, name: str, layers: list[str]) -> str:
        """Add an image of these layers, base first."""
        digests = {r["id"]: r["diff-digest"] for r in self.layers}
        config = json.dumps({"name": name, "rootfs": {"diff_ids": [digests[i] for i in layers]}}).encode()
        identity = sha(config)
        manifest = json.dumps({"config": {"digest": f"sha256:{identity}"}}).encode()
        blobs = {f"sha256:{identity}": config, "manifest": manifest}
        home = self.root / "overlay-images" / identity
        home.mkdir()
        for key, data in blobs.items():
            (home / big_data_name(key)).write_bytes(data)
        self.images.append(
            {
                "id": identity,
                "names": [name] if name else [],
                "layer": layers[-1],
                "created": CREATED,
                "big-data-names": list(blobs),
                "big-data-sizes": {k: len(v) for k, v in blobs.items()},
                "big-data-digests": {k: f"sha256:{sha(v)}" for k, v in blobs.items()},
            }
        )
        return identity

    def container(self, image: str, layer: str, created: str = CREATED) -> str:
        """Add a container with a layer of its own on top of `layer`."""
        own = self.layer({"written": b"by the container"}, parent=layer)
        identity = sha(own.encode())
        (self.root / "overlay-containers" / identity / "userdata").mkdir(parents=True)
        self.containers.append({"id": identity, "image": image, "layer": own, "created": created})
        return identity

    def save(self) -> Path:
        """Write the records; returns the graphroot."""
        for kind in ("layers", "images", "containers"):
            (self.root / f"overlay-{kind}" / f"{kind}.json").write_text(json.dumps(getattr(self, kind)))
        return self.root


def small(root: Path) -> Fabric:
    """Two images, the second built on the first."""
    fabric = Fabric(root)
    base = fabric.layer({"etc/os-release": b"ID=test\n", "big": bytes(70000)})
    top = fabric.layer({"app": b"hello"}, parent=base)
    fabric.image("docker.io/library/base:latest", [base])
    fabric.image("localhost/app:latest", [base, top])
    fabric.save()
    return fabric
