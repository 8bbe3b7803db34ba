"""`decide` on the recorded facts of real pods (``podman-agent plan --facts``); ``*-composed`` ones are edited.

Facts that are younger than a recording in the virtual machine (``*-cgroup-v2``, ``*-linux-6.1``) are copied into it
from the same shape on this side.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from podman_agent.errors import (
    ConfigError,
    DataError,
    EngineMissingError,
    PodRefusalError,
    VolumeError,
)
from podman_agent.plan import decide as plan_module
from podman_agent.plan import render, storage
from podman_agent.plan.decide import decide
from podman_agent.pod.facts import Facts
from podman_agent.pod.variables import TABLE
from pods.shapes import SHAPES

if TYPE_CHECKING:
    from podman_agent.pod.values import Program

RECORDED = Path(__file__).parents[2] / "fixtures/facts"
FUSE = "/usr/bin/fuse-overlayfs"

# pod -> driver, mount program, isolation, runtime, cgroups, can run containers
EXPECTED = {
    "outer-hybrid-host": ("overlay", "", "oci", "runc", "enabled", True),
    "privileged-volume": ("overlay", "", "oci", "crun", "enabled", True),
    "privileged-no-volume": ("overlay", FUSE, "oci", "crun", "enabled", True),
    "privileged-cgroup-v2": ("overlay", "", "oci", "crun", "enabled", True),
    "privileged-cgroup-v2-host": ("overlay", "", "oci", "crun", "enabled", True),
    "least-capabilities-cgroup-v2": ("overlay", "", "chroot", "crun", "disabled", True),
    "user-1000-cgroup-v2": ("overlay", "", "chroot", "crun", "disabled", True),
    "user-namespace-cgroup-v2": ("overlay", "", "chroot", "crun", "disabled", True),
    "runtime-default-cgroup-v2": ("vfs", "", "oci", "podman-agent-chroot", "disabled", False),
    "default-tmpfs-linux-6.1": ("vfs", "", "chroot", "crun", "disabled", True),
    "privileged-sys-resource-composed": ("overlay", "", "oci", "crun", "enabled", True),
    "default-volume": ("overlay", "", "chroot", "crun", "disabled", True),
    "default-no-volume": ("vfs", "", "chroot", "crun", "disabled", True),
    "default-fuse": ("overlay", FUSE, "chroot", "crun", "disabled", True),
    "user-1000": ("overlay", "", "chroot", "crun", "disabled", True),
    "unmasked": ("overlay", "", "chroot", "crun", "disabled", True),
    "tmpfs": ("overlay", "", "chroot", "crun", "disabled", True),
    "localhost-profile": ("overlay", "", "chroot", "crun", "disabled", True),
    "bare-environment": ("overlay", "", "oci", "crun", "enabled", True),
    "user-namespaced-masked": ("overlay", "", "chroot", "crun", "disabled", True),
    "sys-admin": ("overlay", "", "chroot", "crun", "disabled", True),
    "runtime-default": ("vfs", "", "oci", "podman-agent-chroot", "disabled", False),
    "least-capabilities": ("overlay", "", "chroot", "crun", "disabled", True),
    "user-1000-no-new-privileges": ("overlay", "", "rootless", "crun", "disabled", True),
    "arbitrary-user": ("overlay", "", "rootless", "crun", "disabled", True),
    "no-cgroup": ("overlay", "", "chroot", "crun", "disabled", True),
    "low-limits": ("overlay", "", "oci", "crun", "enabled", True),
    "small-shm": ("overlay", "", "oci", "crun", "enabled", True),
    "podmans-profile": ("overlay", "", "chroot", "crun", "disabled", True),
    "bare-environment-unprivileged": ("overlay", "", "chroot", "crun", "disabled", True),
    "low-limits-unprivileged": ("overlay", "", "chroot", "crun", "disabled", True),
    "no-sys-resource": ("overlay", "", "oci", "crun", "enabled", True),
    "cgroup-v1": ("overlay", "", "oci", "crun", "enabled", True),
    "cgroup-hybrid": ("overlay", "", "oci", "runc", "enabled", True),
    "user-namespaced": ("overlay", "", "chroot", "crun", "disabled", True),
    "user-namespaced-privileged": ("overlay", "", "chroot", "crun", "disabled", True),
    "user-namespaced-default": ("overlay", "", "chroot", "crun", "disabled", True),
    "read-only-privileged": ("overlay", "", "oci", "crun", "enabled", True),
    "read-only-unprivileged": ("overlay", "", "chroot", "crun", "disabled", True),
    "ipv6-privileged": ("overlay", "", "oci", "crun", "enabled", True),
    "ipv6-unprivileged": ("overlay", "", "chroot", "crun", "disabled", True),
    "plain-privileged": ("overlay", FUSE, "oci", "crun", "enabled", True),
    "plain-unprivileged": ("vfs", "", "chroot", "crun", "disabled", True),
    "xfs": ("overlay", "", "chroot", "crun", "disabled", True),
    "btrfs": ("overlay", "", "chroot", "crun", "disabled", True),
}


def facts(pod: str = "privileged-volume") -> Facts:
    return Facts.from_json((RECORDED / f"{pod}.json").read_text())


def test_every_recorded_pod_has_a_row() -> None:
    """A recording nobody expects anything of would test nothing."""
    assert {path.stem for path in RECORDED.glob("*.json")} == set(EXPECTED)


def test_every_pod_shape_is_recorded() -> None:
    """Under its own name; `tests/pods/test_shapes.py` holds the pod's plan against it."""
    assert set(SHAPES) <= set(EXPECTED)


