"""``docker build`` and ``docker buildx build``: what becomes of each flag, as a value.

References: https://docs.docker.com/reference/cli/docker/buildx/build/ and podman-build(1).
The effects are in `podman_agent.docker.building`.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from podman_agent.docker.options import Option, Parsed, Spec, fields, letters, parse, words
from podman_agent.errors import RefusalError
from podman_agent.plan.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Mapping

SPEC = Spec(
    values=words(
        """allow attest builder call metadata-file no-cache-filter policy progress provenance sbom
        file add-host annotation arch authfile build-arg build-arg-file build-context cache-from
        cache-to cache-ttl cap-add cap-drop cert-dir cgroup-parent cgroupns cpp-flag cpu-period
        cpu-quota cpu-shares cpuset-cpus cpuset-mems creds cw decryption-key device dns dns-option
        dns-search env format from group-add hooks-dir ignorefile iidfile ipc isolation jobs label
        layer-label logfile manifest memory memory-swap network os os-feature os-version output
        pid platform retry retry-delay runtime-flag sbom-image-output sbom-image-purl-output
        sbom-merge-strategy sbom-output sbom-purl-output sbom-scanner-command sbom-scanner-image
        secret security-opt shm-size sign-by ssh tag target timestamp ulimit unsetenv unsetlabel
        userns userns-gid-map userns-uid-map uts variant volume"""
    ),
    booleans=words("check load push pull no-cache quiet rm force-rm squash compress debug"),
    short=letters("t=tag f=file o=output q=quiet m=memory c=cpu-shares v=volume D=debug"),
)

# Without meaning for a podman build, and harmless to leave out.
_SILENT = {
    "allow",
    "builder",
    "check",
    "compress",
    "debug",
    "load",
    "policy",
    "progress",
    "push",
    "disable-content-trust",
    "metadata-file",
}
# what makes podman write a tar of the files to its stdout
TAR_TO_STDOUT = ("--output=-", "--output=type=tar,dest=-")
_ATTESTATIONS = {"attest", "provenance", "sbom"}
_CACHE_ELSEWHERE = {
    "gha": "there is no GitHub Actions cache here",
    "local": "podman keeps its cache in its own store",
    "inline": "podman images carry no inline cache",
    "s3": "podman has no S3 cache",
    "azblob": "podman has no Azure cache",
}


@dataclasses.dataclass(frozen=True)
class Archive:
    """An image to be written to a file after the build.

    Attributes:
        form: A format of ``podman save``.
        dest: A path; ``-`` is stdout.
    """

    form: str
    dest: str


@dataclasses.dataclass(frozen=True)
class Export:
    """The files of the image, to be written after the build.

    Attributes:
        kind: ``local``, a directory, or ``tar``.
        dest: A path; ``-`` is stdout.
    """

    kind: str
    dest: str


@dataclasses.dataclass(frozen=True)
class BuildPlan:
    """One docker build, translated.

    Attributes:
        options: Podman's build flags, without tags, iidfile and platform.
        context: The operand; None when there was none.
        tags: Names of the image.
        push: Names to push.
        by_digest: Push under the digest only, no tag.
        archives: Files to write.
        exports: Files of the image to write.
        platforms: More than one makes a manifest list.
        iidfile: Where to write the image id.
        metadata_file: Where to write buildx's metadata.
        quiet: Print the id only.
        notes: What the user should know.
        directories: Made before the build: a local cache directory that later steps expect.
    """

    options: list[str]
    context: str | None
    tags: list[str]
    push: list[str]
    by_digest: bool = False
    archives: list[Archive] = dataclasses.field(default_factory=list)
    exports: list[Export] = dataclasses.field(default_factory=list)
    platforms: list[str] = dataclasses.field(default_factory=list)
    iidfile: str | None = None
    metadata_file: str | None = None
    quiet: bool = False
    notes: list[str] = dataclasses.field(default_factory=list)
    directories: list[str] = dataclasses.field(default_factory=list)

    @property
    def steps_after(self) -> bool:
        """Whether something is to be done once podman has built."""
        return bool(self.push or self.archives or self.exports or self.metadata_file or len(self.platforms) > 1)

    @property
    def to_stdout(self) -> bool:
        """Whether an archive goes to stdout, where then nothing else may be."""
        written = [archive.dest for archive in self.archives] + [export.dest for export in self.exports]
        return "-" in written or any(option in TAR_TO_STDOUT for option in self.options)


def translate(args: list[str], env: Mapping[str, str]) -> BuildPlan:
    """Decide what becomes of a docker build.

    Args:
        args: What follows ``build``.
        env: For ``DOCKER_DEFAULT_PLATFORM`` and secrets named by a variable.

    Returns:
        The plan.

    Raises:
        RefusalError: Something podman cannot do and that must not be dropped in silence.
    """
    parsed = parse(args, SPEC)
    plan = BuildPlan(
        options=[],
        context=parsed.operands[-1] if parsed.operands else None,
        tags=parsed.all("tag"),
        push=[],
        platforms=_platforms(parsed, env),
        iidfile=parsed.get("iidfile"),
        metadata_file=parsed.get("metadata-file"),
        quiet=parsed.has("quiet"),
    )
    if (call := parsed.get("call")) not in {None, "build"} or parsed.has("check"):
        msg = f"build --{'check' if parsed.has('check') else f'call={call}'}"
        raise RefusalError(
            msg,
            "podman has no build checks",
            "run hadolint on the Containerfile",
        )
    if parsed.has("push"):
        plan.push.extend(plan.tags)
    for option in parsed.options:
        plan.options.extend(_option(option, plan, env))
    plan = _outputs(parsed, plan)
    if (parsed.has("push") or plan.push) and not plan.push:
        msg = "build --push"
        raise RefusalError(msg, "tag is needed when pushing to registry", "add -t NAME")
    return plan


def _platforms(parsed: Parsed, env: Mapping[str, str]) -> list[str]:
    given = parsed.all("platform") or [env.get("DOCKER_DEFAULT_PLATFORM", "")]
    return [name.strip() for value in given for name in value.split(",") if name.strip()]


def _option(option: Option, plan: BuildPlan, env: Mapping[str, str]) -> list[str]:
    name, value = option.name, option.value or ""
    if name in _SILENT or name in {"tag", "platform", "iidfile", "output", "call"}:
        return []
    if name in _ATTESTATIONS:
        if name == "sbom" and value in {"syft", "trivy", "syft-cyclonedx", "trivy-spdx"}:
            return option.tokens()  # podman's own presets
        if value.lower() not in {"", "0", "false"} and "disabled=true" not in value:
            plan.notes.append(f"--{name}={value} is ignored: podman makes no attestations")
        return []
    if name == "no-cache-filter":
        plan.notes.append("--no-cache-filter: podman cannot skip the cache by stage, using --no-cache")
        return ["--no-cache"]
    if name == "isolation" and value in {"default", ""}:
        return []
    if name == "build-arg" and value.startswith("BUILDKIT_"):
        return []
    if name == "annotation":
        return [f"--annotation={value.removeprefix('manifest:').removeprefix('index:')}"]
    if name == "pull":
        return ["--pull=always"] if option.on else []
    if name == "secret":
        return [f"--secret={_secret(value, env)}"]
    if name in {"cache-from", "cache-to"}:
        return _cache(name, value, plan)
    return option.tokens()


def _secret(value: str, env: Mapping[str, str]) -> str:
    """``id=TOKEN`` alone is the variable TOKEN when there is one, else the file TOKEN.

    Source: https://docs.docker.com/reference/cli/docker/buildx/build/#secret
    """
    parts = fields(value)
    name = parts.get("id", "")
    if not {"src", "source", "env"} & parts.keys() and (parts.get("type") == "env" or name in env):
        return f"id={name},type=env,env={name}"
    if parts.get("type") == "env" and "src" in parts:
        return f"id={name},type=env,env={parts['src']}"
    return value


def _cache(flag: str, value: str, plan: BuildPlan) -> list[str]:
    """A BuildKit cache reference becomes podman's plain repository.

    BuildKit keeps a whole cache under one tag, podman one image a step under tags that are the
    steps' hashes, so the tag of `ref` is dropped.
    """
    parts = fields(value) if "=" in value else {"type": "registry", "ref": value}
    kind = parts.get("type", "registry")
    if kind in _CACHE_ELSEWHERE:
        plan.notes.append(f"--{flag} type={kind} is ignored: {_CACHE_ELSEWHERE[kind]}")
        if kind == "local" and flag == "cache-to" and parts.get("dest"):
            plan.directories.append(parts["dest"])
        return []
    if kind != "registry" or not parts.get("ref"):
        msg = f"build --{flag}={value}"
        raise RefusalError(msg, "no such cache", "use type=registry,ref=NAME")
    repository = Reference.bare(parts["ref"])
    if "/" not in repository:
        plan.notes.append(
            f"--{flag} {value} is ignored: podman reuses the layers it has, and takes others only from a registry"
        )
        return []
    return [f"--{flag}={repository}"]


def _outputs(parsed: Parsed, plan: BuildPlan) -> BuildPlan:
    """What ``--output`` asks for (https://docs.docker.com/build/exporters/)."""
    for value in parsed.all("output"):
        parts = fields(value) if "=" in value else {"type": "local" if value != "-" else "tar", "dest": value}
        kind, dest = parts.get("type", "local"), parts.get("dest", "")
        if kind in {"local", "tar"}:
            dest = dest or ("-" if kind == "tar" else dest)
            if len(plan.platforms) > 1:
                plan.options.append(f"--output={value if value == '-' else f'type={kind},dest={dest}'}")
            else:
                plan.exports.append(Export(kind, dest))
        elif kind in {"image", "registry"}:
            names = [name for name in parts.get("name", "").split(",") if name]
            plan.tags.extend(name for name in names if name not in plan.tags)
            pushed = kind == "registry" or ("push" in parts and parts["push"] in {"", "true", "1"})
            if "push-by-digest" in parts and parts["push-by-digest"] in {"", "true", "1"}:
                plan = dataclasses.replace(plan, by_digest=True)
            if pushed:
                plan.push.extend(name for name in (names or plan.tags) if name not in plan.push)
                if not plan.push:
                    msg = "build --output"
                    raise RefusalError(msg, "tag is needed when pushing to registry", "add -t NAME")
        elif kind in {"docker", "oci"}:
            directory = parts.get("tar") in {"false", "0"}
            if dest or kind == "oci":
                plan.archives.append(Archive(f"{kind}-{'dir' if directory else 'archive'}", dest or "-"))
        elif kind != "cacheonly":
            msg = f"build --output={value}"
            raise RefusalError(msg, f"there is no exporter {kind!r}")
    return plan
