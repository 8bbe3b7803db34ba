"""The memory limit of a container, read from trees as the kernel shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from podman_agent.explain import cure
from podman_agent.pod import memory

if TYPE_CHECKING:
    from pathlib import Path

MI = 1 << 20
V1_NONE = 9223372036854771712  # PAGE_COUNTER_MAX of 4 KiB pages


def v2(group: Path, limit: str, *, killed: int = 0) -> None:
    group.mkdir(parents=True, exist_ok=True)
    (group / "memory.max").write_text(f"{limit}\n")
    (group / "memory.current").write_text(f"{300 * MI}\n")
    (group / "memory.stat").write_text(f"anon {200 * MI}\ninactive_file {100 * MI}\n")
    (group / "memory.events").write_text(f"low 0\nhigh 0\nmax 9\noom 1\noom_kill {killed}\n")


def v1(group: Path, limit: int, *, killed: int = 0) -> None:
    group.mkdir(parents=True)
    (group / "memory.limit_in_bytes").write_text(f"{limit}\n")
    (group / "memory.usage_in_bytes").write_text(f"{300 * MI}\n")
    (group / "memory.stat").write_text(f"inactive_file 1\ntotal_inactive_file {100 * MI}\n")
    (group / "memory.oom_control").write_text(f"oom_kill_disable 0\nunder_oom 0\noom_kill {killed}\n")


def read(tmp_path: Path, own: str) -> memory.Memory | None:
    (tmp_path / "own").write_text(own)
    return memory.read(tmp_path / "cgroup", tmp_path / "own")


def test_v2_in_a_cgroup_namespace_of_its_own(tmp_path: Path) -> None:
    v2(tmp_path / "cgroup", str(512 * MI), killed=2)
    found = read(tmp_path, "0::/\n")
    assert found == memory.Memory(limit=512 * MI, used=200 * MI, killed=2)
    assert found.field == "resources.limits.memory: 512Mi"


def test_v2_where_podman_has_moved_the_process_to_a_leaf(tmp_path: Path) -> None:
    v2(tmp_path / "cgroup", str(512 * MI))
    v2(tmp_path / "cgroup/init", "max")
    found = read(tmp_path, "0::/init\n")
    assert found
    assert found.limit == 512 * MI


def test_v2_of_the_node_itself_has_no_files(tmp_path: Path) -> None:
    """A privileged pod of containerd's sees the node's root: the limit is at its own place below."""
    v2(tmp_path / "cgroup/kubepods/pod1/c1", str(1 << 30))
    found = read(tmp_path, "0::/kubepods/pod1/c1\n")
    assert found
    assert found.field == "resources.limits.memory: 1Gi"


def test_v1_of_a_container_whose_path_is_the_nodes(tmp_path: Path) -> None:
    v1(tmp_path / "cgroup/memory", 512 * MI, killed=1)
    found = read(tmp_path, "4:memory:/kubepods/pod1/c1\n0::/\n")
    assert found == memory.Memory(limit=512 * MI, used=200 * MI, killed=1)


@pytest.mark.parametrize("own", ["0::/\n", "4:memory:/\n", "", "nonsense"])
def test_nothing_is_said_where_there_is_no_cgroup_to_be_seen(tmp_path: Path, own: str) -> None:
    assert read(tmp_path, own) is None


def test_no_limit(tmp_path: Path) -> None:
    v1(tmp_path / "cgroup/memory", V1_NONE)
    found = read(tmp_path, "4:memory:/\n")
    assert found
    assert (found.limit, found.field) == (0, "")


@pytest.mark.parametrize(("size", "text"), [(1 << 30, "1Gi"), (1536 * MI, "1536Mi"), (1000, "1000"), (10240, "10Ki")])
def test_the_limit_as_a_template_has_it(size: int, text: str) -> None:
    assert memory.quantity(size) == text


@pytest.mark.parametrize(
    ("killed", "said"),
    [
        (1, "a program was killed by the kernel at this container's memory limit (resources.limits.memory: 512Mi); "),
        (0, "as the kernel does when the pod's memory limit is reached (resources.limits.memory: 512Mi); "),
    ],
)
def test_a_killed_step_is_told_the_limit(monkeypatch: pytest.MonkeyPatch, killed: int, said: str) -> None:
    monkeypatch.setattr(memory, "read", lambda: memory.Memory(512 * MI, 500 * MI, killed))
    words = 'Error: building at STEP "RUN make": while running runtime: exit status 137'
    assert said in cure.cure(words, 137, lambda _, **__: "")