@pytest.mark.parametrize("pod", EXPECTED)
def test_every_recording_has_every_fact(pod: str) -> None:
    """A fact that is younger than a recording would pass for its default."""
    recorded = json.loads((RECORDED / f"{pod}.json").read_text())
    assert set(recorded) == {field.name for field in fields(Facts)}
    assert recorded["podman_version"]


@pytest.mark.parametrize("pod", EXPECTED)
def test_each_pod_gets_what_was_seen_to_work_there(pod: str) -> None:
    """Driver, mount program, isolation, runtime, cgroups and run, pod by pod."""
    plan = decide(facts(pod), {})
    row = (plan.storage_driver, plan.mount_program, plan.isolation, plan.runtime, plan.cgroups, plan.can_run)
    assert EXPECTED[pod] == row


@pytest.mark.parametrize("pod", EXPECTED)
def test_what_needs_no_systemd_and_no_journal_is_never_left_to_podman(pod: str) -> None:
    """The two flags of the seed, and the log driver that CentOS packages wrongly for a pod."""
    plan = decide(facts(pod), {})
    assert render.flags(plan)[:2] == ("--cgroup-manager=cgroupfs", "--events-backend=file")
    assert 'log_driver = "k8s-file"' in render.containers_conf(plan)


def test_systemd_in_the_container_manages_its_own_cgroups() -> None:
    """cgroupfs is for containers in which no systemd runs."""
    assert decide(replace(facts(), systemd=True), {}).cgroup_manager == "systemd"


def test_limits_stay_at_the_hard_limits_without_sys_resource() -> None:
    """`setrlimit RLIMIT_NOFILE: Operation not permitted` is what podman's own defaults give here."""
    pod = replace(facts(), nofile_hard=20000, nproc_hard=96343, pid_max=32768)
    assert decide(pod, {}).ulimits == ("nofile=20000:20000", "nproc=32768:32768")


def test_unlimited_hard_limits_are_cut_to_what_podman_can_set() -> None:
    """-1 is unlimited, not small."""
    pod = replace(facts(), nofile_hard=-1, nproc_hard=-1, pid_max=4194304)
    assert decide(pod, {}).ulimits == ("nofile=1048576:1048576", "nproc=4194304:4194304")


def test_limits_are_podmans_own_where_it_can_raise_them() -> None:
    """CAP_SYS_RESOURCE on the node's own ids."""
    assert decide(facts("privileged-sys-resource-composed"), {}).ulimits == ()


def test_sys_resource_inside_a_user_namespace_raises_nothing() -> None:
    """The kernel asks for the capability in the initial user namespace."""
    pod = replace(facts("privileged-sys-resource-composed"), uid_map=((0, 100000, 65536),))
    assert decide(pod, {}).ulimits != ()


def test_a_store_keeps_the_driver_it_was_made_with() -> None:
    """Else: `User-selected graph driver "overlay" overwritten by graph driver "vfs" from database`."""
    assert decide(replace(facts(), graphroot_driver="vfs"), {}).storage_driver == "vfs"


