"""The cache volume under real podman: sudden death, many pods, a full disk, damage, warm starts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import outer
import pytest
import yaml

SOAK = Path(__file__).parents[1] / "soak"
sys.path.append(str(SOAK))

import agents  # noqa: E402
import kill  # noqa: E402
import together  # noqa: E402
from podman_agent.store import gc, layout, removal, usage  # noqa: E402
from podman_agent.store.beneath import Root  # noqa: E402
from podman_agent.store.content import image_names  # noqa: E402
from podman_agent.store.layout import HOME, Store  # noqa: E402
from podman_agent.store.locks import locked  # noqa: E402
from podman_agent.store.verify import verify  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.nested, pytest.mark.usefixtures("agent_image")]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A registry with the base images of the soak tests."""
    with outer.scratch("cache-registry") as work, agents.registry(work) as registry:
        yield registry.address


def shell(volume: Path, address: str, script: str, *, code: int = 0, **env: str) -> str:
    """Run a script in a new pod that has claimed a store; gives all its output."""
    pod = agents.Worker(volume, address, "claim", "shell", script, env=env)
    text = "\n".join(pod.lines())
    assert pod.wait() == code, text
    return text


def test_after_each_of_30_sudden_deaths_the_next_pod_builds_the_right_image(
    volume: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kill, "LONGEST_LIFE", 1.2)
    killed, twin = volume / "killed", volume / "twin"
    for path in (killed, twin):
        path.mkdir()
    done, failures, load = kill.kill_loop(killed, address, mode="claim", kills=30, seconds=600)
    kill.unkilled(twin, address, "claim")
    assert (done, failures, load) == (30, [], [])
    assert kill.damage(killed) == []
    gc.collect(killed, gc.Policy())
    for path in (killed, twin):
        kill.keep_only_base(path)
    assert usage.usage([killed], Root(killed)) == pytest.approx(usage.usage([twin], Root(twin)), rel=0.05)


def test_pods_at_once_on_one_volume_do_not_disturb_each_other(volume: Path, address: str) -> None:
    result = together.together(volume, address, "claim", 4, 8)
    assert result["failures"] == []
    assert len(list(layout.all_stores(volume / "together-claim"))) == 4


def test_a_disk_that_fills_up_at_random_moments_leaves_a_store_that_works_when_there_is_space(volume: Path) -> None:
    done = subprocess.run(
        [sys.executable, SOAK / "kill.py", "--full", "--kills", "5", "--work", volume],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout)
    assert (result["kills"], result["failures"], result["damage"]) == (5, [], [])


def test_podman_and_verify_agree_on_a_sound_store_and_on_a_damaged_one(volume: Path, address: str) -> None:
    build = f"printf 'FROM {address}/soak/base:1\\nRUN rm -r /data/d0; ln -s x /l; mkdir -m 1777 /t\\n'"
    shell(volume, address, f"{build} | podman build -q -t app - && podman system check")
    [store] = layout.all_stores(volume)
    report = verify(store.graphroot)
    assert (report.damage, report.unproven) == ([], [])
    assert report.layers >= 7
    with next(p for p in store.graphroot.glob("overlay/*/diff/data/d3/7")).open("r+b") as file:
        file.seek(1000)
        file.write(b"damage")
    [damage] = verify(store.graphroot).damage
    assert "its digest is not" in damage.why
    assert set(damage.images) == {f"{address}/soak/base:1", "localhost/app:latest"}
    assert damage.id in shell(volume, address, "! podman system check 2>&1")


def test_containers_and_anonymous_volumes_of_a_dead_pod_are_gone_and_named_volumes_stay(
    volume: Path, address: str
) -> None:
    left = f"podman run -d --name web -v kept:/k -v /anonymous {address}/soak/base:1 sleep 1000"
    pod = agents.Worker(volume, address, "claim", "shell", f"{left} >/dev/null; echo up; sleep 1000")
    assert "up" in pod.lines()
    pod.kill()
    pod.wait()
    seen = shell(volume, address, "podman ps -aq --external; podman volume ls -q; podman run --rm --name web "
                 f"-v kept:/k {address}/soak/base:1 echo again")  # fmt: skip
    assert seen.splitlines()[1:] == ["kept", "again"]


def test_a_warm_image_is_built_on_by_a_new_key_without_a_pull(volume: Path, address: str) -> None:
    warm = "PYTHONPATH=/pylib python3 -m podman_agent.cli cache warm --key team"
    assert "team/sealed/1: 1 images" in shell(volume, address, f"{warm} {address}/soak/base:1")
    assert "team/sealed/2: 2 images" in shell(volume, address, f"{warm} {address}/soak/other:1")
    build = f"printf 'FROM {address}/soak/other:1\\nRUN sha256sum -c -s /sums\\n' | podman build --pull=never -"
    text = shell(volume, address, build, PODMAN_AGENT_CACHE_KEY="team")
    assert "2 images by hard links" in text
    store = Store(volume / HOME / "team/0")
    removal.remove(volume / HOME / "team/sealed")
    assert verify(store.graphroot).damage == []
    assert f"{address}/soak/base:1" in image_names(store.graphroot)


