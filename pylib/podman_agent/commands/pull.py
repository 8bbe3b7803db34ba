"""``podman-agent pull``: pull images, with retries for what passes by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from podman_agent.commands import registryoptions

if TYPE_CHECKING:
    import argparse

    from podman_agent.engine.engine import Engine
    from podman_agent.engine.progress import Progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("images", nargs="+", metavar="IMAGE")
    parser.add_argument("--platform", default="", metavar="OS/ARCH", help="instead of this machine's")
    registryoptions.add_access(parser)
    registryoptions.add_progress(parser)


def run(args: argparse.Namespace) -> int:
    """Pull; prints the id of each image on stdout."""

    def work(engine: Engine, _progress: Progress) -> int:
        for image in args.images:
            print(engine.pull(image, args.platform).image_id)
        return 0

    return registryoptions.with_engine(args, work)
