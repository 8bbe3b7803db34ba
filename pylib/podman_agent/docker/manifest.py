"""``docker manifest``: lists made of images that are local or in a registry.

Reference: https://docs.docker.com/reference/cli/docker/manifest/. Docker keeps such a list in files
of its own and replaces it with ``--amend``; podman keeps it among the images.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from podman_agent.docker.call import first_failure
from podman_agent.docker.options import Spec, letters, parse, words

if TYPE_CHECKING:
    from podman_agent.docker.call import Call

_SPEC = Spec(
    words("arch os os-features os-version variant"),
    words("amend insecure purge verbose"),
    letters("a=amend p=purge v=verbose"),
)


def run(call: Call, verb: str, args: list[str]) -> int:
    """Run ``docker manifest create|push|inspect|annotate|rm``."""
    parsed = parse(args, _SPEC)
    insecure = ["--tls-verify=false"] if parsed.has("insecure") else []
    options = [t for o in parsed.without("insecure", "amend", "purge", "verbose") for t in o.tokens()]
    name = parsed.operands[0] if parsed.operands else ""
    match verb:
        case "manifest create":
            return _create(call, name, parsed.operands[1:], insecure, amend=parsed.has("amend"))
        case "manifest push":
            purge = ["--rm"] if parsed.has("purge") else []
            return _push(call, name, [*insecure, *purge])
        case "manifest inspect":
            return _inspect(call, name, insecure)
        case "manifest annotate":
            target = parsed.operands[1]
            call.become("manifest", "annotate", *options, name, _digest(call, target))
        case _:
            call.become(*verb.split(), *args)
    return None


def _digest(call: Call, image: str) -> str:
    """The digest by which podman's list knows a local image; the name itself for a remote one."""
    if "@" in image or not call.succeeds("image", "exists", image):
        return image
    return call.read("image", "inspect", "--format={{.Digest}}", image)[1].strip()


def _create(call: Call, name: str, sources: list[str], insecure: list[str], *, amend: bool) -> int:
    if call.succeeds("manifest", "exists", name):
        if not amend:
            call.succeeds("manifest", "rm", name)
    elif call.succeeds("image", "exists", name):
        call.succeeds("untag", name)  # an image of that name is in the way of the list
    if not call.succeeds("manifest", "exists", name) and (code := call.run("manifest", "create", name, quiet=True)):
        return code
    code = first_failure(_add(call, name, source, insecure) for source in sources)
    if not code:
        print(f"Created manifest list {name}")
    return code


def _add(call: Call, name: str, source: str, insecure: list[str]) -> int:
    """Docker looks in the registry; what was built here and not pushed is taken from the store."""
    local = call.succeeds("image", "exists", source)
    where = f"containers-storage:{source}" if local else f"docker://{source}"
    return call.run("manifest", "add", *insecure, name, where, quiet=True)


def _push(call: Call, name: str, options: list[str]) -> int:
    """Push the list, its images too, and print its digest as docker does."""
    import tempfile  # noqa: PLC0415

    with tempfile.NamedTemporaryFile(prefix="docker-digest-") as digest:
        code = call.run(
            "manifest",
            "push",
            "--all",
            f"--digestfile={digest.name}",
            *options,
            name,
            f"docker://{name}",
            quiet=True,
        )
        if not code:
            print(digest.read().decode("ascii").strip())
        return code


def _inspect(call: Call, name: str, insecure: list[str]) -> int:
    """A local list, else whatever the registry has; an image too, which podman refuses."""
    if call.succeeds("manifest", "exists", name):
        call.become("manifest", "inspect", name)
    from podman_agent.docker.skopeo import skopeo_read  # noqa: PLC0415

    code, raw = skopeo_read(call, "inspect", "--raw", *insecure, f"docker://{name}")
    sys.stdout.write(raw.decode())
    sys.stdout.write("\n" if raw and not raw.endswith(b"\n") else "")
    return code and 1
