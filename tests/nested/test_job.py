"""The seed's job in real pods, and what the pod's own podman says when things are not as they should be."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import outer
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.nested
HELLO = r"printf 'FROM busybox\nRUN echo \"hello world\"\n'"


def test_the_demo_runs_the_job_in_four_pods_and_compares_digests() -> None:
    """`make demo`, as a new user types it; its own checks are the assertions."""
    done = subprocess.run(
        [sys.executable, str(outer.ROOT / "tools/demo.py")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    table = [line.split() for line in done.stdout.rpartition("\nstep")[2].splitlines()[2:]]
    assert [row[-1] for row in table] == ["-", "built", "cached", "built", "cached", "-"]


def left_behind(name: str) -> list[str]:
    """Containers, volumes, directories and mounts with this name in them."""
    listed = outer.podman("ps", "-a", "--format", "{{.Names}} {{.PodName}}").stdout.splitlines()
    listed += outer.podman("volume", "ls", "-q").stdout.splitlines()
    listed += Path("/proc/self/mounts").read_text().splitlines()
    listed += [str(path) for path in outer.CACHE.iterdir()]
    return [line for line in listed if name in line]


@pytest.mark.usefixtures("default_signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_nothing_running_and_nothing_mounted(number: signal.Signals) -> None:
    """Ctrl-C in the middle of the first pod's job."""
    name = f"{outer.NAME}-interrupted-{number}-{os.getpid()}"
    process = subprocess.Popen(
        [sys.executable, "-u", str(outer.ROOT / "tools/demo.py")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, "JPA_NAME": name},
    )
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            if line.startswith("== "):
                break
        time.sleep(0.5)  # somewhere in the pod's start or its job
        os.killpg(process.pid, number)
        output = process.stdout.read()
    assert process.wait(60) == 130, output
    assert "interrupted" in output
    assert left_behind(name) == []
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def test_the_plan_of_a_privileged_pod(pod: Callable[..., outer.Pod]) -> None:
    """What was decided there, said by the command itself."""
    with pod() as agent:
        plan = json.loads(agent.sh("podman-agent plan --json").stdout)
        text = agent.sh("podman-agent plan").stdout
    assert (plan["storage_driver"], plan["isolation"], plan["runtime"]) == ("overlay", "oci", "crun")
    assert (plan["cgroups"], plan["cgroup_manager"], plan["events"]) == ("enabled", "cgroupfs", "file")
    assert text.count("https://") == len(plan["reasons"])


def test_podman_buildah_and_skopeo_called_by_full_path_follow_the_plan(pod: Callable[..., outer.Pod]) -> None:
    """Once the plan is made it is in /etc/containers, where every tool reads it; env -i takes our variables away."""
    with pod() as agent:
        agent.sh("docker ps")
        agent.sh(HELLO + " | env -i PATH=$PATH /usr/bin/podman build -t a -")
        info = json.loads(agent.sh("env -i PATH=$PATH /usr/bin/podman info --format json").stdout)
        agent.sh("env -i PATH=$PATH /usr/bin/podman run --rm a true")
        agent.sh("env -i PATH=$PATH /usr/bin/buildah images | grep localhost/a")
        inspected = json.loads(
            agent.sh("env -i PATH=$PATH /usr/bin/skopeo inspect containers-storage:localhost/a").stdout
        )
        built = json.loads(agent.sh("podman image inspect a").stdout)[0]
    assert info["store"]["graphDriverName"] == "overlay"
    assert info["host"]["eventLogger"] == "file"
    assert info["host"]["logDriver"] == "k8s-file"
    assert inspected["Name"] == "localhost/a"
    assert built["ManifestType"] == "application/vnd.docker.distribution.manifest.v2+json"


def test_healthcheck_shell_and_onbuild_are_kept(pod: Callable[..., outer.Pod]) -> None:
    """The OCI format drops all three with a warning."""
    lines = ["FROM busybox", 'SHELL ["/bin/sh", "-e", "-c"]', "HEALTHCHECK CMD true", "ONBUILD RUN true"]
    with pod() as agent:
        done = agent.sh("docker build -t kept - <<'E'\n" + "\n".join(lines) + "\nE")
        config = json.loads(agent.sh("skopeo inspect --config --raw containers-storage:localhost/kept").stdout)[
            "config"
        ]
    assert "not supported" not in done.stderr
    assert config["Healthcheck"]["Test"] == ["CMD-SHELL", "true"]
    assert config["OnBuild"] == ["RUN true"]
    assert config["Shell"] == ["/bin/sh", "-e", "-c"]


def test_containers_run_have_limits_and_are_listed_by_top(pod: Callable[..., outer.Pod]) -> None:
    """Cgroups are enabled; `docker top` is what docker-workflow's inside() cannot do without."""
    with pod() as agent:
        agent.sh("docker run -d --name c --memory 64m busybox cat; docker run -d -t --name t busybox cat")
        assert "cat" in agent.sh("docker top t -eo pid,comm").stdout
        files = agent.sh("docker exec t cat /proc/self/limits").stdout
        agent.sh("docker rm -f -t 0 c t")
    assert "Max open files            20000" in files or "Max open files            1048576" in files


