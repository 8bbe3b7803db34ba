"""``docker push``, ``pull`` and ``tag``: what means something else to podman, and what it does not say.

Words: https://github.com/docker/cli/blob/v28.5.2/cli/command/image/push.go and `pull.go` beside it;
distribution/push.go, push_v2.go and pull.go of https://github.com/moby/moby at the same tag.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from podman_agent.docker import digests, flags
from podman_agent.docker.call import first_failure
from podman_agent.docker.inspect import familiar
from podman_agent.docker.options import Parsed, Spec, letters, parse, words
from podman_agent.errors import PodmanAgentError
from podman_agent.plan.reference import Reference

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


def push(call: Call, _verb: str, args: list[str]) -> int:
    """``docker push``, also with ``--all-tags`` and ``--platform``."""
    parsed = parse(args, _PUSH)
    dropped = ("platform", "disable-content-trust", "all-tags")
    rest = [t for option in parsed.without(*dropped) for t in option.tokens()]
    if len(parsed.operands) != 1:
        call.become("push", *rest, *parsed.operands)  # podman's own form, or an error for it to name
    name = parsed.operands[0]
    try:
        reference = Reference.parse(name)
    except PodmanAgentError:
        call.become("push", *rest, name)
    if not parsed.has("all-tags"):
        if not reference.tag and not parsed.has("quiet"):
            _say_first(call, "Using default tag: latest")
        return _push(call, parsed, rest, name)
    code, text = call.read("images", "--format={{.Repository}}:{{.Tag}}", f"--filter=reference={name}")
    # podman lists every name of an image that has one such name
    tags = [tag for tag in text.split() if familiar(tag).rpartition(":")[0] == familiar(name)]
    if code or not tags:
        print(f"An image does not exist locally with the tag: {name}")
        return 1
    return first_failure(_push(call, parsed, rest, tag) for tag in tags)


def _push(call: Call, parsed: Parsed, rest: list[str], name: str) -> int:
    """Push one name, say under which digest, and keep that."""
    reference, quiet = Reference.parse(name), parsed.has("quiet")
    if not quiet:
        _say_first(call, f"The push refers to repository [{reference.name}]")
    with tempfile.TemporaryDirectory(prefix="docker-push-") as scratch:
        file = parsed.get("digestfile") or str(Path(scratch) / "digest")
        own = [] if parsed.get("digestfile") else [f"--digestfile={file}"]
        image, local = digests.named(call, reference), ""
        if not image and (image := digests.built_here(call, reference)):
            # a name without a registry is docker.io's; podman would push it to a registry called `localhost`
            local = f"docker://{reference}"
        code = call.run("push", *own, *rest, name, *([local] if local else []))
        if code:
            return code
        digest = digests.pushed(call, image, name, file)
    if quiet:
        _say(str(reference))
    elif digest:
        _say(f"{reference.version}: digest: {digest}{_size(call, reference, digest)}")
    return 0


def _size(call: Call, reference: Reference, digest: str) -> str:
    """`` size: N``, the bytes of the manifest; nothing where the registry lets push and not pull."""
    from podman_agent.docker.skopeo import skopeo_read  # noqa: PLC0415

    code, manifest = skopeo_read(call, "inspect", "--raw", f"docker://{reference.name}@{digest}")
    return "" if code else f" size: {len(manifest)}"


def _say_first(call: Call, text: str) -> None:
    """What docker says once, however often it then tries; `podman_agent.hot.watch` starts this anew each time."""
    if "_PODMAN_AGENT_AGAIN" not in call.env:
        _say(text)


def _say(text: str) -> None:
    print(text)
    sys.stdout.flush()


def pull(call: Call, _verb: str, args: list[str]) -> int:
    """``docker pull``: docker's last words, and the digest kept for this repository."""
    argv = flags.translate("pull", args)
    parsed = parse(args, flags.RULES["pull"].spec)
    platform = call.env.get("DOCKER_DEFAULT_PLATFORM")
    if platform and parsed.get("platform") is None:
        argv.insert(1, f"--platform={platform}")
    try:
        reference = Reference.parse(parsed.operands[0] if len(parsed.operands) == 1 else "")
    except PodmanAgentError:
        call.become(*argv)
    if parsed.has("all-tags"):
        call.become(*argv)
    quiet, before = parsed.has("quiet"), digests.named(call, reference)
    if not quiet:
        if reference.version == "latest" and not reference.tag:
            _say_first(call, "Using default tag: latest")
        _say_first(call, f"{reference.version}: Pulling from {reference.repository}")
    code, text = call.read(*argv)
    if code:
        return code
    now = digests.pulled(call, text.strip().rpartition("\n")[2], reference)
    if not quiet:
        if now:
            _say(f"Digest: {now}")
        same = before and before == digests.named(call, reference)
        _say(f"Status: {'Image is up to date' if same else 'Downloaded newer image'} for {familiar(str(reference))}")
    _say(str(reference))
    return 0


def tag(call: Call, _verb: str, args: list[str]) -> int:
    """``docker tag``; the new name is written down as one that no registry is known to have."""
    code = call.run("tag", *args)
    if code == 0 and len(args) > 1:
        digests.tagged(call, args[-1])
    return code
