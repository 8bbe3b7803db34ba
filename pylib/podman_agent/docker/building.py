"""Runs a `BuildPlan`: podman build, then pushes, archives and metadata."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from podman_agent.docker.build import translate
from podman_agent.docker.call import first_failure, note
from podman_agent.docker.dockerfile import hand_over
from podman_agent.docker.inspect import sha256
from podman_agent.files import replace
from podman_agent.plan.reference import Reference

if TYPE_CHECKING:
    from podman_agent.docker.build import Archive, BuildPlan, Export
    from podman_agent.docker.call import Call


def run(call: Call, _verb: str, args: list[str]) -> int:
    """Build as ``docker build`` would.

    Args:
        call: The docker call.
        args: What follows ``build``.

    Returns:
        The exit code of the first podman that failed, or 0.
    """
    return execute(call, translate(args, call.env))


def execute(call: Call, plan: BuildPlan) -> int:
    """Carry a plan out; a plan without later steps becomes podman itself."""
    for text in plan.notes:
        note(text)
    for directory in plan.directories:
        Path(directory).mkdir(parents=True, exist_ok=True)
    plan = hand_over(call, plan)
    if not plan.steps_after and not plan.quiet and not plan.to_stdout:
        call.become(*_argv(plan, plan.iidfile, None))
    import tempfile  # noqa: PLC0415 - 10 ms that a build which becomes podman need not pay

    with tempfile.TemporaryDirectory(prefix="docker-build-") as scratch:
        iidfile = plan.iidfile or str(Path(scratch) / "iid")
        if len(plan.platforms) > 1:
            return _several_platforms(call, plan, scratch)
        code = call.run(*_argv(plan, iidfile, None), quiet=plan.quiet, out=_log(plan))
        if code:
            return code
        image = Path(iidfile).read_text(encoding="ascii").strip() if Path(iidfile).exists() else ""
        return _after(call, plan, image, scratch)


def _argv(plan: BuildPlan, iidfile: str | None, manifest: str | None) -> list[str]:
    argv = ["build", *plan.options]
    if plan.quiet:
        argv.append("--quiet")
    if manifest:
        argv.append(f"--manifest={manifest}")
    else:
        argv += [f"--tag={tag}" for tag in plan.tags]
    if iidfile:
        argv.append(f"--iidfile={iidfile}")
    if plan.platforms:
        argv.append("--platform=" + ",".join(plan.platforms))
    return argv if plan.context is None else [*argv, "--", plan.context]


def _log(plan: BuildPlan) -> int | None:
    """Where podman's log goes: stdout belongs to the tar when one is asked for."""
    return sys.stderr.fileno() if plan.to_stdout else None


def _after(call: Call, plan: BuildPlan, image: str, scratch: str) -> int:
    """What follows a build for one platform."""
    digest_file = str(Path(scratch) / "digest")

    def push(name: str) -> int:
        if plan.by_digest:
            return _push_by_digest(call, image, name, digest_file)
        return call.run("push", f"--digestfile={digest_file}", name, quiet=True) or kept(name)

    def kept(name: str) -> int:
        from podman_agent.docker import digests  # noqa: PLC0415

        digests.pushed(call, image, name, digest_file)
        return 0

    code = first_failure(push(name) for name in plan.push) or first_failure(
        _save(call, archive, plan.tags or [image]) for archive in plan.archives
    )
    code = code or first_failure(_export(call, plan, export, image, scratch) for export in plan.exports)
    if code:
        return code
    if plan.metadata_file:
        _write_metadata(call, plan, image, digest_file)
    if plan.quiet:
        print(image)
    return 0


def _export(call: Call, plan: BuildPlan, export: Export, image: str, scratch: str) -> int:
    """Write an image's files as ``--output`` asks, out of the image.

    Podman's own ``build --output`` writes the container of the last step, and where that step came from the cache it
    has not been done there: its files are missing, and the exit code is 0.
    """
    if "ONBUILD" in call.read("image", "inspect", "--format={{json .History}}", image)[1]:
        # a build on that image would do what it has for its children
        argv = _argv(plan, None, None)
        return call.run(argv[0], "--no-cache", f"--output=type={export.kind},dest={export.dest}", *argv[1:])
    empty = Path(scratch) / "context"
    empty.mkdir(exist_ok=True)
    (empty / "Containerfile").write_text(f"FROM {image.removeprefix('sha256:')}\n", encoding="ascii")
    dest = str(Path(scratch) / "export.tar") if export.dest == "-" else export.dest
    platform = [f"--platform={plan.platforms[0]}"] if plan.platforms else []
    output = f"--output=type={export.kind},dest={dest}"
    code = call.run("build", "--quiet", "--pull=never", *platform, output, str(empty), quiet=True)
    if code == 0 and export.dest == "-":
        import shutil  # noqa: PLC0415

        sys.stdout.flush()
        with Path(dest).open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer, 1 << 20)
        sys.stdout.buffer.flush()
    return code


