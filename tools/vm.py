"""A machine with cgroup v2 alone: boots Debian's kernel in QEMU and runs a script there.

Its root file system is this machine's own, read-only by virtiofs below a tmpfs, so that what is installed here is
installed there; what is below `outer.CACHE` is a disk that holds a copy of the outer podman's store. There is no
network but loopback. Where there is no /dev/kvm, or one that boots nothing (kvm-pvm of some clouds runs only kernels
made for it), QEMU emulates, some ten times slower. Standard library only.

``python3 tools/vm.py 'cat /proc/self/cgroup'`` runs a line of shell there.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import host
import outer
import runs

if TYPE_CHECKING:
    from collections.abc import Iterator

CACHE = outer.CACHE / "vm"
KVM = Path("/dev/kvm")
# of Debian 12's qemu-system-common, and of the package virtiofsd elsewhere
VIRTIOFSD = ("/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd")
PACKAGE = "linux-image-cloud-amd64"
DISK_BYTES = 6 << 30
MEMORY_MIB = 3072
# QEMU 7.2 ends where a hypervisor below shows this register and lets nobody write it
CPU = "host,-arch-capabilities"
# how many times as long an emulated processor may take
EMULATION = 8
UP = "vm: up"
# from QEMU's start to the first process; an emulated processor takes 2
BOOT_SECONDS = 10
# modprobe brings what each needs; the kernel finds no modules once the initramfs is left
MODULES = ("virtio_pci", "virtio_blk", "virtiofs", "overlay", "fuse", "loop", "veth", "bridge", "nf_tables")
APPLETS = ("mount", "modprobe", "mkdir", "mknod", "switch_root", "ifconfig", "sh", "cat", "ln", "reboot")

# the initramfs' /init; nothing mounted here is seen by this machine
INIT = """#!/bin/sh
export PATH=/bin
echo {up}
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
for module in {modules}; do modprobe "$module" || echo "vm: no module $module"; done
mount -t virtiofs -o ro root /host && mount -t tmpfs -o mode=755 tmpfs /upper && mkdir /upper/up /upper/work &&
    mount -t overlay -o lowerdir=/host,upperdir=/upper/up,workdir=/upper/work overlay /root || exec reboot -f
mount -t proc proc /root/proc; mount -t sysfs sys /root/sys; mount -t cgroup2 cgroup2 /root/sys/fs/cgroup
mount --move /dev /root/dev; mkdir -p /root/dev/pts /root/dev/shm
mount -t devpts -o ptmxmode=666 devpts /root/dev/pts; mount -t tmpfs -o mode=1777 tmpfs /root/dev/shm
[ -e /root/dev/fd ] || ln -s /proc/self/fd /root/dev/fd
mount -t tmpfs -o mode=755 tmpfs /root/run
# podman's blob information cache there is this machine's, and being written to
mkdir -p /root/var/lib/containers; mount -t tmpfs tmpfs /root/var/lib/containers
mkdir -p "/root{cache}" && mount -t ext4 /root/dev/vda "/root{cache}"
ifconfig lo 127.0.0.1 up
exec switch_root -c /dev/console /root /bin/bash {boot}
"""
# the first process; the kernel panics when it ends, and this is how it says its code before
BOOT = """stty -F /dev/ttyS0 -onlcr; stty -F /dev/ttyS1 -onlcr raw
cd {root}
setsid env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root XDG_CACHE_HOME={home} \
    VM_REPORT=/dev/ttyS1 bash {script} </dev/null
