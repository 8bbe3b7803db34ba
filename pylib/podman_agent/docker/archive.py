"""``docker save`` and ``docker load``: archives with the names that docker writes.

Podman writes ``localhost/app:1`` where docker writes ``app:1``, and a docker that loads it has an image of the former
name. Format: https://github.com/moby/docker-image-spec/blob/v1.3.1/spec.md#combined-image-json--filesystem-changeset-format
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from podman_agent.docker import flags
from podman_agent.docker.inspect import familiar, sha256
from podman_agent.docker.options import Spec, letters, parse, words

if TYPE_CHECKING:
    from podman_agent.docker.call import Call

_SAVE = Spec(words("output platform format"), words(""), letters("o=output q=quiet"))
_NAMING = ("manifest.json", "repositories")


def save(call: Call, _verb: str, args: list[str]) -> int:
    """``docker save``: several images are several images, and an old archive is replaced.

    ``podman save A B`` would store A under both names.
    """
    parsed = parse(args, _SAVE)
    options = [t for option in parsed.without("platform", "output") for t in option.tokens()]
    several = ["--multi-image-archive"] if len(parsed.operands) > 1 else []
    argv = ["save", *several, *options, *parsed.operands]
    output = parsed.get("output")
    if parsed.get("format") not in {None, "docker-archive"} or (output is None and os.isatty(1)):
        call.become(*argv, *([] if output is None else [f"--output={output}"]))
    return write(call, argv, output)


def write(call: Call, argv: list[str], output: str | None) -> int:
    """Have podman save in docker's format, and name the images as docker does.

    Args:
        call: The docker call.
        argv: ``save`` and its arguments, without an output.
        output: A file, made anew; None for stdout.

    Returns:
        Podman's exit code.
    """
    if output is None:
        return _stream(call, argv)
    if (path := Path(output)).is_file():
        path.unlink()  # podman refuses to write over it
    code = call.run(argv[0], f"--output={output}", *argv[1:])
    if code == 0 and path.is_file():
        rename(path)
    return code


def _stream(call: Call, argv: list[str]) -> int:
    sys.stdout.flush()
    child = subprocess.Popen(call.argv(*argv), env=call.env, stdout=subprocess.PIPE)
    try:
        copy(child.stdout, sys.stdout.buffer)
    except tarfile.ReadError:
        if not child.wait():
            raise
    return child.wait()


def names(name: str, data: bytes) -> bytes:
    """The file `name` of an archive, with docker's names in it and of the same length: JSON may end in blanks."""
    found: Any = json.loads(data)
    if name == "manifest.json":
        for image in found:
            image["RepoTags"] = [familiar(tag) for tag in image.get("RepoTags") or []] or None
    else:
        found = {familiar(repository): tags for repository, tags in found.items()}
    return json.dumps(found, separators=(",", ":")).encode().ljust(len(data))


def rename(path: Path) -> None:
    """Put docker's names into an archive, where they stand."""
    with path.open("r+b") as file, tarfile.open(fileobj=file, mode="r:") as archive:
        for member in archive:
            if member.name in _NAMING and member.isreg():
                file.seek(member.offset_data)
                data = names(member.name, file.read(member.size))
                if len(data) == member.size:
                    file.seek(member.offset_data)
                    file.write(data)


def copy(source: BinaryIO | Any, target: BinaryIO) -> None:
    """Copy an archive, with docker's names in it.

    Raises:
        tarfile.ReadError: It is none.
    """
    with (
        tarfile.open(fileobj=source, mode="r|", bufsize=1 << 20) as old,
        tarfile.open(fileobj=target, mode="w|", bufsize=1 << 20, format=tarfile.GNU_FORMAT) as new,
    ):
        for member in old:
            content = old.extractfile(member) if member.isreg() else None
            if content is not None and member.name in _NAMING:
                data = names(member.name, content.read())
                member.size, content = len(data), io.BytesIO(data)
            new.addfile(member, content)
    target.flush()


def load(call: Call, _verb: str, args: list[str]) -> int:
    """``docker load``, which names what it loaded as docker does."""
    code, text = call.read(*flags.translate("load", args))
    for line in text.splitlines():
        head, colon, name = line.partition(": ")
        if colon and head.startswith("Loaded image"):
            plain = sha256(name.removeprefix("sha256:"))
            print(f"Loaded image ID: {plain}" if plain.startswith("sha256:") else f"Loaded image: {familiar(name)}")
        else:
            print(line)
    return code
