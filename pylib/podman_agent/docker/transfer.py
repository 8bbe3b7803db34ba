"""``docker push`` and ``docker save``: the forms that mean something else to podman."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from podman_agent.docker.call import first_failure
from podman_agent.docker.inspect import familiar
from podman_agent.docker.options import Spec, letters, parse, words

if TYPE_CHECKING:
    from podman_agent.docker.call import Call

_PUSH = Spec(
    words(
        "platform authfile cert-dir compression-format compression-level creds digestfile format "
        "retry retry-delay sign-by"
    ),
    words(""),
    letters("a=all-tags q=quiet f=format"),
)
_SAVE = Spec(words("output platform format"), words(""), letters("o=output q=quiet"))


def push(call: Call, _verb: str, args: list[str]) -> int:
    """``docker push``, also with ``--all-tags`` and ``--platform``."""
    parsed = parse(args, _PUSH)
    dropped = ("platform", "disable-content-trust", "all-tags")
    rest = [t for option in parsed.without(*dropped) for t in option.tokens()]
    if not parsed.has("all-tags"):
        call.become("push", *rest, *parsed.operands)
    repository = parsed.operands[0]
    code, text = call.read("images", "--format={{.Repository}}:{{.Tag}}", f"--filter=reference={repository}")
    # podman lists every name of an image that has one such name
    tags = [name for name in text.split() if familiar(name).rpartition(":")[0] == familiar(repository)]
    if code or not tags:
        print(f"An image does not exist locally with the tag: {parsed.operands[0]}")
        return 1
    return first_failure(call.run("push", *rest, tag) for tag in tags)


def save(call: Call, _verb: str, args: list[str]) -> int:
    """``docker save``: several images are several images, and an old archive is replaced.

    ``podman save A B`` would store A under both names.
    """
    parsed = parse(args, _SAVE)
    options = [t for option in parsed.without("platform") for t in option.tokens()]
    output = Path(parsed.get("output") or "/dev/stdout")
    if output.is_file():
        output.unlink()
    several = ["--multi-image-archive"] if len(parsed.operands) > 1 else []
    call.become("save", *several, *options, *parsed.operands)