def test_a_store_of_another_driver_is_refused_when_the_driver_is_forced() -> None:
    """Forcing cannot convert a store."""
    pod = replace(facts(), graphroot_driver="vfs")
    with pytest.raises(ConfigError, match="made with storage driver vfs, not overlay"):
        decide(pod, {"PODMAN_AGENT_STORAGE_DRIVER": "overlay"})


def test_a_store_this_pod_cannot_use_is_refused_with_the_cure() -> None:
    """An overlay store in a pod where only vfs works."""
    pod = replace(facts("default-no-volume"), graphroot_driver="overlay")
    with pytest.raises(PodRefusalError, match=r"made with storage driver overlay, not vfs.*mount a volume"):
        decide(pod, {})


def test_overlay_cannot_be_forced_where_the_kernel_refuses_it() -> None:
    """A forced value is checked against what the pod allows."""
    with pytest.raises(PodRefusalError, match="PODMAN_AGENT_STORAGE_DRIVER=overlay cannot be had"):
        decide(facts("default-no-volume"), {"PODMAN_AGENT_STORAGE_DRIVER": "overlay"})


def test_a_missing_podman_is_said_in_one_line() -> None:
    """127, as a shell says it."""
    with pytest.raises(EngineMissingError) as raised:
        decide(replace(facts(), podman=""), {})
    assert raised.value.exit_code == 127
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("error", "cure"),
    [
        ("No space left on device", "free space"),
        ("Read-only file system", "without readOnly"),
        ("Permission denied", "fsGroup"),
    ],
)
def test_an_unwritable_volume_names_its_cure(error: str, cure: str) -> None:
    """What to change depends on what the kernel said."""
    with pytest.raises(VolumeError, match=cure):
        decide(replace(facts(), graphroot_error=error), {})


def test_an_unknown_variable_is_refused() -> None:
    """A typo in a pod template must not pass for a setting."""
    with pytest.raises(ConfigError, match="unknown variable PODMAN_AGENT_STORAGEDRIVER"):
        decide(facts(), {"PODMAN_AGENT_STORAGEDRIVER": "vfs"})


@pytest.mark.parametrize("name", [variable.name for variable in TABLE if variable.values])
def test_an_unknown_value_is_refused_and_the_known_ones_named(name: str) -> None:
    """For every variable with a list of values."""
    with pytest.raises(ConfigError, match=f"PODMAN_AGENT_{name}=nonsense.*one of: "):
        decide(facts(), {f"PODMAN_AGENT_{name}": "nonsense"})


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("STORAGE_DRIVER", "vfs", "storage_driver"),
        ("ISOLATION", "chroot", "isolation"),
        ("RUNTIME", "crun", "runtime"),
        ("CGROUPS", "disabled", "cgroups"),
        ("EVENTS", "none", "events"),
        ("LOG_DRIVER", "none", "log_driver"),
        ("NETWORK", "bridge", "network"),
        ("BUILD_FORMAT", "oci", "build_format"),
    ],
)
def test_a_forced_choice_holds_and_is_shown_as_forced(name: str, value: str, field: str) -> None:
    """One variable a choice."""
    plan = decide(facts(), {f"PODMAN_AGENT_{name}": value})
    assert getattr(plan, field) == value
    assert [r.forced for r in plan.reasons if r.choice == field] == [True]


def test_an_empty_variable_is_as_good_as_none() -> None:
    """Jenkins sets variables to nothing when a parameter is left empty."""
    assert decide(facts(), {"PODMAN_AGENT_ISOLATION": ""}) == decide(facts(), {})


@pytest.mark.parametrize("bad", ["docker.io", "=x", "docker.io=", "docker.io=https://m", 'docker.io=a"b'])
def test_a_mirror_that_is_none_is_refused(bad: str) -> None:
    """It would end up in a configuration file podman cannot read."""
    with pytest.raises(ConfigError, match="PODMAN_AGENT_MIRRORS"):
        decide(facts(), {"PODMAN_AGENT_MIRRORS": bad})


def test_every_choice_has_a_reason_and_a_source() -> None:
    """The rules that doctor prints."""
    for reason in decide(facts(), {}).reasons:
        assert reason.why
        assert reason.source.startswith("https://")


def test_recorded_facts_survive_the_round_trip() -> None:
    """What ``plan --facts`` prints is what the tests read."""
    assert Facts.from_json(facts().to_json()) == facts()


@pytest.mark.parametrize("text", ["", "[", '{"nonsense": 1}'])
def test_unreadable_facts_are_a_data_error(text: str) -> None:
    """Never a traceback."""
    with pytest.raises(DataError):
        Facts.from_json(text)