echo "vm-exit $?" >/dev/ttyS1
sync
exec busybox reboot -f
"""


class VmError(Exception):
    """There is no machine, or it said nothing; one line."""


class Result(NamedTuple):
    """What a script did in the machine."""

    code: int
    output: str  # the console: the kernel's last words and both outputs of the script
    report: str  # what the script wrote to $VM_REPORT
    seconds: float


def _run(*args: str, stdin: bytes | None = None, cwd: Path | None = None) -> bytes:
    done = subprocess.run(args, input=stdin, capture_output=True, check=False, cwd=cwd)
    if done.returncode:
        words = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines() or ["no output"]
        what = f"`{shlex.join(args)[:200]}` failed ({done.returncode}): {words[-1]}"
        raise VmError(what)
    return done.stdout


def kernel() -> Path:
    """Debian's kernel for clouds, unpacked below the cache and never installed: the directory of its ``boot``.

    Raises:
        VmError: The package cannot be had.
    """
    if found := sorted(CACHE.glob("kernel-*/boot/vmlinuz-*")):
        return found[-1].parents[1]
    if not shutil.which("apt-get"):
        what = f"no kernel for the machine: this needs apt-get, or a Debian kernel unpacked in {CACHE}/kernel-NAME"
        raise VmError(what)
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        try:
            package = _download(Path(scratch))
        except VmError:
            _run("apt-get", "-q", "update")  # an empty list of packages, or an old one
            package = _download(Path(scratch))
        tree = Path(scratch) / "tree"
        _run("dpkg-deb", "-x", str(package), str(tree))
        tree.rename(place := CACHE / f"kernel-{package.name.partition('_')[0]}")
    return place


def _download(directory: Path) -> Path:
    depends = _run("apt-cache", "depends", "--important", PACKAGE).decode()
    name = re.search(r"Depends: (linux-image-\S+)", depends)
    if not name:
        what = f"no package of Debian's is {PACKAGE}"
        raise VmError(what)
    _run("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", name[1], cwd=directory)
    return next(directory.glob("*.deb"))


def _initramfs(kernel_tree: Path, init: str, directory: Path) -> Path:
    tree = directory / "initramfs"
    for name in ("bin", "proc", "sys", "dev", "host", "upper", "root", "lib"):
        (tree / name).mkdir(parents=True)
    shutil.copy(shutil.which("busybox") or "/bin/busybox", tree / "bin/busybox")
    for applet in APPLETS:
        (tree / "bin" / applet).symlink_to("busybox")
    modules = next((kernel_tree / "lib/modules").iterdir())
    _run("busybox", "depmod", "-b", str(kernel_tree), modules.name)
    wanted, listed = list(MODULES), {}
    for line in (modules / "modules.dep").read_text().splitlines():
        path, _, names = line.partition(":")
        listed[Path(path).stem.replace("-", "_")] = (path, names.split())
    while wanted:
        path, needs = listed.get(wanted.pop(), ("", []))
        target = tree / "lib/modules" / modules.name / path
        if path and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(modules / path, target)
            wanted += [Path(need).stem.replace("-", "_") for need in needs]
    shutil.copy(modules / "modules.dep", tree / "lib/modules" / modules.name)
    (tree / "init").write_text(init)
    (tree / "init").chmod(0o755)
    names = "\n".join(str(path.relative_to(tree)) for path in sorted(tree.rglob("*")))
    archive = directory / "initramfs.cpio"
    archive.write_bytes(_run("busybox", "cpio", "-o", "-H", "newc", stdin=names.encode(), cwd=tree))
    return archive


def _disk(directory: Path) -> Path:
    """A disk for the machine's `outer.CACHE`, which has the outer podman's store in it."""
    disk, staging = directory / "disk", directory / "staging"
    with disk.open("wb") as file:
        file.truncate(DISK_BYTES)
    store = outer.CACHE / "containers"
    store.mkdir(parents=True, exist_ok=True)
    (staging / store.name).mkdir(parents=True)
    script = 'mount --bind "$1" "$2" && exec mke2fs -q -t ext4 -E lazy_itable_init=1 -d "$3" "$4"'
    # in a mount namespace of its own: nothing stays mounted here
    _run(
        *("unshare", "--mount", "--propagation=private", "bash", "-c", script, "disk"),
        *(str(store), str(staging / store.name), str(staging), str(disk)),
    )
    return disk


@contextlib.contextmanager
def _root(directory: Path) -> Iterator[Path]:
    """This machine's root file system by virtiofs; the socket QEMU finds it by."""
    server = next((name for name in VIRTIOFSD if Path(name).exists()), None)
    if server is None:
        what = f"virtiofsd is not installed; looked for {' and '.join(VIRTIOFSD)}"
        raise VmError(what)
    path = directory / "root.sock"
    path.unlink(missing_ok=True)  # of the accelerator tried before
    # read-only for the server too, in a mount namespace of its own
    script = 'mount --rbind / "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'
    (directory / "tree").mkdir(exist_ok=True)
    with (directory / "virtiofsd.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *("unshare", "--mount", "--propagation=private", "bash", "-c", script, "root", str(directory / "tree")),
                *(server, f"--socket-path={path}", "-o", f"source={directory / 'tree'},cache=always,xattr"),
            ],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 10
        # the socket is there before anybody listens on it
        while "Waiting for vhost-user socket connection" not in _text(directory / "virtiofsd.log"):
            if process.poll() is not None or time.monotonic() > deadline:
                what = f"virtiofsd did not start: {(directory / 'virtiofsd.log').read_text().strip()[-300:]}"
                raise VmError(what)
            time.sleep(0.02)
        yield path
    finally:
        process.terminate()
        process.wait(10)