LOCKS_STAY_ON_THE_NODE = """
import os, subprocess, sys
from pathlib import Path
from podman_agent.store import claim, locks
from podman_agent.store.layout import Store
for name in ("lower", "upper", "work", "a", "b"):
    Path("/var/lib/containers/fuse", name).mkdir(parents=True, exist_ok=True)
os.chdir("/var/lib/containers/fuse")
key = "podman-agent/tried"
Path("lower", key, "0").mkdir(parents=True)
for node in ("a", "b"):
    subprocess.run(["fuse-overlayfs", "-o", "lowerdir=lower,upperdir=upper,workdir=work", node], check=True)
fd = locks.try_lock(Store(Path("a", key, "0").absolute()))
print("both nodes got the lock:", locks.try_lock(Store(Path("b", key, "0").absolute())) is not None)
print("the trial alone says:", repr(locks.trial(Path("a", key).absolute())))
ours = claim(Path("a").resolve(), key=None, env={"HOSTNAME": "agent-1"}, legacy=Path("/x"), run=Path("/run/t"))
print(ours.store, "|", ours.message)
"""


def test_a_network_volume_whose_locks_stay_on_each_node_is_not_shared_simulated_by_two_fuse_mounts(
    volume: Path, address: str
) -> None:
    text = shell(volume, address, f"PYTHONPATH=/pylib python3 - <<'EOF'\n{LOCKS_STAY_ON_THE_NODE}\nEOF")
    assert "both nodes got the lock: True" in text
    assert "the trial alone says: ''" in text, "one node cannot see it: hence the rule by file system type"
    assert "default/pod-agent-1 | the cache volume cannot be shared (fuse.fuse-overlayfs may keep locks" in text


def test_the_holder_survives_its_step_and_dies_with_the_container(volume: Path, address: str) -> None:
    pod = agents.Worker(volume, address, "claim", "shell", "echo up; sleep 1000")
    assert "up" in pod.lines()
    [store] = layout.all_stores(volume)
    with locked(store) as free:
        assert not free
    pod.kill()
    pod.wait()
    with locked(store) as free:
        assert free


def test_gc_needs_only_the_rights_its_cronjob_gives_it(volume: Path, address: str) -> None:
    left = f"podman run -d {address}/soak/base:1 sleep 1000 >/dev/null; echo up; sleep 1000"
    pod = agents.Worker(volume, address, "claim", "shell", left)
    assert "up" in pod.lines()
    pod.kill()
    pod.wait()
    job = yaml.safe_load((outer.ROOT / "jenkins/cache/gc-pvc.yaml").read_text())
    [container] = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    given = container["securityContext"]["capabilities"]
    options = [f"--cap-drop={c}" for c in given["drop"]] + [f"--cap-add={c}" for c in given["add"]]
    done = outer.podman(
        *("run", "--rm", "--network", "host", "--security-opt", "no-new-privileges", *options, "--entrypoint="),
        *(
            f"--volume={volume}:/var/lib/containers",
            f"--volume={agents.ROOT}/pylib:/pylib:ro",
            "--env=PYTHONPATH=/pylib",
        ),
        *(outer.IMAGE, "python3", "-m", "podman_agent.cli", *container["command"][1:]),
    )
    assert "default/0: removed 1 dead container" in done.stdout
    [store] = layout.all_stores(volume)
    assert verify(store.graphroot).damage == []


def test_real_pods_claim_through_the_shim_and_a_killed_holder_is_noticed_by_the_next_call(
    pod: Callable[..., outer.Pod],
) -> None:
    where = "podman info --format '{{.Store.GraphRoot}}'"
    with pod() as first, pod() as second:
        assert first.sh(where).stdout.split() == ["/var/lib/containers/podman-agent/default/0/storage"]
        assert second.sh(where).stdout.split() == ["/var/lib/containers/podman-agent/default/1/storage"]
        holder = "for p in /proc/[0-9]*; do readlink $p/fd/10 | grep -q '/lock$' && echo ${p#/proc/}; done; true"
        [before] = first.sh(holder).stdout.split()
        first.sh(f"kill -9 {before}")
        assert first.sh(where).stdout.split() == ["/var/lib/containers/podman-agent/default/0/storage"]
        [after] = first.sh(holder).stdout.split()
        assert after != before
        assert first.sh("podman-agent cache ls").stdout.count("claimed") == 2