def test_decide_is_pure() -> None:
    """The whole room imports nothing that could read or write anything: errors, values and variables of the pod."""
    room = Path(plan_module.__file__).parent
    modules = [f"podman_agent.plan.{path.stem}" for path in room.glob("[a-z]*.py")]
    script = f"import sys; before = set(sys.modules); import {', '.join(modules)}; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    imported = {name for name in done.stdout.split() if name.startswith("podman_agent.")} - set(modules)
    allowed = {"podman_agent.errors", "podman_agent.plan", "podman_agent.pod"}
    assert imported - allowed == {f"podman_agent.pod.{name}" for name in ("sizes", "values", "variables")}
    assert "subprocess" not in done.stdout.split()


def test_a_small_dev_shm_moves_the_locks_to_files() -> None:
    """64 KiB of /dev/shm end podman by SIGBUS."""
    assert 'lock_type = "file"' in render.containers_conf(decide(facts("small-shm"), {}))
    assert "lock_type" not in render.containers_conf(decide(facts(), {}))


def test_run_state_goes_to_memory_only_where_run_is_a_disk_and_root_needs_no_user_namespace() -> None:
    """In a user namespace podman mounts where the next call does not see it."""
    on_disk = replace(facts(), runroot_fs="overlay")
    assert decide(on_disk, {}).runroot_in_memory
    assert not decide(replace(on_disk, runroot_fs="tmpfs"), {}).runroot_in_memory
    assert not decide(replace(on_disk, runroot="/run/mine/run"), {}).runroot_in_memory
    assert not decide(replace(facts("default-volume"), runroot_fs="overlay"), {}).runroot_in_memory


def test_exec_keeps_podmans_own_conmon_where_the_script_would_not_find_it() -> None:
    """It names both programs by their usual paths."""
    ours = "/opt/podman-agent/entrypoint/podman-agent-conmon"
    usual = replace(facts(), programs={**facts().programs, "conmon": "/usr/bin/conmon", "podman-agent-conmon": ours})
    assert decide(usual, {}).exec_monitor == ours
    for elsewhere in (
        replace(usual, podman="/usr/local/bin/podman"),
        replace(usual, programs={**usual.programs, "conmon": "/usr/libexec/podman/conmon"}),
        replace(usual, programs={name: path for name, path in usual.programs.items() if path != ours}),
    ):
        assert decide(elsewhere, {}).exec_monitor == ""
    nothing_runs = facts("runtime-default")
    assert decide(replace(nothing_runs, programs={**usual.programs, **nothing_runs.programs}), {}).exec_monitor == ""


def test_go_collects_seldom_but_not_without_bounds() -> None:
    """GOGC alone would let podman's memory grow to five times what it holds."""
    environment = render.engine_environment(decide(facts(), {}))
    assert environment["GOGC"] == "400"
    assert environment["GOMEMLIMIT"] == "1GiB"


def test_containers_of_an_unprivileged_pod_get_the_pods_proc() -> None:
    """A fresh one cannot be mounted where the kubelet masks parts of it; privileged pods mount their own."""
    assert decide(facts("least-capabilities"), {}).volumes == ("/proc:/proc",)
    assert decide(facts(), {}).volumes == ()


def test_root_of_a_user_namespace_gets_the_pods_proc_where_no_fresh_one_can_be_mounted() -> None:
    """SYS_ADMIN where the masks are another namespace's: `docker run` works with it, and the plan names the field."""
    plan = decide(replace(facts("user-namespaced-masked"), mount_proc="mount proc: Operation not permitted"), {})
    assert (plan.id_mode, plan.volumes, plan.can_run, plan.isolation) == ("root", ("/proc:/proc",), True, "chroot")
    assert "procMount: Unmasked" in next(reason.why for reason in plan.reasons if reason.choice == "volumes")


def test_a_pod_in_the_nodes_cgroup_namespace_is_told_what_its_limits_miss() -> None:
    """A privileged pod of containerd's on cgroup v2: podman makes its cgroups at the node's root."""

    def why(pod: str) -> str:
        return next(r.why for r in decide(facts(pod), {}).reasons if r.choice == "cgroups")

    assert "outside this pod's memory and cpu limits" in why("privileged-cgroup-v2-host")
    assert "outside" not in why("privileged-cgroup-v2")