def _push_by_digest(call: Call, image: str, name: str, digest_file: str) -> int:
    """Push without leaving a tag, as ``push-by-digest=true`` asks.

    The digest is known only once the layers are compressed, so a local copy is made first.
    """
    import tempfile  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="docker-push-") as layout:
        code = call.run("push", f"--digestfile={digest_file}", image, f"dir:{layout}", quiet=True)
        if code:
            return code
        digest = Path(digest_file).read_text(encoding="ascii").strip()
        from podman_agent.docker.skopeo import skopeo  # noqa: PLC0415

        return skopeo(call, "copy", "--quiet", f"dir:{layout}", f"docker://{Reference.bare(name)}@{digest}")


def _save(call: Call, archive: Archive, names: list[str]) -> int:
    if archive.form == "docker-archive":
        from podman_agent.docker.archive import write  # noqa: PLC0415

        several = ["--multi-image-archive"] if len(names) > 1 else []
        argv = ["save", "--quiet", f"--format={archive.form}", *several, *names]
        return write(call, argv, None if archive.dest == "-" else archive.dest)
    if archive.dest == "-":
        return call.run("save", f"--format={archive.form}", *names)
    dest = Path(archive.dest)
    if dest.is_file():  # docker overwrites, podman refuses to
        dest.unlink()
    return call.run("save", "--quiet", f"--format={archive.form}", f"--output={dest}", *names, quiet=True)


def _write_metadata(call: Call, plan: BuildPlan, image: str, digest_file: str) -> None:
    """Buildx's metadata (https://docs.docker.com/reference/cli/docker/buildx/build/#metadata-file)."""
    if Path(digest_file).exists():
        digest = Path(digest_file).read_text(encoding="ascii").strip()
    else:
        digest = call.read("image", "inspect", "--format={{.Digest}}", image)[1].strip()
    found = {"containerimage.config.digest": image, "containerimage.digest": digest}
    if plan.tags:
        found["image.name"] = ",".join(plan.tags)
    replace(str(plan.metadata_file), json.dumps(found, indent=2))


def _several_platforms(call: Call, plan: BuildPlan, scratch: str) -> int:
    """Build a manifest list, then give it the names and push it whole.

    A fresh list, because ``podman build --manifest`` appends to one that exists.
    """
    fresh = f"localhost/docker-build-{os.getpid()}:latest"
    digest_file = Path(scratch) / "digest"
    try:
        code = call.run(*_argv(plan, None, fresh), quiet=plan.quiet, out=_log(plan))
        if code:
            return code
        code = first_failure(
            call.run(
                "manifest",
                "push",
                "--all",
                f"--digestfile={digest_file}",
                fresh,
                f"docker://{name}",
                quiet=True,
            )
            for name in plan.push
        ) or first_failure(_save_list(call, archive, fresh) for archive in plan.archives)
        if code:
            return code
        listed = sha256(call.read("image", "inspect", "--format={{.Id}}", fresh)[1].strip())
        for tag in plan.tags:
            call.succeeds("untag", tag)
            call.succeeds("tag", fresh, tag)
        if plan.iidfile:
            Path(plan.iidfile).write_text(listed, encoding="ascii")
        if plan.metadata_file:
            found = {"image.name": ",".join(plan.tags)}
            if digest_file.exists():
                found["containerimage.digest"] = digest_file.read_text(encoding="ascii").strip()
            replace(plan.metadata_file, json.dumps(found, indent=2))
        if plan.quiet:
            sys.stdout.write(listed + "\n")
        return 0
    finally:
        call.succeeds("untag", fresh) if plan.tags else call.succeeds("manifest", "rm", fresh)


def _save_list(call: Call, archive: Archive, name: str) -> int:
    if archive.form != "oci-archive":
        note("only --output type=oci holds several platforms")
        return 1
    return call.run("manifest", "push", "--all", name, f"oci-archive:{archive.dest}", quiet=True)
