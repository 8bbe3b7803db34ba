"""What a build step costs as the image grows, and as the store does."""

from __future__ import annotations

import hashlib
import io
import json
import secrets
import tarfile
from functools import partial
from typing import TYPE_CHECKING

from bench.measuring import Row, Samples, paired, ratio
from bench.peers import OURS, Peer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.stage import Stage

FLAT = 1.15
LAYERS = (10, 25, 50, 100)
IMAGES = (10, 100, 300, 1000)


def step(peer: Peer, image: str) -> float:
    """Seconds of a build of one step on an image."""
    return peer.build("grown:1", "-", stdin=f"FROM {image}\nRUN echo {secrets.token_hex(4)}\n")


def layers(stage: Stage) -> Iterator[Row]:
    """Images of 10 to 100 layers."""
    pod = next(iter(stage.peers(OURS)))
    counts = LAYERS[:2] if stage.quick else LAYERS
    context = stage.work / "growth"
    context.mkdir()
    (context / "file").write_text("x")
    for count in counts:
        text = "FROM busybox\n" + "".join(f"COPY file /l{count}-{n}\n" for n in range(count - 1))
        (context / "Dockerfile").write_text(text)
        pod.build(f"localhost/layers:{count}", str(context))
    samples = paired(
        {f"{n} layers": partial(step, pod, f"localhost/layers:{n}") for n in counts},
        rounds=stage.rounds(15),
        seconds=60,
    )
    goal = ratio(samples, f"{counts[-1]} layers", f"{counts[0]} layers", FLAT)
    yield Row("growth-layers", "a build step, as the image grows", samples, (goal,))
    pod.sh("$P image prune -af >/dev/null")


def images(stage: Stage) -> Iterator[Row]:
    """A store of 10 to 1,000 images; what came first is measured first, since a store only grows."""
    stage.dismiss(OURS)
    pod = next(iter(stage.peers(OURS)))
    counts = IMAGES[:2] if stage.quick else IMAGES
    samples: Samples = {}
    had = 0
    for count in counts:
        archive = stage.work / "images.tar"
        write_archive(archive, range(had, count))
        pod.sh(f"$P load -q -i {archive} >/dev/null")
        archive.unlink()
        had = count
        name = f"{count} images"
        samples |= paired({name: partial(step, pod, "busybox")}, rounds=stage.rounds(12), seconds=40)
        samples[f"{name}, docker run"] = paired(
            {name: partial(pod.time, "run", "--rm", "busybox", "true")}, rounds=stage.rounds(12), seconds=40
        )[name]
    first, last = f"{counts[0]} images", f"{counts[-1]} images"
    goals = (
        ratio(samples, last, first, FLAT),
        ratio(samples, f"{last}, docker run", f"{first}, docker run", FLAT),
    )
    yield Row("growth-images", "a build step, and a run, as the store grows", samples, goals)
    stage.dismiss(OURS)


def write_archive(path: Path, numbers: range) -> None:
    """Write docker's archive of images with one tiny layer each."""
    manifest = []
    with tarfile.open(path, "w") as tar:

        def add(name: str, data: bytes) -> None:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))

        for number in numbers:
            inner = io.BytesIO()
            with tarfile.open(fileobj=inner, mode="w") as layer:
                member = tarfile.TarInfo("number")
                member.size = len(text := f"{number}\n".encode())
                layer.addfile(member, io.BytesIO(text))
            data = inner.getvalue()
            digest = hashlib.sha256(data).hexdigest()
            config = {"architecture": "amd64", "os": "linux", "config": {}}
            config["rootfs"] = {"type": "layers", "diff_ids": [f"sha256:{digest}"]}
            text = json.dumps(config).encode()
            name = f"{hashlib.sha256(text).hexdigest()}.json"
            add(f"{digest}/layer.tar", data)
            add(name, text)
            manifest.append(
                {"Config": name, "RepoTags": [f"localhost/many:{number}"], "Layers": [f"{digest}/layer.tar"]}
            )
        add("manifest.json", json.dumps(manifest).encode())
