"""What is around a pod shape's container: its volumes, and a registry on its own loopback.

Volumes that need a mount get it in a mount namespace of the container's engine, which ends with the container, so
that a test that is killed leaves none behind.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from typing import TYPE_CHECKING, NamedTuple

import host
import outer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pods.shapes import Shape

# by name, because podman takes no image name with an IPv6 address in it
LOOPBACK = {"own": ("127.0.0.1", "127.0.0.1"), "ipv6": ("[::1]", "localhost")}

# what a kubelet writes: https://github.com/kubernetes/kubernetes/blob/v1.33.0/pkg/kubelet/kubelet_pods.go
HOSTS = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"


class Volumes(NamedTuple):
    """The outer podman's options, and the shell line that has the mounts they name made."""

    options: tuple[str, ...]
    mount: str
    hosts: Path


def volumes(shape: Shape, where: Path) -> Volumes:
    """What this shape mounts, below `where`."""
    where.mkdir(parents=True)
    options = []
    for place in shape.empty:
        path = where / place.replace("/", "_")
        path.mkdir()
        path.chmod(0o777)
        options.append(f"--volume={path}:{place}")
    mounted = where / "volume"
    mounted.mkdir()
    mounted.chmod(0o777)
    if shape.owner:
        outer.run("chown", f"{shape.owner}:{shape.owner}", str(mounted))
    mount = ":"
    if shape.volume == "none":
        # over the VOLUME of the image: nothing but the container's own layer is there
        options.append("--image-volume=ignore")
    elif shape.volume == "tmpfs":
        options.append("--tmpfs=/var/lib/containers")
    else:
        options.append(f"--volume={mounted}:/var/lib/containers")
    if shape.volume in {"xfs", "btrfs"}:
        host.ensure(shape.volume)
        image = where / "image"
        with image.open("wb") as file:
            file.truncate(400 << 20)
        outer.run(f"mkfs.{shape.volume}", "-q", str(image))
        mount = f"mount -o loop {image} {mounted} && chmod 0777 {mounted}"
    elif shape.volume == "plain":
        host.ensure("bindfs")
        source = where / "source"
        source.mkdir()
        source.chmod(0o777)
        mount = f"bindfs --xattr-none {source} {mounted}"
    hosts = where / "hosts"
    hosts.write_text(HOSTS)
    return Volumes(tuple(options), mount, hosts)


def start(shape: Shape, around: Volumes, name: str, env: dict[str, str], image: str) -> None:
    """Start the shape's container, idle."""
    variables = [option for item in env.items() for option in ("--env", "=".join(item))]
    network = "host"
    hosts: tuple[str, ...] = ()
    if shape.network in LOOPBACK:
        network, hosts = "none", (f"--volume={around.hosts}:/etc/hosts",)
    command = (
        *(outer.PODMAN, "run", "--detach", "--rm", "--name", name, f"--network={network}"),
        *("--entrypoint=/bin/cat", "--interactive", *variables, *hosts, *shape.options, *around.options, image),
    )
    inner = () if around.mount == ":" else ("unshare", "--mount", "sh", "-c", f'{around.mount} && exec "$@"', "-")
    outer.run(*inner, *command)


@contextlib.contextmanager
def registry(shape: Shape, container: str, mirror: outer.Registry, directory: Path) -> Iterator[None]:
    """Serve the mirror's blobs at its own port on the container's loopback too, where that is not ours."""
    if shape.network not in LOOPBACK:
        yield
        return
    host.ensure("iproute2")
    pid = outer.podman("inspect", "--format={{.State.Pid}}", container).stdout.strip()
    inside = ("nsenter", f"--net=/proc/{pid}/ns/net")
    if shape.network == "ipv6":
        outer.run(*inside, "ip", "address", "delete", "127.0.0.1/8", "dev", "lo")
    config = directory / "registry.yml"
    text = (mirror.directory / "config.yml").read_text()
    config.write_text(text.replace(mirror.address, f"{LOOPBACK[shape.network][0]}:{_port(mirror)}"))
    with (directory / "registry.log").open("wb") as log:
        process = subprocess.Popen(
            [*inside, "docker-registry", "serve", str(config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        _wait_for_listener(pid, _port(mirror), process)
        yield
    finally:
        process.terminate()
        process.wait(10)


def address(shape: Shape, mirror: outer.Registry) -> str:
    """The mirror's address as this shape's container reaches it."""
    return f"{LOOPBACK[shape.network][1]}:{_port(mirror)}" if shape.network in LOOPBACK else mirror.address


def _port(mirror: outer.Registry) -> int:
    return int(mirror.address.rpartition(":")[2])


def _wait_for_listener(pid: str, port: int, process: subprocess.Popen[bytes]) -> None:
    listens = f":{port:04X} 0"
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        for table in ("tcp", "tcp6"):
            with open(f"/proc/{pid}/net/{table}", encoding="ascii") as file:  # noqa: PTH123
                if any(listens in line and " 0A " in line for line in file):
                    return
        time.sleep(0.05)
    what = f"docker-registry does not listen on port {port} of {pid}'s network"
    raise outer.OuterError(what)
