"""Which Dockerfile and which ignore file a docker build reads.

Source: BuildKit's ``frontend/dockerui/config.go`` (ReadEntrypoint, DockerIgnoreMatcher) and buildx ``build/opt.go``.
"""

from __future__ import annotations

from pathlib import Path

_DEFAULT = "Dockerfile"


def directory(context: str | None) -> Path | None:
    """The context as a directory on this disk; None when it is a URL, an archive or stdin."""
    if not context or context == "-" or "://" in context or not Path(context).is_dir():
        return None
    return Path(context)


def dockerfile(context: Path, named: str | None) -> Path | None:
    """The file that docker reads: ``Dockerfile``, else ``dockerfile``; only then podman's ``Containerfile``.

    Args:
        context: The directory of the context.
        named: ``--file``; None without.

    Returns:
        None when there is none.
    """
    if named is None:
        choices = [context / _DEFAULT, context / _DEFAULT.lower(), context / "Containerfile"]
    else:
        # docker looks from where it stands, podman in the context as well
        choices = [Path(named), context / named]
        if Path(named).name == _DEFAULT:
            choices += [path.with_name(_DEFAULT.lower()) for path in choices]
    return next((path for path in choices if path.is_file()), None)


def ignore_file(context: Path, file: Path | None) -> Path | None:
    """The ignore file that docker reads; None when there is none of docker's."""
    own = [file.with_name(f"{file.name}.dockerignore")] if file else []
    return next((path for path in [*own, context / ".dockerignore"] if path.is_file()), None)


def ignore_file_of_podman(context: Path, file: Path | None) -> Path | None:
    """The ignore file that podman reads when it is given `file` by name (buildah ``parse.ContainerIgnoreFile``)."""
    own = [file.with_name(f"{file.name}{suffix}") for suffix in (".dockerignore", ".containerignore")] if file else []
    return next(
        (path for path in [*own, context / ".containerignore", context / ".dockerignore"] if path.is_file()), None
    )
