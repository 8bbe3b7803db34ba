"""Who is measured: our agent's pods, the same image without the agent, buildah in it, and dockerd on this machine."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import host
import outer
from pods.shapes import SHAPES

from bench import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

OURS = "agent"
UNPRIVILEGED = "agent, unprivileged"
DEFAULT = "podman's defaults"
STABLE = "podman/stable's conf"
STABLE_FUSE = "podman/stable's conf, fuse-overlayfs"
PODMAN_DOCKER = "podman-docker"
BUILDAH = "buildah"
DOCKERD = "dockerd"

# without CAP_SYS_RESOURCE no build step starts with podman's own limits: the machine's fault, so cured for all
ULIMITS = 'default_ulimits = ["nofile={nofile}:{nofile}", "nproc={nproc}:{nproc}"]\n'
# https://github.com/containers/image_build/blob/main/podman/containers.conf
STABLE_CONF = """netns="host"
userns="host"
ipcns="host"
utsns="host"
cgroupns="host"
cgroups="disabled"
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger="file"
runtime="crun"
"""
STORAGE_CONF = """[storage]
driver = "overlay"
graphroot = "/var/lib/containers/storage"
runroot = "/run/containers/storage"
"""
# the storage.conf that the image of podman/stable is made with, where /dev/fuse is
FUSE_CONF = """[storage.options.overlay]
mount_program = "/usr/bin/fuse-overlayfs"
mountopt = "nodev,fsync=0"
"""
REGISTRIES_CONF = """unqualified-search-registries = ["docker.io"]
short-name-mode = "permissive"
[[registry]]
location = "127.0.0.1"
insecure = true
"""


class BenchError(RuntimeError):
    """A measured command failed: no figure is better than a wrong one."""


class Peer:
    """Something that takes docker's command lines (or buildah's), and a process beside it that times them.

    Args:
        title: Its name in the table.
        program: What stands for ``docker``.
        launch: The command that starts the timing process (`inside`).
        env: Environment of every command.
    """

    def __init__(self, title: str, program: list[str], launch: list[str], env: Mapping[str, str]) -> None:
        self.title, self.program, self.env = title, program, dict(env)
        self.process = subprocess.Popen(
            launch, env=outer.ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(
        self, *commands: list[str], stdin: str = "", cwd: str | None = None, check: bool = True
    ) -> tuple[float, str]:
        """Run commands at once; gives the seconds until all have ended, and what they printed.

        Raises:
            BenchError: One failed and `check` is set.
        """
        assert self.process.stdin
        assert self.process.stdout
        question = {"together": commands, "env": self.env, "stdin": stdin, "cwd": cwd}
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        gone: dict[str, Any] = {"code": -1, "output": "the pod is gone", "seconds": 0.0}
        said = json.loads(line) if line else gone
        if check and said["code"]:
            raise BenchError(f"{self.title}: {commands[0]} failed ({said['code']}): {said['output'][-1500:]}")
        return said["seconds"], said["output"]

    def time(self, *args: str, stdin: str = "", cwd: str | None = None) -> float:
        """Seconds of one command line of docker's."""
        return self.ask([*self.program, *args], stdin=stdin, cwd=cwd)[0]

    def sh(self, script: str, *, check: bool = True) -> str:
        """Run a script beside it, not timed; ``$P`` is what stands for docker, for what is set up and cleared away."""
        return self.ask(["sh", "-ec", f"P={self.manager}\n{script}"], check=check)[1]

    @property
    def manager(self) -> str:
        """The program that lists and removes images there."""
        return "/usr/bin/podman" if self.program[0] == "/usr/bin/buildah" else self.program[0]

    def build_command(self, tag: str, *args: str) -> list[str]:
        """Its command line for a build with cached layers, on the machine's own network."""
        if self.title == BUILDAH:
            return [*self.program, "build", "--layers", "-t", tag, *args]
        network = ["--network", "host"] if self.title == DOCKERD else []
        return [*self.program, "build", *network, "-t", tag, *args]

    def build(self, tag: str, *args: str, stdin: str = "") -> float:
        """Seconds of one build."""
        return self.ask(self.build_command(tag, *args), stdin=stdin)[0]

    def close(self) -> None:
        """End the process that times."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(30)


class Pod(Peer):
    """A pod of the agent image with a volume of its own on the scratch disk.

    Args:
        title: Which peer it is; all but ours call /usr/bin/podman and know nothing of the agent.
        work: The scratch directory, which it sees at the same path.
        conf: Its containers.conf, for those that are not ours.
        env: More environment.
    """

    def __init__(self, title: str, work: Path, conf: str = "", env: Mapping[str, str] | None = None) -> None:
        ours = title in {OURS, UNPRIVILEGED}
        self.name = f"{outer.NAME}-bench-{secrets.token_hex(4)}"
        self.volume = work / "volumes" / self.name
        self.volume.mkdir(parents=True)
        shape = SHAPES["default-volume" if title == UNPRIVILEGED else "privileged-volume"]
        mounts = (f"{self.volume}:/var/lib/containers", f"{work}:{work}", f"{ROOT / 'bench'}:/bench:ro")
        outer.podman(
            *("run", "--detach", "--name", self.name, "--network=host", "--entrypoint=/bin/cat", "--interactive"),
            *(f"--volume={mount}" for mount in mounts),
            *shape.options,
            outer.IMAGE,
        )
        variables = dict(env or {})
        if not ours:
            self._write("/etc/peer/containers.conf", conf)
            self._write("/etc/peer/storage.conf", STORAGE_CONF + (FUSE_CONF if title == STABLE_FUSE else ""))
            self._write("/etc/peer/registries.conf", REGISTRIES_CONF)
            variables |= {
                "CONTAINERS_CONF": "/etc/peer/containers.conf",
                "CONTAINERS_STORAGE_CONF": "/etc/peer/storage.conf",
                "CONTAINERS_REGISTRIES_CONF": "/etc/peer/registries.conf",
                "PODMAN_IGNORE_CGROUPSV1_WARNING": "1",
            }
        program = ["docker"] if ours else ["/usr/bin/buildah" if title == BUILDAH else "/usr/bin/podman"]
        launch = [outer.PODMAN, "exec", "-i", self.name, "python3", "-u", "/bench/inside.py"]
        super().__init__(title, program, launch, variables)

    def _write(self, path: str, text: str) -> None:
        script = 'mkdir -p "${0%/*}" && cat > "$0"'
        outer.podman("exec", "-i", self.name, "sh", "-c", script, path, stdin=text)

    def close(self) -> None:
        """Remove the pod; its volume goes with the scratch directory."""
        super().close()
        outer.podman("rm", "--force", "--time=0", self.name, check=False)


def ulimits() -> str:
    """The line of containers.conf that gives containers the limits this machine allows."""
    import resource  # noqa: PLC0415

    nofile = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 1048576)
    nproc = min(n for n in (resource.getrlimit(resource.RLIMIT_NPROC)[1], 32768) if n > 0)
    return "[containers]\n" + ULIMITS.format(nofile=nofile, nproc=nproc)


class Dockerd(Peer):
    """Debian's dockerd, containerd and runc, unpacked beside the scratch directory, never installed.

    They run in a mount namespace without the cgroup v2 part of a hybrid host, with nothing of the machine's network
    touched, which is how far they get without CAP_SYS_RESOURCE.

    Args:
        work: The scratch directory: data, state, socket and log.
    """

    def __init__(self, work: Path) -> None:
        import resource  # noqa: PLC0415

        tree = outer.ROOT / ".cache/bench/docker.io"
        host.unpack("docker.io", "containerd", "runc", "tini", into=tree)
        home = work / "dockerd"
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir()
        # the path of a socket has at most 107 characters, and containerd's is five levels down
        self.state = Path(tempfile.mkdtemp(prefix=f"{outer.NAME}-", dir="/run"))
        sbin = f"{tree}/usr/sbin:{tree}/usr/bin"
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        options = (
            *(f"--host=unix://{self.state}/sock", f"--data-root={home}/data", f"--exec-root={self.state}/exec"),
            *(f"--pidfile={self.state}/pid", "--bridge=none", "--iptables=false", "--ip6tables=false"),
            *("--oom-score-adjust=0", f"--default-ulimit=nofile={hard}:{hard}"),
        )
        script = 'if [ -d /sys/fs/cgroup/unified ]; then umount /sys/fs/cgroup/unified; fi; exec dockerd "$@"'
        with (home / "log").open("wb") as log:
            self.daemon = subprocess.Popen(
                ["unshare", "-m", "sh", "-c", script, "dockerd", *options],
                env={**os.environ, "PATH": f"{sbin}:{os.environ['PATH']}:/usr/sbin:/sbin"},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        env = {"DOCKER_HOST": f"unix://{self.state}/sock", "DOCKER_BUILDKIT": "1", "DOCKER_CONFIG": str(home)}
        program = [f"{tree}/usr/bin/docker"]
        super().__init__(DOCKERD, program, [sys.executable, "-u", str(ROOT / "bench/inside.py")], env)
        waiting = "for i in $(seq 150); do $P version >/dev/null 2>&1 && exit 0; sleep 0.2; done; exit 1"
        if self.ask(["sh", "-c", f"P={program[0]}\n{waiting}"], check=False)[1] or self.daemon.poll() is not None:
            self.close()
            raise BenchError(f"dockerd did not start: {(home / 'log').read_text()[-600:]}")

    def close(self) -> None:
        """End the daemon, which ends its containerd."""
        super().close()
        self.daemon.terminate()
        self.daemon.wait(60)
        shutil.rmtree(self.state, ignore_errors=True)
