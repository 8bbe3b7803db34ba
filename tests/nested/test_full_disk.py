"""A volume that is full in mid-build or mid-pull: one line with sizes, and a store that works when there is room."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING

import outer
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.nested

FULL = re.compile(
    r"podman-agent: the volume at /var/lib/containers is full: [\d.]+ \w+ of 50.3 MB free now;"
    r" podman-agent gc could free about ([\d.]+ \w+), docker system prune -a "
)


class Small:
    """A pod whose volume holds 48 MiB."""

    def __init__(self, mirror: outer.Registry) -> None:
        self.name = f"{outer.NAME}-full-{secrets.token_hex(3)}"
        outer.podman(
            *("run", "--detach", "--rm", "--privileged", "--name", self.name, "--network=host", "--interactive"),
            *("--tmpfs=/var/lib/containers:size=48m,mode=0755", "--entrypoint=/bin/cat"),
            *("--env", f"PODMAN_AGENT_MIRRORS=docker.io={mirror.address}", outer.IMAGE),
        )

    def sh(self, script: str) -> tuple[int, list[str]]:
        done = outer.podman("exec", self.name, "timeout", "120", "bash", "-c", f"cd /tmp; {script}", check=False)
        return done.returncode, done.stderr.splitlines()


@pytest.fixture(scope="module")
def small(agent_image: str, mirror: outer.Registry, disk: Path) -> Iterator[Small]:
    """One pod; the mirror, an archive and a build context have what is larger than its volume."""
    assert agent_image
    name = f"{mirror.address}/library/large:1"
    (disk / "data").write_bytes(secrets.token_bytes(60 << 20))
    outer.podman("build", "-q", "-t", name, "-f", "-", str(disk), stdin="FROM scratch\nCOPY data /\n")
    outer.podman("push", "-q", name)
    outer.podman("save", "-q", "-o", str(disk / "large.tar"), name)
    outer.podman("rmi", name)
    pod = Small(mirror)
    try:
        outer.podman("cp", str(disk / "large.tar"), f"{pod.name}:/tmp/large.tar")
        assert pod.sh("mkdir big; tar xf large.tar -C big; docker pull -q busybox")[0] == 0
        yield pod
    finally:
        outer.podman("rm", "--force", "--time=0", pod.name)


@pytest.mark.parametrize(
    "command",
    [
        pytest.param("printf 'FROM busybox\\nCOPY big /\\n' >Dockerfile; docker build -f Dockerfile .", id="build"),
        pytest.param("printf 'FROM busybox\\nRUN dd if=/dev/zero of=/x bs=1M\\n' | docker build -", id="a-step"),
        pytest.param("docker pull large:1", id="pull"),
        pytest.param("docker load -i large.tar", id="load"),
    ],
)
def test_a_full_volume_is_named_with_sizes_and_the_store_works_when_there_is_room(small: Small, command: str) -> None:
    """Also where the words are those of a program in a build step."""
    code, said = small.sh(command)
    assert code not in (0, 77)
    assert FULL.match(said[-1]), said
    assert sum(line.startswith("podman-agent: ") for line in said) == 1
    assert small.sh("podman-agent gc")[0] == 0
    assert small.sh("printf 'FROM busybox\\nRUN echo fits >/y\\n' | docker build -q --no-cache -")[0] == 0
    assert small.sh("podman-agent cache verify")[0] == 0


def test_another_file_system_is_told_from_the_volume(small: Small) -> None:
    """An archive that does not fit into a small emptyDir."""
    small.sh("mkdir -p /tmp/little; mount -t tmpfs -o size=1m none /tmp/little")
    code, said = small.sh("echo FROM busybox | docker build -o type=docker,dest=/tmp/little/x.tar -")
    assert code
    assert re.match("podman-agent: the file system of /tmp/little is full: .* free", said[-1]), said


def test_a_push_that_finds_no_room_for_its_copies_works_when_there_is_some(
    small: Small, mirror: outer.Registry
) -> None:
    """Layers are copied to the volume before they are sent."""
    name = f"{mirror.address}/full/pushed:1"
    layer = "FROM busybox\\nRUN head -c 3000000 /dev/urandom >/x\\n"
    assert small.sh(f"printf '{layer}' | docker build -q -t {name} -")[0] == 0
    small.sh("dd if=/dev/zero of=/var/lib/containers/filler bs=1M")
    code, said = small.sh(f"docker push {name}")
    assert code == 125
    assert FULL.match(said[-1]), said
    assert small.sh(f"rm /var/lib/containers/filler; docker push {name}")[0] == 0
    assert mirror.digest("full/pushed", "1").startswith("sha256:")
