"""The trials of ``podman-agent doctor --deep``: what the plan rests on, done once more, and a tiny build."""

from __future__ import annotations

import shutil
import struct
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from podman_agent.plan.advice import Trial
from podman_agent.pod import trials as pod_trials
from podman_agent.pod.values import ROOTLESS
from podman_agent.pod.volume import existing_ancestor

if TYPE_CHECKING:
    from podman_agent.plan.plan import Plan
    from podman_agent.planfile import Hot

# what an image may have that needs no libraries: a build from scratch can run it
_STATIC = {
    "/usr/bin/catatonit": "--version",
    "/usr/libexec/podman/catatonit": "--version",
    "/usr/libexec/catatonit/catatonit": "--version",
    "/bin/busybox": "true",
}
_PT_INTERP = 3
_TIMEOUT = 300  # seconds


def trials(plan: Plan, hot: Hot) -> list[Trial]:
    """Try what the plan rests on.

    Args:
        plan: The plan of this container start.
        hot: The same as the shim reads it.
    """
    done = []
    own_userns = plan.id_mode != "root"
    if plan.id_mode in ROOTLESS:
        done.append(Trial("user namespace", pod_trials.user_namespace()))
    if plan.storage_driver == "overlay" and not plan.mount_program:
        there = existing_ancestor(Path(plan.graphroot))
        xattr = own_userns or pod_trials.in_user_namespace()
        done.append(Trial(f"overlay mount on {there}", pod_trials.overlay(there, userns=own_userns, userxattr=xattr)))
    if plan.can_run:
        bound = bool(plan.volumes)
        proc = pod_trials.mount_proc(userns=own_userns)
        done.append(
            Trial("fresh /proc", f"{proc} (containers have the pod's)" if proc and bound else proc, needed=False)
        )
    try:
        return [*done, _build(hot)]
    except subprocess.TimeoutExpired:
        return [*done, Trial("build", f"not done after {_TIMEOUT} s")]
    except OSError as error:  # no room for the scratch directory, no program
        return [*done, Trial("build", str(error))]


def is_static(path: Path) -> bool:
    """Whether this is a program of 64 bits that asks for no dynamic loader (elf(5))."""
    try:
        with path.open("rb") as file:
            head = file.read(64)
            if head[:6] != b"\x7fELF\x02\x01":
                return False
            at, size, count = struct.unpack_from("<Q", head, 32)[0], *struct.unpack_from("<HH", head, 54)
            file.seek(at)
            table = file.read(size * count)
    except (OSError, struct.error):
        return False
    return all(struct.unpack_from("<I", table, size * n)[0] != _PT_INTERP for n in range(count))


def _build(hot: Hot) -> Trial:
    """Build from scratch by the plan's own podman, with a step that runs.

    Raises:
        OSError: There is no place for its files.
        TimeoutExpired: Podman hangs.
    """
    program, argument = next(((path, word) for path, word in _STATIC.items() if is_static(Path(path))), ("", ""))
    with tempfile.TemporaryDirectory() as scratch:
        text = "FROM scratch\nCOPY Containerfile /\n"
        if program:
            shutil.copy(program, Path(scratch) / "program")
            text = f'FROM scratch\nCOPY program /\nRUN ["/program", "{argument}"]\n'
        (Path(scratch) / "Containerfile").write_text(text)
        done = _podman(hot, scratch, "build", "--quiet", "--no-cache", scratch)
        name = "build with a RUN step" if program else "build (no RUN step: this image has no static program)"
        if done.returncode:
            return Trial(name, (done.stderr.strip().splitlines() or ["podman said nothing"])[-1])
        _podman(hot, scratch, "rmi", "--force", done.stdout.strip())
        return Trial(name, "")


def _podman(hot: Hot, home: str, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [hot.programs["podman"], *hot.flags, *args],
        env=hot.environment | {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": home},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_TIMEOUT,
        check=False,
    )
