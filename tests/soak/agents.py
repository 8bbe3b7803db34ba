"""Start and kill the pods of the soak tests: the real agent image on the outer podman."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "pylib")]

import outer  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# 200 files in 5 layers, and the sums of all of them, so that one command compares every byte.
DATA = "".join(
    f"RUN mkdir -p /data/d{d}; for i in $(seq 40); do"
    f" dd if=/dev/urandom of=/data/d{d}/$i bs=4k count=32 2>/dev/null; done\n"
    for d in range(5)
)
BASE = "FROM {busybox}\n" + DATA + "RUN find /data -type f | xargs sha256sum > /sums\n"
OTHER = "FROM {base}\nRUN cp -r /data /copy\n"


@contextlib.contextmanager
def registry(work: Path) -> Iterator[outer.Registry]:
    """A registry on loopback with the images the workers pull."""
    with outer.Registry(work / "registry") as found:
        outer.push_busybox(found)
        names = {n: f"{found.address}/{n}" for n in ("library/busybox:latest", "soak/base:1", "soak/other:1")}
        busybox, base, other = names.values()
        for name, text in ((base, BASE.format(busybox=busybox)), (other, OTHER.format(base=base))):
            outer.podman("build", "-q", "-t", name, "-", stdin=text)
            outer.podman("push", "-q", name)
        outer.podman("rmi", *names.values())
        yield found


class Worker:
    """An agent container with the volume at /var/lib/containers that runs worker.py.

    Args:
        volume: The directory on the host.
        address: The registry.
        argv: The worker's arguments.
        env: More environment.
        options: What kind of pod it is, for the outer ``podman run``.
    """

    def __init__(
        self,
        volume: Path,
        address: str,
        *argv: str,
        env: dict[str, str] | None = None,
        options: Sequence[str] = ("--privileged",),
    ) -> None:
        self.name = f"store-soak-{uuid.uuid4().hex[:12]}"
        self.pidfile = volume.with_name(f"{self.name}.pid")
        variables = {"PYTHONPATH": "/pylib", "PYTHONDONTWRITEBYTECODE": "1", "HOSTNAME": self.name}
        variables |= {"SOAK_REGISTRY": address, **(env or {})}
        mounts = {volume: "/var/lib/containers", ROOT / "pylib": "/pylib:ro", ROOT / "tests/soak": "/soak:ro"}
        self.process = subprocess.Popen(
            [outer.PODMAN, "run", "--rm", "--name", self.name, "--network", "host", *options]
            + [f"--pidfile={self.pidfile}", "--entrypoint="]
            + [f"--env={k}={v}" for k, v in variables.items()]
            + [f"--volume={source}:{target}" for source, target in mounts.items()]
            + [outer.IMAGE, "python3", "/soak/worker.py", *argv],
            env=outer.ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def lines(self) -> Iterator[str]:
        """What the pod prints, line by line, until it ends."""
        assert self.process.stdout
        for line in self.process.stdout:
            yield line.rstrip("\n")

    def kill(self) -> None:
        """SIGKILL PID 1: the kernel kills all of the container at once, as at the end of a job."""
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            os.kill(int(self.pidfile.read_text()), signal.SIGKILL)

    def wait(self) -> int:
        """The exit code, when the container is gone."""
        code = self.process.wait(timeout=600)
        self.pidfile.unlink(missing_ok=True)
        return code
