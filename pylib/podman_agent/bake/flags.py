"""A target as flags of ``docker build``: the one place that knows which attribute is which flag."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from podman_agent.bake.targets import Target

# bake attribute -> build flag; a mapping becomes key=value
_FLAGS = {
    "args": "build-arg", "labels": "label", "contexts": "build-context", "tags": "tag",
    "annotations": "annotation", "cache_from": "cache-from", "cache_to": "cache-to",
    "output": "output", "secret": "secret", "ssh": "ssh", "attest": "attest",
    "no_cache_filter": "no-cache-filter", "ulimits": "ulimit", "extra_hosts": "add-host",
    "target": "target", "network": "network", "shm_size": "shm-size", "no_cache": "no-cache", "pull": "pull",
}  # fmt: skip


def flags(target: Target, context: Callable[[str], str] = str, only: Collection[str] = _FLAGS) -> Iterator[str]:
    """The flags of a target, but for its context, its Dockerfile and its platforms.

    Args:
        target: The target.
        context: What becomes of a named context's place; `target:NAME` is known only to who builds it.
        only: The attributes asked for.
    """
    for attribute, flag in _FLAGS.items():
        value: Any = getattr(target, attribute) if attribute in only else None
        if value is True:
            yield f"--{flag}"
        elif isinstance(value, str):
            yield f"--{flag}={value}"
        elif hasattr(value, "items"):
            sign = ":" if flag == "add-host" else "="
            yield from (f"--{flag}={k}{sign}{context(v) if attribute == 'contexts' else v}" for k, v in value.items())
        elif value:
            yield from (f"--{flag}={item}" for item in value)
