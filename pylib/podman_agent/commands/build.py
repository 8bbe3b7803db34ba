"""``podman-agent build``: build, tag, push, verify, and leave results for Jenkins to archive."""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from podman_agent import bake as bakefile
from podman_agent.bake import Target
from podman_agent.builds import reports
from podman_agent.builds.git import SCHEMES, GitInfo
from podman_agent.builds.run import ImageBuild, Settings
from podman_agent.commands import registryoptions
from podman_agent.errors import ConfigError, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from podman_agent.builds.run import Outcome
    from podman_agent.engine.engine import Engine
    from podman_agent.engine.progress import Progress

_LARGEST_SECRET = 65536


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("what", nargs="*", metavar="CONTEXT|TARGET", help="a context, or with --bake targets")
    one = parser.add_argument_group("one image")
    one.add_argument("-f", "--file", metavar="FILE", help="Containerfile; - reads it from stdin")
    one.add_argument("-t", "--tag", action="append", default=[], metavar="NAME")
    one.add_argument("--image", metavar="REPOSITORY", help="with --tag-by: what gets the tags")
    one.add_argument("--build-arg", action="append", default=[], metavar="NAME[=VALUE]")
    one.add_argument("--secret", action="append", default=[], metavar="id=ID,src=FILE|env=NAME")
    one.add_argument("--target", metavar="STAGE")
    one.add_argument("--platform", action="append", default=[], metavar="OS/ARCH[,...]")
    one.add_argument("--no-cache", action="store_true")
    one.add_argument("--pull", action="store_true", help="pull base images even if they are here")
    many = parser.add_argument_group("several images")
    many.add_argument("--bake", action="append", type=Path, metavar="FILE", help="bake (HCL, JSON) or compose")
    many.add_argument("--set", action="append", default=[], metavar="TARGET.KEY=VALUE")
    many.add_argument("--jobs", type=int, default=2, metavar="N", help="builds at the same time")
    both = parser.add_argument_group("all images")
    both.add_argument("--push", action="store_true", help="push all names and verify digests")
    both.add_argument("--tag-by", metavar=",".join(SCHEMES), help="tags from Git")
    both.add_argument("--cache", default="", metavar="REPOSITORY", help="build cache in a registry")
    both.add_argument("--label", action="append", default=[], metavar="KEY=VALUE")
    both.add_argument(
        "--reproducible",
        action="store_true",
        help="times from SOURCE_DATE_EPOCH, else from the Git commit",
    )
    both.add_argument("--sbom", type=Path, metavar="DIR", help="write SPDX JSON with syft or trivy")
    both.add_argument("--results", type=Path, metavar="DIR", help="write image.json, image.env and junit.xml")
    registryoptions.add_access(parser)
    registryoptions.add_progress(parser)


def run(args: argparse.Namespace) -> int:
    """Build everything asked for; prints name@digest or the id of each image on stdout.

    Returns:
        0, or the exit code of the first image that failed; what could be built is built.
    """
    targets, wanted = _from_files(args) if args.bake else _single(args)
    base = args.bake[0].parent if args.bake and _is_compose(args.bake[0]) else Path()
    git = GitInfo.read(base / (targets[0].context if not args.bake else "."))
    settings = _settings(args, git, base)

    def work(engine: Engine, progress: Progress) -> int:
        for value in _secrets(targets):
            engine.redact.add(value)
        outcomes = ImageBuild(engine, settings, progress).run(targets, wanted)
        if args.results:
            reports.write(args.results / "image.json", reports.image_json(outcomes))
            reports.write(args.results / "image.env", reports.env_file(outcomes))
            reports.write(args.results / "junit.xml", reports.junit(outcomes))
        return _tell(outcomes)

    return registryoptions.with_engine(args, work)


def _tell(outcomes: Sequence[Outcome]) -> int:
    code = 0
    for outcome in outcomes:
        for push in outcome.pushes:
            print(f"{push.image}@{push.digest}")
        if outcome.build and not outcome.pushes:
            print(outcome.build.image_id)
        if outcome.status != "ok":
            print(f"podman-agent: {outcome.target}: {outcome.error}", file=sys.stderr)
            code = code or outcome.exit_code
    return code


