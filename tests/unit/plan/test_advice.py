"""What doctor says of each recorded pod: the verdict, and the pod field that would be better."""

from __future__ import annotations

import struct
import tempfile
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from podman_agent.plan.advice import BROKEN, DEGRADED, FINE, Trial, advise, found, verdict
from podman_agent.plan.decide import decide
from podman_agent.plan.plan import Plan
from podman_agent.planfile import Hot
from podman_agent.prepare import trial_build as deep
from podman_agent.prepare.trial_build import is_static
from unit.plan.test_decide import EXPECTED, facts

if TYPE_CHECKING:
    from pathlib import Path

# pod -> words of the advice; no words: fine
ADVICE: dict[str, tuple[str, ...]] = {
    "outer-hybrid-host": ("volume at",),
    "privileged-volume": (),
    "privileged-sys-resource-composed": (),
    "low-limits": (),
    "default-volume": (),
    "least-capabilities": (),
    "podmans-profile": (),
    "privileged-no-volume": ("slower than the kernel's overlay", "lost with the pod"),
    "default-no-volume": ("vfs copies", "lost with the pod"),
    "default-fuse": ("slower than the kernel's overlay", "lost with the pod"),
    "sys-admin": ("need cgroups",),
    "unmasked": (),
    "localhost-profile": (),
    "bare-environment": (),
    "user-namespaced-masked": ("need cgroups",),
    "runtime-default": ("docker run is refused", "vfs copies"),
    "user-1000-no-new-privileges": ("one owner only",),
    "user-1000": (),
    "arbitrary-user": ("one owner only",),
    "no-cgroup": ("need cgroups",),
    "small-shm": ("/dev/shm is too small",),
    "tmpfs": (),
    "default-tmpfs-linux-6.1": ("vfs copies",),
    "privileged-cgroup-v2": (),
    "privileged-cgroup-v2-host": (),
    "least-capabilities-cgroup-v2": (),
    "user-1000-cgroup-v2": (),
    "user-namespace-cgroup-v2": (),
    "runtime-default-cgroup-v2": ("docker run is refused", "vfs copies"),
    "bare-environment-unprivileged": (),
    "low-limits-unprivileged": (),
    "no-sys-resource": (),
    "cgroup-v1": (),
    "cgroup-hybrid": (),
    "user-namespaced": ("need cgroups",),
    "user-namespaced-privileged": ("need cgroups",),
    "user-namespaced-default": (),
    "read-only-privileged": (),
    "read-only-unprivileged": (),
    "ipv6-privileged": (),
    "ipv6-unprivileged": (),
    "plain-privileged": ("slower than the kernel's overlay",),
    "plain-unprivileged": ("vfs copies",),
    "xfs": (),
    "btrfs": (),
}


@pytest.mark.parametrize("pod", EXPECTED)
def test_each_recorded_pod_is_told_what_would_be_better(pod: str) -> None:
    """And nothing else."""
    told = advise(facts(pod), decide(facts(pod), {}))
    found = [item.problem + " | " + item.better for item in told]
    assert len(found) == len(ADVICE[pod]), found
    assert all(word in text for word, text in zip(ADVICE[pod], found, strict=True)), found
    assert verdict(told) == (DEGRADED if ADVICE[pod] else FINE)


def test_a_pod_that_sees_hybrid_cgroups_is_told_why_nothing_runs() -> None:
    """Where it may make no cgroups runc does not help either."""
    pod = replace(facts("cgroup-hybrid"), cgroup_writable=False, capabilities=facts("xfs").capabilities)
    told = advise(pod, decide(replace(pod, overlay_userns=""), {}))
    assert [item.problem for item in told] == ["docker run fails: crun refuses a pod that sees hybrid cgroups"]


def test_what_was_found_is_a_table_of_what_the_choices_rest_on() -> None:
    """Of a pod that has little, and of one that has all."""
    little = dict(found(facts("runtime-default")))
    assert little["user namespace"] == "the node's; another one: unshare: Operation not permitted"
    assert little["seccomp"] == "a profile is in force"
    assert "SYS_ADMIN" not in little["capabilities"]
    much = dict(found(facts("privileged-volume")))
    assert much["user"].startswith("uid 0, gid 0")
    assert much["cgroups"] == "v1, child cgroups can be made"
    assert much["graphroot"].startswith("ext4, volume, /var/lib/containers")
    assert much["podman"] == "5.4.2 /usr/bin/podman"
    assert dict(found(facts("user-namespaced")))["user namespace"].startswith("its own, 65536 ids")


