"""What doctor says of each recorded pod: the verdict, and the pod field that would be better."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from podman_agent.deep import Trial, is_static
from podman_agent.doctor import BROKEN, DEGRADED, FINE, advise, verdict
from podman_agent.plan import Plan, decide
from unit.test_plan import EXPECTED, facts

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


def test_a_trial_that_every_build_needs_decides_the_verdict() -> None:
    """The others do not."""
    assert verdict((), [Trial("build", "Error: x")]) == BROKEN
    assert verdict((), [Trial("build", ""), Trial("fresh /proc", "refused", needed=False)]) == FINE


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
