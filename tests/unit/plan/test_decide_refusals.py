"""A forced choice that this pod cannot have is refused in one line; one that it can have is taken."""

from __future__ import annotations

from dataclasses import replace

import pytest
from podman_agent.errors import PodRefusalError
from podman_agent.plan.decide import decide
from podman_agent.pod.variables import CACHE_LOCKS, PREFIX, TABLE
from unit.plan.test_decide import facts

# pod, variable, value, a word of the cure; each seen to fail there with the real podman before it was refused
REFUSED = [
    ("least-capabilities", "EVENTS", "journald", "drop the variable"),
    ("least-capabilities", "LOG_DRIVER", "journald", "drop the variable"),
    ("user-1000", "CGROUP_MANAGER", "systemd", "drop the variable"),
    ("least-capabilities", "CGROUPS", "enabled", "privileged: true"),
    ("no-cgroup", "CGROUPS", "enabled", "privileged: true"),
    ("least-capabilities", "NETWORK", "bridge", "privileged: true"),
    ("user-1000", "NETWORK", "bridge", "privileged: true"),
    ("sys-admin", "NETWORK", "bridge", "NET_ADMIN"),
    ("no-cgroup", "ISOLATION", "oci", "chroot"),
    ("default-no-volume", "STORAGE_DRIVER", "overlay", "emptyDir or PVC"),
    ("runtime-default", "RUNTIME", "crun", "seccompProfile"),
    ("user-1000-no-new-privileges", "ISOLATION", "chroot", "seccompProfile"),
    ("runtime-default", "ISOLATION", "chroot", "seccompProfile"),
    ("runtime-default", "CGROUPS", "enabled", "privileged: true"),
    ("sys-admin", "ISOLATION", "oci", "steps then chroot"),
    ("sys-admin", "ISOLATION", "rootless", "steps then chroot"),
    ("sys-admin", "RUNTIME", "runc", "drop the variable"),
    ("least-capabilities", "RUNTIME", "runc", "drop the variable"),
    ("cgroup-hybrid", "RUNTIME", "crun", "drop the variable"),
    ("cgroup-hybrid", "CGROUPS", "disabled", "drop the variable"),
]
TAKEN = [
    ("privileged-volume", "NETWORK", "bridge"),
    ("privileged-volume", "ISOLATION", "chroot"),
    ("privileged-volume", "CGROUPS", "disabled"),
    ("privileged-volume", "RUNTIME", "runc"),
    ("privileged-volume", "CGROUP_MANAGER", "cgroupfs"),
    ("cgroup-hybrid", "RUNTIME", "runc"),
    ("cgroup-hybrid", "CGROUPS", "enabled"),
    ("user-1000-no-new-privileges", "ISOLATION", "oci"),
    ("user-namespaced", "ISOLATION", "oci"),
    ("user-namespaced-privileged", "ISOLATION", "rootless"),
    ("least-capabilities", "ISOLATION", "oci"),
    ("least-capabilities", "NETWORK", "none"),
    ("least-capabilities", "STORAGE_DRIVER", "vfs"),
    ("least-capabilities", "EVENTS", "none"),
    ("least-capabilities", "LOG_DRIVER", "passthrough"),
    ("least-capabilities", "BUILD_FORMAT", "oci"),
    ("least-capabilities", "COMPRESSION_LEVEL", "3"),
]


@pytest.mark.parametrize(("pod", "name", "value", "cure"), REFUSED)
def test_what_the_pod_does_not_allow_is_refused_with_a_cure(pod: str, name: str, value: str, cure: str) -> None:
    """One line, exit code 77."""
    with pytest.raises(PodRefusalError, match=cure) as refused:
        decide(facts(pod), {PREFIX + name: value})
    assert "\n" not in str(refused.value)
    assert f"{PREFIX}{name}" in str(refused.value)


@pytest.mark.parametrize(("pod", "name", "value"), TAKEN)
def test_what_the_pod_allows_is_taken_and_marked_as_forced(pod: str, name: str, value: str) -> None:
    """In the plan's reasons, which doctor prints."""
    plan = decide(facts(pod), {PREFIX + name: value})
    assert [r.value for r in plan.reasons if r.forced] == [value]
    assert getattr(plan, name.lower()) == value


def test_a_journal_and_systemd_are_taken_where_they_are() -> None:
    """A node's own podman, or a container that systemd runs in."""
    there = replace(facts(), journal=True, systemd=True)
    forced = {PREFIX + "EVENTS": "journald", PREFIX + "CGROUP_MANAGER": "systemd"}
    assert decide(there, forced).events == "journald"


PAIRS = [
    ("cgroup-hybrid", {"RUNTIME": "runc", "CGROUPS": "disabled"}),
    ("cgroup-hybrid", {"RUNTIME": "crun", "CGROUPS": "disabled"}),
    ("cgroup-hybrid", {"RUNTIME": "crun", "CGROUPS": "enabled"}),
    ("privileged-volume", {"RUNTIME": "runc", "CGROUPS": "disabled"}),
    ("no-cgroup", {"RUNTIME": "crun", "CGROUPS": "enabled"}),
    ("least-capabilities", {"NETWORK": "none", "ISOLATION": "oci"}),
    ("user-1000-no-new-privileges", {"NETWORK": "none"}),
]


@pytest.mark.parametrize(("pod", "forced"), PAIRS)
def test_values_that_start_nothing_together_are_refused(pod: str, forced: dict[str, str]) -> None:
    """`requested OCI runtime runc is not compatible with NoCgroups` and the like; one line that names the variables."""
    with pytest.raises(PodRefusalError) as refused:
        decide(facts(pod), {PREFIX + name: value for name, value in forced.items()})
    assert all(f"{PREFIX}{name}={value}" in str(refused.value) for name, value in forced.items())
    assert "\n" not in str(refused.value)


def test_a_forced_half_of_the_pair_brings_the_other_half_that_goes_with_it() -> None:
    """Crun where no cgroups are to be made though runc is the rule, and cgroups where runc is."""
    only_v1 = replace(facts(), programs={**facts().programs, "runc": "/usr/bin/runc"})
    disabled = decide(only_v1, {PREFIX + "CGROUPS": "disabled"})
    assert (disabled.runtime, disabled.cgroups, disabled.can_run) == ("crun", "disabled", True)
    runc = decide(only_v1, {PREFIX + "RUNTIME": "runc"})
    assert (runc.runtime, runc.cgroups, runc.can_run) == ("runc", "enabled", True)


def test_where_no_runtime_starts_anything_its_containers_cannot_be_forced() -> None:
    """A node with hybrid cgroups and no runc: builds work, with chroot isolation."""
    hybrid = facts("cgroup-hybrid")
    alone = replace(hybrid, programs={name: path for name, path in hybrid.programs.items() if name != "runc"})
    assert decide(alone, {PREFIX + "RUNTIME": "crun"}).isolation == "chroot"
    for name, value in (("ISOLATION", "oci"), ("ISOLATION", "rootless")):
        with pytest.raises(PodRefusalError, match="install runc"):
            decide(alone, {PREFIX + name: value})
    with pytest.raises(PodRefusalError, match="crun refuses"):
        decide(alone, {PREFIX + "CGROUPS": "enabled"})


def test_every_choice_has_a_row() -> None:
    """A variable with fixed values is one that the pod may not allow, or one that is shown to be taken."""
    choices = {variable.name for variable in TABLE if variable.values} - {CACHE_LOCKS.name}
    assert choices <= {row[1] for row in [*REFUSED, *TAKEN]}
