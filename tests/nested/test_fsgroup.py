"""What a kubelet's fsGroup does to a PersistentVolumeClaim, and that no image shows it afterwards.

A kubelet cannot be had here: `rewrite` is its algorithm (pkg/volume/volume_linux.go, v1.33.0, `changeFilePermission`).
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import outer

pytestmark = pytest.mark.nested

BUILD = r"""
mkdir /tmp/c; printf x >/tmp/c/a; chmod 600 /tmp/c/a; mkdir -m 700 /tmp/c/d; printf y >/tmp/c/d/b; chmod 640 /tmp/c/d/b
docker pull -q busybox
docker build -q -t modes - <<'EOF'
FROM busybox
RUN mkdir -m 700 /p && echo s >/p/f && chmod 600 /p/f && chown 1000:1000 /p && touch /su && chmod 4755 /su
RUN ln -s /p/f /l && ln /su /hard && mkdir -m 1777 /sticky && chgrp 1000 /su && chmod 4755 /su && rm -r /p && mkdir /p
EOF
docker build -q -t copied -f - /tmp/c <<'EOF'
FROM modes
COPY --chown=5:6 a d /c/
RUN setcap cap_net_raw+ep /su 2>/dev/null || true
EOF
"""
LOOK = "stat -c '%n %a %u %g' / /su /hard /l /p /sticky /c /c/*"


def rewrite(path: Path, group: int) -> None:
    """A kubelet's walk: parents first, names in order."""
    for here, _, names in os.walk(path):
        for one in [here, *(os.path.join(here, name) for name in sorted(names))]:  # noqa: PTH118
            found = os.lstat(one)
            os.chown(one, -1, group, follow_symlinks=False)
            if not stat.S_ISLNK(found.st_mode):
                more = 0o660 | (0o2110 if stat.S_ISDIR(found.st_mode) else 0)
                os.chmod(one, stat.S_IMODE(found.st_mode) | more)  # noqa: PTH101


def modes(volume: Path) -> dict[str, tuple[int, int, int]]:
    """Mode, owner and group of all there is in layers."""
    found = {}
    for diff in volume.rglob("overlay/*/diff"):
        for path in (diff, *diff.rglob("*")):
            status = path.lstat()
            found[str(path.relative_to(volume))] = (status.st_mode, status.st_uid, status.st_gid)
    return found


def test_no_image_has_the_modes_of_fsgroup(pod: Callable[..., outer.Pod], volume: Path) -> None:
    with pod() as agent:
        agent.sh(BUILD, shell="bash -e")
        before_in_image = agent.sh(f'docker run --rm copied sh -c "{LOOK}"').stdout
    before = modes(volume)
    rewrite(volume, 1000)
    assert modes(volume) != before
    with pod() as agent:
        said = " ".join(agent.sh("podman-agent plan").stdout.split())
        assert agent.sh(f'docker run --rm copied sh -c "{LOOK}"').stdout == before_in_image
        assert "put back the modes of" in said
        assert "set fsGroupChangePolicy: OnRootMismatch" in said
        after = modes(volume)
        assert {path: mode for path, mode in after.items() if path in before and mode != before[path]} == {}
        assert set(before) <= set(after), "nothing was dropped"
        assert "damage" not in agent.sh("podman-agent cache verify", merge=True, check=False).stdout
    with pod() as agent:
        assert "put back" not in agent.sh("podman-agent plan").stdout, "once is enough"


def test_an_untouched_volume_is_left_alone(pod: Callable[..., outer.Pod], volume: Path) -> None:
    """With OnRootMismatch the root alone is the group's."""
    os.chown(volume, -1, 1000)
    volume.chmod(0o2775)
    with pod() as agent:
        agent.sh("docker pull -q busybox")
        root = "stat -c '%a %u %g' /"
        assert agent.sh(f"docker run --rm busybox {root}").stdout == "555 0 0\n"
        agent.sh("printf 'FROM busybox\nRUN touch /x\n' | docker build -q -t made -")
        assert agent.sh(f"docker run --rm made {root}").stdout == "555 0 0\n"
    before = modes(volume)
    with pod() as agent:
        assert "put back" not in agent.sh("podman-agent plan").stdout
    assert modes(volume) == before