def test_cgroups_cannot_be_forced_where_none_can_be_made() -> None:
    """A forced value is checked against what the pod allows."""
    with pytest.raises(PodRefusalError, match=r"CGROUPS=enabled cannot be had.*privileged"):
        decide(facts("no-cgroup"), {"PODMAN_AGENT_CGROUPS": "enabled"})


def test_only_long_verbs_are_watched_where_nothing_is_missing() -> None:
    """`docker run` and `exec` exec in a privileged pod; in others `run` has a parent, and `exec` never."""
    assert {"build", "pull", "push"} <= set(decide(facts(), {}).watched)
    assert "run" not in decide(facts(), {}).watched
    assert "run" in decide(facts("default-volume"), {}).watched
    assert "exec" not in decide(facts("default-volume"), {}).watched


def test_run_is_watched_where_no_container_starts() -> None:
    """So that crun's refusal of hybrid cgroups is followed by its cure."""
    hybrid = facts("cgroup-hybrid")
    assert "run" not in decide(hybrid, {}).watched
    alone: dict[Program, str] = {name: path for name, path in hybrid.programs.items() if name != "runc"}
    assert "run" in decide(replace(hybrid, programs=alone), {}).watched


@pytest.mark.parametrize("pod", ["read-only-privileged", "read-only-unprivileged"])
def test_what_podman_keeps_in_run_goes_elsewhere_under_a_read_only_root(pod: str) -> None:
    """`mkdir /run/libpod: read-only file system`, and crun's `/run/crun`."""
    plan = decide(facts(pod), {})
    assert 'tmp_dir = "/tmp/podman-agent-0/libpod"' in render.containers_conf(plan)
    assert "--runtime-flag=root=/tmp/podman-agent-0/runtime" in render.flags(plan)
    assert render.engine_environment(plan)["XDG_RUNTIME_DIR"] == "/tmp/podman-agent-0"


def test_run_stays_podmans_own_where_it_can_be_written_and_for_other_users() -> None:
    """A rootless podman of another user never asks for /run."""
    for pod in (facts(), replace(facts("user-1000"), run_directory="/tmp/podman-agent-1000")):
        plan = decide(pod, {})
        assert "\ntmp_dir" not in render.containers_conf(plan)
        assert len(render.flags(plan)) == 2


def test_build_steps_are_no_containers_where_the_only_runtime_refuses_the_node() -> None:
    """`cgroups in hybrid mode not supported, drop all controllers from cgroupv2`."""
    hybrid = facts("cgroup-hybrid")
    assert decide(hybrid, {}).isolation == "oci"
    crun: dict[Program, str] = {name: path for name, path in hybrid.programs.items() if name != "runc"}
    alone = decide(replace(hybrid, programs=crun), {})
    assert (alone.isolation, alone.can_run) == ("chroot", False)


def test_runc_is_not_taken_where_there_is_no_cgroup_for_it() -> None:
    """`requested OCI runtime runc is not compatible with NoCgroups`."""
    for pod in (replace(facts("cgroup-hybrid"), cgroup_writable=False), replace(facts("xfs"), cgroup="hybrid")):
        plan = decide(pod, {})
        assert (plan.runtime, plan.cgroups, plan.isolation, plan.can_run) == ("crun", "disabled", "chroot", False)


@pytest.mark.parametrize("file_system", storage.NETWORK_FILE_SYSTEMS)
def test_a_network_file_system_is_refused_by_its_name_in_a_user_namespace(file_system: str) -> None:
    """By podman, where the kernel would have mounted overlay on it: OCFS2, GPFS and Lustre can be such."""
    plan = decide(replace(facts("default-volume"), graphroot_fs=file_system), {})
    assert plan.storage_driver == "vfs"
    assert next(r.why for r in plan.reasons if r.choice == "storage_driver").count(file_system) == 1
    assert decide(replace(facts(), graphroot_fs=file_system), {}).storage_driver == "overlay"


@pytest.mark.parametrize("name", ["MIRRORS", "INSECURE_REGISTRIES"])
def test_an_ipv6_address_in_a_registry_is_refused_with_the_cure(name: str) -> None:
    """Podman ends with `invalid reference format`."""
    value = "docker.io=[::1]:5000" if name == "MIRRORS" else "[::1]:5000"
    with pytest.raises(ConfigError, match=r"no image name of podman's may hold.*write a host name"):
        decide(facts(), {f"PODMAN_AGENT_{name}": value})