# pod, what is different about it, variables -> words of the better; not: words of a cure that is in place already
CURES = [
    ("privileged-volume", {}, {"CGROUPS": "disabled"}, "unset PODMAN_AGENT_CGROUPS", "privileged"),
    ("user-namespaced-privileged", {}, {}, "without hostUsers: false", "a node that mounts"),
    ("sys-admin", {}, {}, "privileged: true on a node", "unset"),
    ("privileged-volume", {}, {"STORAGE_DRIVER": "vfs"}, "unset PODMAN_AGENT_STORAGE_DRIVER", "emptyDir"),
    ("default-volume", {"graphroot_driver": "vfs"}, {}, "PODMAN_AGENT_CACHE_KEY", "emptyDir"),
    ("default-no-volume", {}, {"STORAGE_DRIVER": "vfs"}, "emptyDir", "unset"),
    ("plain-unprivileged", {"graphroot_driver": "vfs"}, {}, "no network file system", "CACHE_KEY"),
    ("privileged-volume", {"mount_proc": "mount proc: EPERM"}, {}, "procMount: Unmasked", "unset"),
]


@pytest.mark.parametrize(("pod", "other", "forced", "word", "absent"), CURES)
def test_a_cure_that_is_in_place_is_not_named(
    pod: str, other: dict[str, str], forced: dict[str, str], word: str, absent: str
) -> None:
    """But what is in its way: a variable, the store's past, the user namespace."""
    there = replace(facts(pod), **other)  # type: ignore[arg-type]
    plan = decide(there, {f"PODMAN_AGENT_{name}": value for name, value in forced.items()})
    first = advise(there, plan)[0].better
    assert word in first
    assert absent not in first


def test_a_trial_that_every_build_needs_decides_the_verdict() -> None:
    """The others do not."""
    assert verdict((), [Trial("build", "Error: x")]) == BROKEN
    assert verdict((), [Trial("build", ""), Trial("fresh /proc", "refused", needed=False)]) == FINE


HANGING = """#!/bin/sh
case "$*" in *build*) echo 1234;; *rmi*) exec sleep 60;; esac
"""
SAYS_LATIN_1 = "#!/bin/sh\nprintf 'Error: caf\\351\\n' >&2; exit 125\n"


@pytest.mark.parametrize(
    ("podman", "scratch", "error"),
    [
        (HANGING, "", "not done after 1 s"),
        ("", "", "No such file or directory"),
        (HANGING, "gone", "No such file or directory"),
        (SAYS_LATIN_1, "", "Error: caf\ufffd"),
    ],
)
def test_a_trial_that_cannot_be_made_has_failed(
    podman: str, scratch: str, error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No traceback, whose exit code would mean degraded: podman hangs, is gone, or there is no temporary directory."""
    monkeypatch.setattr(deep, "_TIMEOUT", 1)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / scratch))
    program = tmp_path / "podman"
    if podman:
        program.write_text(podman)
        program.chmod(0o755)
    plan = replace(decide(facts("plain-privileged"), {}), can_run=False)
    (trial,) = deep.trials(plan, Hot({"podman": str(program)}))
    assert error in trial.error
    assert verdict((), [trial]) == BROKEN


def test_a_plan_is_read_back_as_it_was_written() -> None:
    """Doctor reads the plan that is in force, not one of its own."""
    plan = replace(decide(facts(), {"PODMAN_AGENT_MIRRORS": "docker.io=m.example"}), volumes=("/proc:/proc",))
    assert Plan.from_json(plan.to_json()) == plan


def test_a_static_program_is_told_from_others(tmp_path: Path) -> None:
    """Only one that needs no loader can run in an image from scratch."""
    for segment, static in ((1, True), (3, False)):  # PT_LOAD, PT_INTERP
        head = b"\x7fELF\x02\x01".ljust(32, b"\0") + struct.pack("<QQIHHHHHH", 64, 0, 0, 64, 56, 1, 0, 0, 0)
        (tmp_path / "program").write_bytes(head + struct.pack("<I", segment).ljust(56, b"\0"))
        assert is_static(tmp_path / "program") is static
    (tmp_path / "torn").write_bytes(b"\x7fELF\x02\x01")
    (tmp_path / "script").write_text("#!/bin/sh\n")
    for name in ("torn", "script", "missing"):
        assert not is_static(tmp_path / name)
