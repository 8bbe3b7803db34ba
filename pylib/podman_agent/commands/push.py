"""``podman-agent push``: push images and check that the registry has what was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from podman_agent.commands import registryoptions

if TYPE_CHECKING:
    import argparse

    from podman_agent.engine.engine import Engine
    from podman_agent.engine.progress import Progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="local image name")
    parser.add_argument("--as", dest="destination", metavar="NAME", help="its name in the registry")
    parser.add_argument("--manifest", action="store_true", help="a manifest list, with its images")
    registryoptions.add_access(parser)
    registryoptions.add_progress(parser)


def run(args: argparse.Namespace) -> int:
    """Push; prints name@digest of each image on stdout."""

    def work(engine: Engine, _progress: Progress) -> int:
        for image in args.images:
            result = engine.push(image, args.destination or "", manifest=args.manifest)
            print(f"{result.image}@{result.digest}")
        return 0

    return registryoptions.with_engine(args, work)
