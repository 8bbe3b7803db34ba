"""A containerd of our own, in a mount namespace of its own: what the kubelet starts pods with.

Containers get containerd's default capabilities and its own default seccomp profile, which is what a pod with
``seccompProfile: RuntimeDefault`` gets. Their root file system is one that podman made of the agent image, so that
no image has to be imported.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import host
import outer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CONFIG = """version = 2
root = "{0}/root"
state = "{0}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "{0}/socket"
"""
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# as containerd's CRI plugin mounts it for a container that is not privileged
CGROUP = "type=cgroup,src=cgroup,dst=/sys/fs/cgroup,options=ro:nosuid:noexec:nodev"


class Containerd:
    """A running containerd.

    Args:
        directory: For everything of its own.
        image: What the containers' root file systems are made of.
    """

    def __init__(self, directory: Path, image: str) -> None:
        self.directory, self.image = directory, image
        self.roots: dict[str, str] = {}

    def __enter__(self) -> Containerd:
        host.ensure("containerd", "podman")
        self.directory.mkdir(parents=True)
        (self.directory / "config.toml").write_text(CONFIG.format(self.directory))
        # mounts come from the whole machine into its namespace, none goes out; /run/containerd is not to be changed
        script = 'mkdir -p /run/containerd && mount -t tmpfs tmpfs /run/containerd && exec containerd --config "$1"'
        self.log = (self.directory / "log").open("wb")
        self.process = subprocess.Popen(
            [
                *("unshare", "--mount", "--propagation=private", "sh", "-c", script, "sh"),
                str(self.directory / "config.toml"),
            ],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
        )  # fmt: skip
        deadline = time.monotonic() + 30
        while self.ctr("version", check=False).returncode:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                what = f"containerd did not start: {(self.directory / 'log').read_text()[-500:]}"
                raise outer.OuterError(what)
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self.roots):
            self.remove(name)
        self.process.terminate()
        self.process.wait(20)
        self.log.close()

    def ctr(self, *args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run containerd's own client, in its mount namespace because of the pipes it makes for the outputs."""
        inside = ("nsenter", "--mount", "--target", str(self.process.pid))
        return outer.run(*inside, "ctr", "--address", str(self.directory / "socket"), *args, check=check)

    def mount(self, root: str) -> None:
        """Mount a container's root file system of the outer podman in containerd's own namespace."""
        line = next(row for row in Path("/proc/self/mounts").read_text().splitlines() if row.split()[1] == root)
        _, _, kind, options = line.split()[:4]
        outer.run(
            *("nsenter", "--mount", "--target", str(self.process.pid)),
            *("mount", "-t", kind, "-o", options, "overlay", root),
        )

    @contextlib.contextmanager
    def pod(self, *options: str, volume: Path, env: Sequence[str] = (), seccomp: bool = True) -> Iterator[str]:
        """A container that waits, on the node's network, with a directory as its volume; gives its name.

        Args:
            options: For ``ctr run``.
            volume: What is mounted at /var/lib/containers.
            env: Variables, NAME=value.
            seccomp: With containerd's default profile.
        """
        name = f"{outer.NAME}-{secrets.token_hex(3)}"
        outer.podman("create", "--name", name, self.image)
        try:
            self.roots[name] = outer.podman("mount", name).stdout.strip()
            self.mount(self.roots[name])
            self.ctr(
                *("run", "--detach", "--null-io", "--rootfs", "--net-host", "--cgroup", "", "--mount", CGROUP),
                *("--mount", f"type=bind,src={volume},dst=/var/lib/containers,options=rbind:rw"),
                *(word for variable in (PATH, *env) for word in ("--env", variable)),
                *(["--seccomp"] if seccomp else []), *options, self.roots[name], name, "sleep", "600",
            )  # fmt: skip
            yield name
        finally:
            self.remove(name)

    def remove(self, name: str) -> None:
        """End a container and take its root file system away."""
        self.ctr("task", "kill", "--signal", "SIGKILL", name, check=False)
        self.ctr("task", "delete", "--force", name, check=False)
        self.ctr("container", "delete", name, check=False)
        if root := self.roots.pop(name, ""):
            outer.run("nsenter", "--mount", "--target", str(self.process.pid), "umount", root, check=False)
        outer.podman("rm", "--force", "--time=0", name, check=False)

    def spec(self, name: str) -> dict[str, Any]:
        """The OCI configuration that containerd made."""
        loaded: dict[str, Any] = json.loads(self.ctr("container", "info", name).stdout)["Spec"]
        return loaded

    def sh(self, name: str, script: str, *, user: str = "0:0") -> subprocess.CompletedProcess[str]:
        """Run a script of bash in a container, as ``kubectl exec`` does."""
        return self.ctr(
            *("task", "exec", "--exec-id", secrets.token_hex(4), "--user", user),
            *(name, "timeout", "120", "bash", "-c", script), check=False,
        )  # fmt: skip
