"""``docker buildx imagetools``: manifests in a registry, over skopeo and podman manifest.

Reference: https://docs.docker.com/reference/cli/docker/buildx/imagetools/
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podman_agent.docker.call import first_failure
from podman_agent.docker.options import Parsed, Spec, letters, parse, words
from podman_agent.docker.skopeo import skopeo, skopeo_read
from podman_agent.errors import RefusalError
from podman_agent.plan.reference import Reference

if TYPE_CHECKING:
    from podman_agent.docker.call import Call

_SPEC = Spec(
    words("annotation builder file format metadata-file platform prefer-index progress tag"),
    words("append dry-run raw debug"),
    letters("f=file t=tag D=debug"),
)


def run(call: Call, _verb: str, args: list[str]) -> int:
    """Run ``imagetools inspect`` or ``imagetools create``."""
    name, *rest = args or [""]
    parsed = parse(rest, _SPEC)
    if name == "inspect" and len(parsed.operands) == 1:
        return _inspect(call, parsed)
    if name == "create":
        return _create(call, parsed)
    msg = f"buildx imagetools {name}"
    raise RefusalError(msg, "unknown", "known: inspect NAME, create -t NAME SOURCE...")


def _reference(name: str) -> str:
    """A docker reference as skopeo takes it; of ``name:tag@digest`` the tag goes."""
    head, at, digest = name.partition("@")
    return f"docker://{Reference.bare(head)}@{digest}" if at else f"docker://{name}"


def _raw(call: Call, name: str) -> bytes:
    code, text = skopeo_read(call, "inspect", "--raw", _reference(name))
    if code:
        raise SystemExit(1)
    return text


def _manifest(raw: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(raw)
    return {
        "schemaVersion": found["schemaVersion"],
        "mediaType": found.get("mediaType", "application/vnd.oci.image.manifest.v1+json"),
        "digest": "sha256:" + hashlib.sha256(raw).hexdigest(),
        "size": len(raw),
        **({"manifests": found["manifests"]} if "manifests" in found else {}),
    }


def _inspect(call: Call, parsed: Parsed) -> int:
    name = parsed.operands[0]
    raw = _raw(call, name)
    if parsed.has("raw"):
        sys.stdout.buffer.write(raw)
        return 0
    manifest = _manifest(raw)
    template = parsed.get("format")
    if template is not None:
        from podman_agent.docker.gotemplate import render  # noqa: PLC0415

        data: dict[str, Any] = {"Name": name, "Manifest": _dotted(manifest)}
        if ".Image" in template and "manifests" not in manifest:
            code, config = skopeo_read(call, "inspect", "--config", _reference(name))
            data["Image"] = json.loads(config) if not code else {}
        print(render(template, data))
        return 0
    print(f"Name:      {name}\nMediaType: {manifest['mediaType']}\nDigest:    {manifest['digest']}")
    for entry in manifest.get("manifests", []):
        where = entry.get("platform", {})
        variant = f"/{where['variant']}" if where.get("variant") else ""
        print(f"\n  Name:      {name}@{entry['digest']}\n  MediaType: {entry['mediaType']}")
        print(f"  Platform:  {where.get('os', '?')}/{where.get('architecture', '?')}{variant}")
    return 0


def _dotted(manifest: dict[str, Any]) -> dict[str, Any]:
    """Both spellings of the keys: templates say ``.Manifest.Digest``, JSON says ``digest``."""

    class Both(dict[str, Any]):
        def __contains__(self, key: object) -> bool:
            return super().__contains__(key) or super().__contains__(_low(key))

        def __getitem__(self, key: str) -> Any:
            return super().__getitem__(key if super().__contains__(key) else _low(key))

    def _low(key: object) -> str:
        return str(key)[:1].lower() + str(key)[1:]

    entries = [Both(e | {"platform": Both(e.get("platform", {}))}) for e in manifest.get("manifests", [])]
    return Both(manifest | ({"manifests": entries} if entries else {}))


def _create(call: Call, parsed: Parsed) -> int:
    tags = parsed.all("tag")
    sources = [*parsed.operands, *(_from_file(path, tags) for path in parsed.all("file"))]
    if parsed.has("append") and tags:
        sources = [tags[0], *sources]
    if not tags or not sources:
        msg = "buildx imagetools create"
        raise RefusalError(msg, "nothing to do", "give -t NAME and a SOURCE")
    sources = [f"{Reference.bare(tags[0])}@{s}" if s.startswith("sha256:") else s for s in sources]
    if parsed.has("dry-run"):
        print(json.dumps({"sources": sources, "tags": tags}, indent=2))
        return 0
    if len(sources) == 1 and not parsed.has("annotation"):
        return first_failure(
            skopeo(call, "copy", "--quiet", "--all", _reference(sources[0]), f"docker://{tag}") and 1 for tag in tags
        )
    return _combine(call, sources, tags, parsed.all("annotation"))


def _from_file(path: str, tags: list[str]) -> str:
    """A source descriptor: ``{"digest": "sha256:…"}`` of the first tag's repository."""
    text = Path(path).read_text(encoding="utf-8").strip()
    digest = json.loads(text)["digest"] if text.startswith("{") else text
    return f"{Reference.bare((tags or [''])[0])}@{digest}"


def _combine(call: Call, sources: list[str], tags: list[str], annotations: list[str]) -> int:
    fresh = f"localhost/docker-imagetools-{os.getpid()}:latest"
    texts = [text.removeprefix("index:").removeprefix("manifest-descriptor:") for text in annotations]
    if code := call.run("manifest", "create", fresh, quiet=True):
        return code
    try:
        return (
            first_failure(
                call.run("manifest", "add", "--all", fresh, _reference(source), quiet=True) for source in sources
            )
            or first_failure(
                call.run("manifest", "annotate", "--index", f"--annotation={text}", fresh, quiet=True) for text in texts
            )
            or first_failure(
                call.run("manifest", "push", "--all", "--quiet", fresh, f"docker://{tag}", quiet=True) for tag in tags
            )
        )
    finally:
        call.succeeds("manifest", "rm", fresh)
