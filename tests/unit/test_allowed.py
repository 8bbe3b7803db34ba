"""A forced choice that this pod cannot have is refused in one line; one that it can have is taken."""

from __future__ import annotations

from dataclasses import replace

import pytest
from podman_agent.errors import PodRefusalError
from podman_agent.overrides import OVERRIDES, PREFIX
from podman_agent.plan import decide
from unit.test_plan import facts

# pod, variable, value, a word of the cure; each seen to fail there with the real podman before it was refused
REFUSED = [
    ("least-capabilities", "EVENTS", "journald", "drop the variable"),
    ("least-capabilities", "LOG_DRIVER", "journald", "drop the variable"),
    ("user-1000-subordinate-ids", "CGROUP_MANAGER", "systemd", "drop the variable"),
    ("least-capabilities", "CGROUPS", "enabled", "privileged: true"),
    ("no-cgroup", "CGROUPS", "enabled", "privileged: true"),
    ("least-capabilities", "NETWORK", "bridge", "privileged: true"),
    ("user-1000-subordinate-ids", "NETWORK", "bridge", "privileged: true"),
    ("sys-admin", "NETWORK", "bridge", "NET_ADMIN"),
    ("no-cgroup", "ISOLATION", "oci", "chroot"),
    ("default-no-volume", "STORAGE_DRIVER", "overlay", "emptyDir or PVC"),
    ("runtime-default", "RUNTIME", "crun", "seccompProfile"),
    ("user-1000-no-new-privileges", "ISOLATION", "chroot", "seccompProfile"),
]
TAKEN = [
    ("privileged-volume", "NETWORK", "bridge"),
    ("privileged-volume", "ISOLATION", "chroot"),
    ("privileged-volume", "CGROUPS", "disabled"),
    ("least-capabilities", "ISOLATION", "oci"),
    ("least-capabilities", "NETWORK", "none"),
    ("least-capabilities", "STORAGE_DRIVER", "vfs"),
    ("least-capabilities", "EVENTS", "none"),
    ("least-capabilities", "LOG_DRIVER", "passthrough"),
    ("least-capabilities", "BUILD_FORMAT", "oci"),
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


def test_a_runtime_that_cannot_start_anything_is_refused() -> None:
    """Runc without cgroups, and crun's containers on a node with hybrid ones."""
    programs = {**facts("least-capabilities").programs, "runc": "/usr/bin/runc"}
    with pytest.raises(PodRefusalError, match="drop the variable"):
        decide(replace(facts("least-capabilities"), programs=programs), {PREFIX + "RUNTIME": "runc"})
    hybrid = replace(facts(), cgroup="hybrid")
    assert decide(replace(hybrid, programs=programs), {PREFIX + "ISOLATION": "oci"}).isolation == "oci"
    without = {name: path for name, path in programs.items() if name != "runc"}
    with pytest.raises(PodRefusalError, match="install runc"):
        decide(replace(hybrid, programs=without), {PREFIX + "ISOLATION": "oci"})


def test_every_choice_has_a_row() -> None:
    """A variable with fixed values is one that the pod may not allow, or one that is shown to be taken."""
    choices = {name for name, values in OVERRIDES.items() if len(values) > 1} - {"CACHE_LOCKS"}
    assert choices <= {row[1] for row in [*REFUSED, *TAKEN]}