@pytest.mark.parametrize(
    ("broken", "code", "words"),
    [
        ("mv /usr/bin/podman /usr/bin/podman.away", 127, "podman is not installed"),
        ("until mount -o remount,ro,bind /var/lib/containers; do sleep 0.1; done", 73, "Read-only file system"),
        ("mount -t tmpfs -o size=4k none /var/lib/containers", 73, "No space left on device"),
        ("export PODMAN_AGENT_STORAGE_DRIVER=zfs", 78, "set it to one of: overlay, vfs"),
    ],
)
def test_a_refusal_is_one_line_on_stderr(pod: Callable[..., outer.Pod], broken: str, code: int, words: str) -> None:
    """On the first call, in a real pod."""
    with pod() as agent:
        done = agent.sh(f"{broken}\nexec docker ps -a", check=False, shell="sh -e")
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.count("\n") == 1
    assert words in done.stderr


def test_a_graphroot_of_another_driver_keeps_it(pod: Callable[..., outer.Pod]) -> None:
    """Made with vfs once, used with vfs ever after; forcing overlay on it is refused, and nothing is lost."""
    mine = {"PODMAN_AGENT_GRAPHROOT": "/var/lib/containers/mine"}
    with pod(PODMAN_AGENT_STORAGE_DRIVER="vfs", **mine) as agent:
        agent.sh(HELLO + " | docker build -t kept -")
    with pod(**mine) as agent:
        assert "vfs" in agent.sh("podman info --format '{{.Store.GraphDriverName}}'").stdout
        assert "Using cache" in agent.sh(HELLO + " | docker build -").stdout
    with pod(PODMAN_AGENT_STORAGE_DRIVER="overlay", **mine) as agent:
        done = agent.sh("docker images", check=False)
        assert (done.returncode, done.stdout) == (78, "")
        assert "was made with storage driver vfs, not overlay" in done.stderr
    with pod(**mine) as agent:
        assert "kept" in agent.sh("docker images").stdout


def test_pods_that_force_vfs_have_stores_of_their_own_on_the_volume(pod: Callable[..., outer.Pod]) -> None:
    """So that one such pod does not make all others slow."""
    driver = "podman info --format '{{.Store.GraphDriverName}}'"
    with pod(PODMAN_AGENT_STORAGE_DRIVER="vfs") as agent:
        agent.sh(HELLO + " | docker build -t kept -")
    with pod() as agent:
        assert agent.sh(driver).stdout == "overlay\n"
    with pod(PODMAN_AGENT_STORAGE_DRIVER="vfs") as agent:
        assert agent.sh(driver).stdout == "vfs\n"
        assert "kept" in agent.sh("docker images").stdout


def test_eight_first_calls_at_once_all_succeed(pod: Callable[..., outer.Pod]) -> None:
    """Parallel stages of a fresh pod, on the real engine."""
    script = 'for i in 1 2 3 4 5 6 7 8; do docker images -q >/tmp/$i.out 2>&1 & pids="$pids $!"; done\n'
    script += "for pid in $pids; do wait $pid; done; cat /tmp/*.out"
    with pod() as agent:
        assert agent.sh(script, shell="sh -e").stdout == ""


def test_a_refused_first_call_does_not_stop_docker_version(pod: Callable[..., outer.Pod]) -> None:
    """The plugin's version probe comes before anything else."""
    with pod() as agent:
        done = agent.sh("until mount -o remount,ro,bind /var/lib/containers; do sleep 0.1; done; docker --version")
    assert done.stdout.count("\n") == 1


def test_login_goes_to_docker_config_and_dies_with_it(pod: Callable[..., outer.Pod], registry: outer.Registry) -> None:
    """As withRegistry does; REGISTRY_AUTH_FILE would beat it."""
    script = f"""export DOCKER_CONFIG=/tmp/config; mkdir -p $DOCKER_CONFIG
echo "$PASSWORD" | docker login -u user --password-stdin {registry.address}
test -s /tmp/config/config.json; rm -r /tmp/config
! docker login --get-login {registry.address}"""
    with pod() as agent:
        agent.sh(script, env={"PASSWORD": registry.password})


def test_the_state_is_made_again_after_a_restart_of_the_container(pod: Callable[..., outer.Pod], volume: Path) -> None:
    """The same file system, another PID 1."""
    with pod() as agent:
        agent.sh("docker ps; cp /run/podman-agent/hot /var/lib/containers/hot-before")
        outer.podman("pod", "stop", "-t", "0", agent.name)
        outer.podman("pod", "start", agent.name)
        agent.sh("docker ps")
        after = agent.sh("cat /run/podman-agent/hot").stdout
    assert (volume / "hot-before").read_text() != after
