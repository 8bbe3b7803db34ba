"""The gzip level of pushed layers, as a registry sees it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    import outer

pytestmark = pytest.mark.nested


def test_a_level_for_all_pushes_and_one_for_a_single_push(
    pod: Callable[..., outer.Pod], mirror: outer.Registry
) -> None:
    """Docker's own manifest and gzip at each."""
    sizes = []
    with pod() as agent:
        agent.sh("printf 'FROM scratch\\nCOPY words /\\n' >/tmp/Dockerfile; mkdir /tmp/c; seq 300000 >/tmp/c/words")
        agent.sh("docker build -q -t words -f /tmp/Dockerfile /tmp/c")
        level = "export PODMAN_AGENT_COMPRESSION_LEVEL=1; "
        for name, before, options in (("usual", "", ""), ("one", level, ""), ("nine", level, "--compression-level 9")):
            # podman remembers what it has pushed where, at which level
            agent.sh("rm -f /var/lib/containers/cache/blob-info-cache-v1*")
            image = f"{mirror.address}/{name}"
            agent.sh(f"{before}docker tag words {image}; docker push {options} {image}")
            [layer] = json.loads(mirror.request("GET", f"/v2/{name}/manifests/latest")[2])["layers"]
            assert layer["mediaType"] == "application/vnd.docker.image.rootfs.diff.tar.gzip"
            sizes.append(layer["size"])
    usual, one, nine = sizes
    assert one > usual > nine
