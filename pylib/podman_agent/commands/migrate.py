"""``podman-agent migrate``: a Jenkinsfile, pod or casc file without its docker daemon, kaniko or buildah."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from podman_agent.errors import DataError
from podman_agent.jenkins import migratefiles, pod
from podman_agent.jenkins.trust import LEVELS

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "file", metavar="Jenkinsfile|FILE.yaml", type=Path, help="left as it is; the new one is printed"
    )
    parser.add_argument(
        "--trust", choices=tuple(LEVELS), default="unprivileged", help="of the new builder (%(default)s)"
    )
    parser.add_argument("--cache", default="none", help="none, hostpath:/DIR, pvc:NAME or ephemeral[:CLASS]")
    parser.add_argument("--key", default="", help="team whose store on a shared volume to claim")
    parser.add_argument("--image", default=pod.IMAGE, help="reference of the agent image")


def run(args: argparse.Namespace) -> int:
    """Print the new file on stdout; what could not be decided stands in comments at its top."""
    file: Path = args.file
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"cannot read {file}"
        raise DataError(msg, getattr(error, "strerror", "") or "not UTF-8") from error
    cache = pod.Cache.parse(args.cache)
    options = pod.PodOptions(pod.NAME_PREFIX, trust=args.trust, cache=cache, key=args.key, image=args.image)
    is_yaml = file.suffix in {".yaml", ".yml"}
    try:
        new, result = (migratefiles.migrate_yaml if is_yaml else migratefiles.migrate_groovy)(text, options)
    except DataError as error:
        msg = f"{file}: {error.what}"
        raise DataError(msg, error.why) from error
    if not result.found and not result.undecided:
        msg = f"{file}: nothing to migrate"
        raise DataError(msg, "no docker.sock, dind, kaniko or buildah is in it")
    mark = "#" if is_yaml else "//"
    print("".join(f"{mark} undecided: {line}\n" for line in result.undecided) + new, end="")
    return 0