def _is_compose(file: Path) -> bool:
    return file.suffix in {".yaml", ".yml"}


def _from_files(args: argparse.Namespace) -> tuple[list[Target], tuple[str, ...]]:
    for name in ("file", "tag", "image", "build_arg", "secret", "target", "platform"):
        if getattr(args, name):
            what = f"--{name.replace('_', '-')} is for one image"
            raise UsageError(what, fix="with --bake use --set TARGET.KEY=VALUE")
    bake = bakefile.load(args.bake, os.environ, args.set)
    return bake.order(args.what), bake.expand(args.what)


def _single(args: argparse.Namespace) -> tuple[list[Target], tuple[str, ...]]:
    if len(args.what) > 1:
        what = f"more than one context: {' '.join(args.what)}"
        raise UsageError(what, fix="several images need --bake FILE")
    if args.image and not args.tag_by:
        what = f"--image {args.image} has no tags"
        raise UsageError(what, fix="add --tag-by, or give full names with --tag")
    stdin = sys.stdin.read() if args.file == "-" else None
    name = (args.tag or [args.image or "image"])[0].rpartition("/")[2].partition(":")[0]
    target = Target(
        name,
        context=(args.what or ["."])[0],
        dockerfile=args.file or "Dockerfile",
        dockerfile_inline=stdin,
        target=args.target,
        args=dict(_argument(a) for a in args.build_arg),
        tags=tuple(args.tag),
        secret=tuple(args.secret),
        platforms=tuple(p for group in args.platform for p in group.split(",")),
        no_cache=args.no_cache,
        pull=args.pull,
    )
    if args.image:
        git = GitInfo.read(Path(target.context))
        names = [f"{args.image}:{t}" for t in _git_tags(args, git)]
        target = Target(**{**vars(target), "tags": (*target.tags, *names)})
    return [target], (name,)


def _argument(text: str) -> tuple[str, str]:
    name, given, value = text.partition("=")
    if not given and name not in os.environ:
        what = f"--build-arg {name} has no value"
        raise UsageError(what, "and there is no such variable")
    return name, value if given else os.environ[name]


def _git_tags(args: argparse.Namespace, git: GitInfo | None) -> list[str]:
    if not args.tag_by:
        return []
    if git is None:
        what = "--tag-by needs a Git work tree"
        raise UsageError(what, "there is none here, or no git")
    return git.image_tags(args.tag_by.split(","))


def _settings(args: argparse.Namespace, git: GitInfo | None, base: Path) -> Settings:
    stamp = None
    if args.reproducible:
        text = os.environ.get("SOURCE_DATE_EPOCH") or (str(git.committed) if git else "")
        if not text.isdecimal():
            what = "--reproducible needs a time"
            raise ConfigError(what, fix="set SOURCE_DATE_EPOCH to seconds since the epoch")
        stamp = int(text)
    created = datetime.fromtimestamp(time.time() if stamp is None else stamp, UTC)
    labels = {"org.opencontainers.image.created": created.strftime("%Y-%m-%dT%H:%M:%SZ")}
    labels.update(git.labels() if git else {})
    for label in args.label:
        key, _, value = label.partition("=")
        labels[key] = value
    return Settings(
        push=args.push,
        cache=args.cache,
        labels=labels,
        tags=() if args.image else _git_tags(args, git),
        timestamp=stamp,
        jobs=args.jobs,
        base=base,
        sbom=args.sbom,
    )


def _secrets(targets: Sequence[Target]) -> list[str]:
    """Give the values of build secrets, so that a step that prints one prints stars."""
    found = []
    for entry in (s for t in targets for s in t.secret):
        fields = dict(f.partition("=")[::2] for f in entry.split(","))
        source = fields.get("src") or fields.get("source") or ""
        if variable := fields.get("env") or (fields.get("id", "") if not source else ""):
            found.append(os.environ.get(variable, ""))
        elif source and (file := Path(source)).is_file() and file.stat().st_size <= _LARGEST_SECRET:
            found.append(file.read_text(encoding="utf-8", errors="replace"))
    return found
