"""What the plan makes of what a pod allows with user ids and namespaces."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from podman_agent.errors import PodRefusalError
from podman_agent.plan import render, users
from podman_agent.plan.decide import decide
from unit.plan.test_decide import facts

if TYPE_CHECKING:
    from podman_agent.pod.capabilities import Capability

# what jenkins/pods/unprivileged.yaml adds
TEMPLATE: tuple[Capability, ...] = ("DAC_OVERRIDE", "SETFCAP", "SETGID", "SETUID")


def test_one_mapped_id_ignores_other_owners_and_hides_the_ranges() -> None:
    """newuidmap would fail on the ranges that /etc/subuid gives this user."""
    plan = decide(facts("user-1000-no-new-privileges"), {})
    assert 'ignore_chown_errors = "true"' in render.storage_conf(plan)
    assert render.engine_environment(plan)["USER"] == "no-subordinate-ids"


def test_a_pod_without_namespaces_gets_the_runtime_that_only_chroots() -> None:
    """RuntimeDefault."""
    plan = decide(facts("runtime-default"), {})
    assert "[engine.runtimes]" in render.containers_conf(plan)
    with pytest.raises(PodRefusalError, match=r"RUNTIME=crun cannot be had.*seccompProfile"):
        decide(facts("runtime-default"), {"PODMAN_AGENT_RUNTIME": "crun"})


@pytest.mark.parametrize("lost", users.CHROOT_CAPABILITIES)
def test_a_build_without_a_namespace_needs_capabilities_and_the_refusal_names_those_that_lack(lost: str) -> None:
    """Each was seen to be missed: by a layer's owners, a step's user, or when an aborted step is ended."""
    pod = facts("runtime-default")
    least = replace(pod, capabilities=users.CHROOT_CAPABILITIES)
    assert decide(least, {}).id_mode == "none"
    with pytest.raises(PodRefusalError, match=rf"neither build nor run.*seccompProfile.*capabilities.add: \[{lost}\]"):
        decide(replace(pod, capabilities=tuple(set(least.capabilities) - {lost})), {})


def test_the_unprivileged_template_under_runtime_default_is_told_what_to_add() -> None:
    """A node with the kubelet's seccompDefault; another user cannot be helped by capabilities."""
    pod = facts("runtime-default")
    with pytest.raises(PodRefusalError) as refused:
        decide(replace(pod, capabilities=TEMPLATE), {})
    assert "capabilities.add: [CHOWN, FOWNER, FSETID, KILL, SYS_CHROOT]" in str(refused.value)
    assert "\n" not in str(refused.value)
    with pytest.raises(PodRefusalError) as refused:
        decide(replace(pod, uid=1000), {})
    assert "capabilities.add" not in str(refused.value)


def test_a_user_without_subordinate_ids_maps_one() -> None:
    """An image whose /etc/subuid does not know the uid."""
    assert decide(replace(facts("user-1000"), subordinate_ids=0), {}).id_mode == "single"


def test_a_profile_that_refuses_host_names_leaves_containers_the_pods() -> None:
    """Podman's own profile, under which `run` ends with `sethostname: Operation not permitted`."""
    plan = decide(facts("podmans-profile"), {})
    assert 'utsns = "host"' in render.containers_conf(plan)
    assert "utsns" not in render.containers_conf(decide(facts("default-volume"), {}))


def test_a_profile_that_refuses_chroot_is_refused_with_the_capability_that_helps() -> None:
    """The same profile where the pod does not add SYS_CHROOT: no layer can be unpacked."""
    with pytest.raises(PodRefusalError, match="SYS_CHROOT"):
        decide(replace(facts("podmans-profile"), chroot="Operation not permitted"), {})
