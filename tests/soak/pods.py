"""Start and kill the pods of the soak tests on the outer podman."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
PYLIB = HERE.parents[1] / "pylib"
IMAGE = os.environ.get("SOAK_IMAGE", "localhost/exp:1")
PORT = int(os.environ.get("SOAK_PORT", "5400"))
INNER = """\
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=30000:30000"]
log_driver = "k8s-file"
netns = "host"
cgroupns = "host"
utsns = "host"
ipcns = "host"
label = false
keyring = false
default_sysctls = []
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "crun"
"""
REGISTRIES = f"""\
unqualified-search-registries = ["docker.io"]
[[registry]]
location = "127.0.0.1:{PORT}"
insecure = true
"""
# The base image of all builds: 200 files in 5 layers, and the sums of all of them.
BASE = """\
FROM localhost/soak-busybox
""" + "".join(
    f"RUN mkdir -p /data/d{d}; for i in $(seq 40); do"
    f" dd if=/dev/urandom of=/data/d{d}/$i bs=4k count=32 2>/dev/null; done\n"
    for d in range(5)
) + "RUN find /data -type f | xargs sha256sum > /sums\n"


def outer(*argv: str, stdin: str = "") -> str:
    """Run the outer podman; its errors are the test's."""
    return subprocess.run(
        ["podman", *argv], input=stdin, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


@contextlib.contextmanager
def registry(work: Path) -> Iterator[str]:
    """A registry on loopback with the images the workers pull."""
    (work / "registry").mkdir(parents=True, exist_ok=True)
    config = work / "registry.yml"
    config.write_text(
        "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
        f"storage: {{filesystem: {{rootdirectory: {work}/registry}}, delete: {{enabled: true}}}}\n"
        f"http: {{addr: '127.0.0.1:{PORT}'}}\n",
        encoding="utf-8",
    )
    with (work / "registry.log").open("ab") as log:
        server = subprocess.Popen(
            ["docker-registry", "serve", str(config)], stdout=log, stderr=log
        )
    try:
        for _ in range(100):
            with contextlib.suppress(OSError), urllib.request.urlopen(
                f"http://127.0.0.1:{PORT}/v2/", timeout=5
            ):
                break
            time.sleep(0.1)
        _fill()
        yield f"127.0.0.1:{PORT}"
    finally:
        server.terminate()
        server.wait()


def _fill() -> None:
    base, other = (f"127.0.0.1:{PORT}/soak/{n}:1" for n in ("base", "other"))
    names = subprocess.run(
        ["podman", "image", "exists", "localhost/store-soak-base"], check=False
    ).returncode
    if names:
        outer("import", "-q", "--change", "ENV PATH=/bin", busybox(), "localhost/soak-busybox")
        outer("build", "-q", "--network", "host", "-t", "localhost/store-soak-base", "-", stdin=BASE)
    for name in (base, other):
        change = "" if name == base else "RUN cp -r /data /copy\n"
        outer("build", "-q", "--network", "host", "-t", name, "-",
              stdin=f"FROM localhost/store-soak-base\n{change}")
        outer("push", "-q", "--tls-verify=false", name)
        outer("rmi", name)


def busybox() -> str:
    """A root file system with nothing but busybox-static and its applets."""
    path = Path(tempfile.gettempdir()) / "store-soak-busybox.tar"
    if not path.exists():
        with tempfile.TemporaryDirectory() as root:
            binary = Path(root, "bin", "busybox")
            binary.parent.mkdir()
            shutil.copy("/bin/busybox", binary)
            applets = subprocess.run([str(binary), "--list"], capture_output=True, text=True, check=True)
            for applet in applets.stdout.split():
                if applet != "busybox":
                    (binary.parent / applet).symlink_to("busybox")
            Path(root, "tmp").mkdir()
            subprocess.run(["tar", "-C", root, "-cf", str(path), "."], check=True)
    return str(path)


class Pod:
    """A privileged container with the volume at /var/lib/containers, as a Jenkins agent pod has it."""

    def __init__(self, volume: Path, work: Path, *argv: str, env: dict[str, str] | None = None) -> None:
        self.name = f"store-soak-{uuid.uuid4().hex[:12]}"
        self.pidfile = work / f"{self.name}.pid"
        for name, text in (("inner.conf", INNER), ("registries.conf", REGISTRIES)):
            if not (work / name).exists():
                (work / name).write_text(text, encoding="utf-8")
        variables = {
            "PODMAN_IGNORE_CGROUPSV1_WARNING": "1", "PYTHONPATH": "/pylib",
            "PYTHONDONTWRITEBYTECODE": "1", "HOSTNAME": self.name,
            "SOAK_REGISTRY": f"127.0.0.1:{PORT}", **(env or {}),
        }
        mounts = {
            volume: "/var/lib/containers", PYLIB: "/pylib:ro", HERE: "/soak:ro",
            work / "inner.conf": "/etc/containers/containers.conf.d/50.conf:ro",
            work / "registries.conf": "/etc/containers/registries.conf.d/50.conf:ro",
        }
        self.process = subprocess.Popen(
            ["podman", "run", "--rm", "--name", self.name, "--network", "host", "--privileged",
             "--pidfile", str(self.pidfile),
             *(f"--env={k}={v}" for k, v in variables.items()),
             *(f"--volume={source}:{target}" for source, target in mounts.items()),
             IMAGE, *argv],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )

    def lines(self) -> Iterator[str]:
        """What the pod prints, line by line, until it ends."""
        assert self.process.stdout
        for line in self.process.stdout:
            yield line.rstrip("\n")

    def kill(self) -> None:
        """SIGKILL PID 1: the kernel kills all of the container at once, as at the end of a job."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(self.pidfile.read_text(encoding="ascii")), signal.SIGKILL)

    def wait(self) -> int:
        """The exit code, when the container is gone."""
        code = self.process.wait(timeout=600)
        self.pidfile.unlink(missing_ok=True)
        return code


def worker(volume: Path, work: Path, *argv: str, env: dict[str, str] | None = None) -> Pod:
    """A pod that runs worker.py."""
    return Pod(volume, work, "python3", "/soak/worker.py", *argv, env=env)