def run(script: str, *, seconds: float = 300) -> Result:
    """Boot the machine, run a script of bash in it as root from the project's directory, and wait for its end.

    Args:
        script: Text; what it writes to the file $VM_REPORT is kept apart from the rest.
        seconds: How long the whole may take; emulated, `EMULATION` times that.

    Raises:
        VmError: It did not boot, or not end in time; the text has the last words on its console.
    """
    if platform.machine() != "x86_64":
        what = f"no machine with cgroup v2 on {platform.machine()}: this knows x86_64 only"
        raise VmError(what)
    host.ensure("qemu", "busybox")
    begin = time.monotonic()
    tree = kernel()
    with outer.scratch("vm") as directory:
        (directory / "script").write_text(script)
        places = {"root": outer.ROOT, "home": outer.CACHE.parent, "script": "/run/script"}
        boot = BOOT.format(**{name: shlex.quote(str(path)) for name, path in places.items()})
        # the disk hides the scratch directory from the script, so bash has both texts before
        inline = f"cat >/run/script <<'VM-SCRIPT'\n{script}\nVM-SCRIPT\n{boot}"
        init = INIT.format(up=UP, modules=" ".join(MODULES), cache=outer.CACHE, boot="/run/boot")
        init = init.replace("exec switch_root", f"cat >/root/run/boot <<'VM-BOOT'\n{inline}VM-BOOT\nexec switch_root")
        initramfs, disk = _initramfs(tree, init, directory), _disk(directory)
        console, report = directory / "console", directory / "report"
        drives = (tree, initramfs, disk)
        if not _boot("kvm", drives, (console, report), seconds):
            _boot("tcg,thread=multi", drives, (console, report), seconds * EMULATION)
        said, reported = _text(console), _text(report)
    before, mark, code = reported.rpartition("vm-exit ")
    if not mark:
        what = f"the machine ended without a word of the script's end; its console: {said[-3000:]}"
        raise VmError(what)
    return Result(int(code), said, before, time.monotonic() - begin)


def _boot(accelerator: str, drives: tuple[Path, Path, Path], serial: tuple[Path, Path], limit: float) -> bool:
    """Run QEMU to its end; tells whether the machine came up with this accelerator.

    Args:
        accelerator: For ``-accel``.
        drives: The kernel's tree, the initramfs and the disk.
        serial: Where the console and the report go.
        limit: Seconds.
    """
    if accelerator == "kvm" and not os.access(KVM, os.R_OK | os.W_OK):
        return False
    with _root(serial[0].parent) as root, (serial[0].parent / "qemu.log").open("w+") as log:
        command = _command(accelerator, drives, root, serial)
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            begin = time.monotonic()
            # no console can be waited for otherwise: it is a file, so that QEMU never waits for a reader
            while process.poll() is None and UP not in _text(serial[0]):
                if time.monotonic() > begin + (BOOT_SECONDS if accelerator == "kvm" else limit):
                    break
                time.sleep(0.1)
            if UP not in _text(serial[0]):
                if accelerator == "kvm":
                    print(f"vm: {KVM} boots nothing within {BOOT_SECONDS} s; emulating", file=sys.stderr, flush=True)
                    return False
                served = _text(root.parent / "virtiofsd.log")[-300:]
                what = (
                    f"QEMU does not boot: {_text(root.parent / 'qemu.log')[-500:]}{_text(serial[0])[-500:]}; {served}"
                )
                raise VmError(what)
            process.wait(limit)
        except subprocess.TimeoutExpired:
            what = f"the machine did not end within {limit:.0f} s; its console: {_text(serial[0])[-3000:]}"
            raise VmError(what) from None
        finally:
            process.kill()
            process.wait()
    return True


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


def _command(accelerator: str, drives: tuple[Path, Path, Path], root: Path, serial: tuple[Path, Path]) -> list[str]:
    tree, initramfs, disk = drives
    return [
        "qemu-system-x86_64",
        *("-machine", "q35", "-accel", accelerator, "-cpu", CPU if accelerator == "kvm" else "max"),
        *("-smp", str(min(os.cpu_count() or 1, 4)), "-m", str(MEMORY_MIB)),
        *("-object", f"memory-backend-memfd,id=memory,size={MEMORY_MIB}M,share=on", "-numa", "node,memdev=memory"),
        *("-nodefaults", "-display", "none", "-no-reboot", "-no-user-config"),
        *("-kernel", str(next((tree / "boot").glob("vmlinuz-*"))), "-initrd", str(initramfs)),
        *("-append", "console=ttyS0 quiet loglevel=4 panic=-1 reboot=t random.trust_cpu=on"),
        *("-drive", f"file={disk},format=raw,if=none,id=disk,cache=unsafe,discard=unmap"),
        *("-device", "virtio-blk-pci,drive=disk", "-device", "virtio-rng-pci"),
        *("-chardev", f"socket,id=root,path={root}", "-device", "vhost-user-fs-pci,chardev=root,tag=root"),
        *(option for path in serial for option in ("-serial", f"file:{path}")),
    ]


def main() -> int:
    """Run the command line's shell text in the machine, with its console shown."""
    if len(sys.argv) < 2:
        print("usage: vm.py SHELL-TEXT", file=sys.stderr)
        return 64
    try:
        with runs.signals_as_exceptions():
            result = run(" ".join(sys.argv[1:]), seconds=3000)
    except (VmError, host.HostError) as error:
        print(f"vm: {error}", file=sys.stderr)
        return 1
    print(result.output, end="")
    print(f"vm: exit {result.code} after {result.seconds:.0f} s\n{result.report}", file=sys.stderr)
    return result.code


if __name__ == "__main__":
    sys.exit(main())
