"""A real dockerd with its client, containerd and runc, for the recorder: all of Debian sid's, in namespaces of its own.

`run_beside` runs one Python file in those namespaces, with dockerd on its default socket and a docker-registry on
127.0.0.1:5000. Nothing of the machine's network or mounts is touched, and all ends with that process.
Standard library only.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import tempfile
from pathlib import Path

import originals
import outer

PACKAGES = (
    *("docker.io", "docker-cli", "docker-buildx", "containerd", "runc", "tini", "iptables", "iproute2", "python3"),
    *("jq", "curl", "dash", "bash", "coreutils", "grep", "sed", "mawk", "findutils", "tar", "gzip", "hostname"),
    *("procps", "docker-registry", "busybox-static", "git", "mount", "util-linux"),
)
# a plain chroot does not do: runc's `remount /` needs a mount at the root
ENTER = r"""
mount --make-rprivate /
mount --bind "$ROOT" "$ROOT"; mount --bind "$DATA" "$ROOT/var/lib/docker"; mount --bind "$LAB" "$ROOT/lab"
mount -t proc proc "$ROOT/proc"; mount -t sysfs sysfs "$ROOT/sys"; mount --rbind /dev "$ROOT/dev"
mount -t tmpfs tmpfs "$ROOT/run"; mount -t tmpfs tmpfs "$ROOT/tmp"; mount -t tmpfs cgroup "$ROOT/sys/fs/cgroup"
for c in /sys/fs/cgroup/*; do
  [ "${c##*/}" = unified ] || { mkdir "$ROOT$c"; mount --bind "$c" "$ROOT$c"; }
done
cd "$ROOT"; mkdir -p .old; pivot_root . .old; cd /; umount -l /.old
ip link set lo up
exec /usr/bin/env -i HOME=/root PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin LANG=C.UTF-8 \
  NOFILE="$NOFILE" /usr/bin/python3 /lab/beside.py "$@"
"""
BESIDE = """import os, subprocess, sys, time
os.makedirs("/run/registry")
open("/run/registry.yml", "w").write(
    "version: 0.1\\nlog: {level: warn}\\n"
    "storage: {filesystem: {rootdirectory: /run/registry}, delete: {enabled: true}}\\n"
    "http: {addr: '127.0.0.1:5000'}\\n")
log = open("/lab/log", "wb")
limit = os.environ.pop("NOFILE")
options = [f"--default-ulimit=nofile={limit}:{limit}"]
servers = [subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
           for command in (["docker-registry", "serve", "/run/registry.yml"], ["dockerd", *options])]
try:
    deadline = time.monotonic() + 60
    while subprocess.run(["docker", "version"], capture_output=True).returncode:
        if time.monotonic() > deadline or servers[1].poll() is not None:
            sys.exit("dockerd did not start: " + open("/lab/log").read()[-800:])
        time.sleep(0.2)
    sys.exit(subprocess.run(["python3", *sys.argv[1:]]).returncode)
finally:
    for server in reversed(servers):
        server.terminate()
        server.wait(60)
"""


def run_beside(lab: Path, *args: str) -> None:
    """Run a Python file beside a dockerd.

    Args:
        lab: A directory, which is /lab there.
        args: The file and its arguments, as they are named there.

    Raises:
        OuterError: dockerd did not start, or the file failed.
    """
    root = originals.tree("sid", "docker", *PACKAGES)
    _complete(root)
    (lab / "beside.py").write_text(BESIDE)
    data = Path(tempfile.mkdtemp(prefix=f"{outer.NAME}-dockerd-", dir=outer.CACHE))
    environment = {
        "ROOT": str(root),
        "DATA": str(data),
        "LAB": str(lab),
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "NOFILE": str(resource.getrlimit(resource.RLIMIT_NOFILE)[1]),
    }
    unshare = ("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--uts", "--ipc")
    try:
        done = subprocess.run(
            [*unshare, "sh", "-ec", ENTER, "enter", *args],
            env=environment, stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        if done.returncode:
            what = f"{args[0]} beside dockerd failed ({done.returncode}), see above and {lab}/log"
            raise outer.OuterError(what)
    finally:
        shutil.rmtree(data, ignore_errors=True)


def _complete(root: Path) -> None:
    """What the packages' own scripts would have made."""
    for directory in ("var/lib/docker", "lab", "sys", "proc", "dev", "run", "tmp", "root", "etc"):
        (root / directory).mkdir(parents=True, exist_ok=True)
    for link, target in (
        *(("usr/sbin/iptables", "xtables-legacy-multi"), ("usr/sbin/ip6tables", "xtables-legacy-multi")),
        *(("usr/bin/awk", "mawk"), ("usr/bin/pager", "cat")),
    ):
        if not (root / link).is_symlink():
            (root / link).symlink_to(target)
    for name, text in {
        "etc/passwd": "root:x:0:0:root:/root:/bin/bash\n",
        "etc/group": "root:x:0:\ndocker:x:999:\n",
        "etc/hosts": "127.0.0.1 localhost\n",
        "etc/resolv.conf": "nameserver 127.0.0.1\n",
        "etc/nsswitch.conf": "hosts: files dns\n",
        "etc/timezone": "Etc/UTC\n",
    }.items():
        (root / name).write_text(text)
