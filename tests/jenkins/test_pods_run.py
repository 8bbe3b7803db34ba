"""The pod templates started for real, and how their builds end, with `podman kube play` in the kubelet's place."""

from __future__ import annotations

import re
import shlex
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import outer
import pytest
from podman_agent.jenkins.pod import PodOptions
from podman_agent.jenkins.pod import pod as made

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
BUILD = "printf 'FROM busybox\\nRUN echo built\\n' | docker build -t probe -"
SECRET = "cafe" * 16
pytestmark = pytest.mark.nested


@pytest.fixture
def play(agent_image: str, mirror: outer.Registry, volume: Path) -> Callable[..., outer.Pod]:
    """Make a pod of a template; what `kube play` 4.3 cannot do is replaced by the nearest that it can."""
    assert agent_image

    def make(template: str, container: str = "podman", **env: str) -> outer.Pod:
        env = {"PODMAN_AGENT_MIRRORS": f"docker.io={mirror.address}", **env}
        pod = outer.Pod(
            ROOT / f"jenkins/pods/{template}.yaml", host_path=volume, claim=f"{outer.NAME}-jenkins-pods", env=env
        )
        # An emptyDir would be one volume for all pods here, a claim template is refused.
        directory = f'hostPath: {{path: "{volume}", type: DirectoryOrCreate}}\n'
        pod.text = re.sub(r"(emptyDir|ephemeral):\n( {8,}.*\n)+", directory, pod.text)
        pod.container = container
        return pod

    return make


@pytest.fixture
def ids_for_user_namespaces() -> Iterator[None]:
    """The range that `kube play` takes the ids of `hostUsers: false` from (containers-storage.conf(5))."""
    paths = [Path("/etc/subuid"), Path("/etc/subgid")]
    before = [path.read_text() for path in paths]
    for path, text in zip(paths, before, strict=True):
        if "containers:" not in text:
            path.write_text(f"{text}containers:2147483647:2147483648\n")
    yield
    for path, text in zip(paths, before, strict=True):
        path.write_text(text)


@pytest.mark.parametrize("template", ["unprivileged", "privileged-hostpath", "privileged-pvc", "privileged-ephemeral"])
def test_pod_starts_and_builds(play: Any, template: str) -> None:
    with outer.volume("jenkins-pods-test"), play(template) as pod:
        assert "built" in pod.sh(BUILD, merge=True).stdout


@pytest.mark.usefixtures("ids_for_user_namespaces")
def test_user_namespaced_pod_starts_with_ids_of_its_own_and_builds(play: Any, volume: Path) -> None:
    """Without a network, because only the owner of one may mount /sys; a kubelet gives the pod one, and 65536 ids."""
    # A kubelet maps the ids of the volume as well.
    volume.chmod(0o777)
    pod = play("userns")
    try:
        outer.podman("kube", "play", "--network", "none", "-", stdin=pod.text)
        first, outside, _ = pod.sh("cat /proc/self/uid_map").stdout.split()
        assert first == "0"
        assert int(outside) > 0
        outer.podman("cp", shutil.which("busybox") or "busybox", f"{pod.name}-podman:/tmp/busybox")
        build = 'printf \'FROM scratch\\nCOPY busybox /bin/busybox\\nRUN ["/bin/busybox", "echo", "built"]\\n\''
        assert "built" in pod.sh(f"{build} >/tmp/Dockerfile; docker build -t probe /tmp", merge=True).stdout
    finally:
        pod.__exit__()


def until(holds: Callable[[], object], seconds: float = 30) -> object:
    deadline = time.monotonic() + seconds
    while not (found := holds()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def logs(pod: outer.Pod) -> str:
    done = outer.podman("logs", f"{pod.name}-{pod.container}", check=False)
    return done.stdout + done.stderr


def test_single_container_is_the_inbound_agent_on_the_images_own_java(play: Any, controller: Any) -> None:
    env = {"JENKINS_URL": controller.url, "JENKINS_SECRET": SECRET, "JENKINS_AGENT_NAME": "one"}
    with play("single-container", "jnlp", **env, JAVA_OPTS="-Dstay=true") as pod:
        assert until(lambda: "java 21" in logs(pod)), logs(pod)
        assert f"secret {SECRET}" in logs(pod)
        assert "mode rw-------" in logs(pod)
        argv = pod.sh("tr '\\0' ' ' </proc/1/cmdline; cat /proc/[0-9]*/cmdline | tr '\\0' ' '").stdout
        assert "catatonit" in argv.split()[0]
        assert "-jar" in argv
        assert SECRET not in argv
        assert "built" in pod.sh(BUILD, merge=True).stdout


def test_sidecar_runs_beside_an_inbound_agent_whose_part_our_image_plays(play: Any, controller: Any) -> None:
    pod = play("sidecar")
    [image] = re.findall(r"image: (localhost/.*)", pod.text)
    pod.text = pod.text.replace(
        "image: jenkins/inbound-agent:latest-jdk21",
        f"image: {image}\n      imagePullPolicy: Never\n      env:\n"
        f'        - name: JENKINS_URL\n          value: "{controller.url}"\n'
        '        - name: JAVA_OPTS\n          value: "-Dstay=true"',
    )
    with pod:
        assert "built" in pod.sh(BUILD, merge=True).stdout
        pod.container = "jnlp"
        assert until(lambda: "java 21" in logs(pod)), logs(pod)


def start_work(pod: outer.Pod) -> None:
    """A build in the middle of a step, as a Jenkins step leaves it behind, and a container of a pipeline's own."""
    pod.sh(
        "printf 'FROM busybox\\nRUN echo first\\nRUN echo reached; sleep 300\\n' >/tmp/Dockerfile; docker pull busybox"
    )
    pod.sh("docker run -d --name web busybox sleep 300")
    pod.sh(
        "(setsid docker build -t slow -f /tmp/Dockerfile /etc/apt || echo $? >/tmp/code) >/tmp/log 2>&1 </dev/null &"
    )
    assert until(lambda: "reached" in pod.sh("cat /tmp/log").stdout), pod.sh("cat /tmp/log").stdout


def check_store(play: Callable[..., outer.Pod], template: str) -> None:
    """A new pod on the volume finds no half-done build, a store that is sound, and the layer that was finished."""
    with play(template) as pod:
        # `--external` lists working containers of builds that nothing removed.
        left = pod.sh("podman ps --all --external --format '{{.Names}} {{.Status}}'").stdout
        assert "buildah" not in left.lower(), left
        assert "working-container" not in left, left
        pod.sh("/usr/bin/podman system check --quick")
        again = pod.sh("printf 'FROM busybox\\nRUN echo first\\n' | docker build -t again -", merge=True).stdout
        assert "Using cache" in again


def test_sigterm_ends_builds_and_containers_within_the_grace_period_and_leaves_the_store_clean(play: Any) -> None:
    with play("privileged-ephemeral") as pod:
        start_work(pod)
        start = time.monotonic()
        outer.podman("stop", "--time", "30", f"{pod.name}-podman")
        seconds = time.monotonic() - start
        code = outer.podman("inspect", "--format", "{{.State.ExitCode}}", f"{pod.name}-podman").stdout.strip()
    assert seconds < 20
    assert code == "143"
    check_store(play, "privileged-ephemeral")


def test_drain_does_the_same_where_cat_is_pid_1(play: Any) -> None:
    options = PodOptions("x", trust="privileged", replace_entrypoint=True)
    [builder] = made(options)["spec"]["containers"]
    assert builder["command"] == ["cat"]
    drain = shlex.join(builder["lifecycle"]["preStop"]["exec"]["command"])
    with play("privileged-hostpath") as pod:
        start_work(pod)
        assert "nothing left running" in pod.sh(drain).stdout
        assert until(lambda: pod.sh("cat /tmp/code", check=False).stdout) not in {"", "0\n"}
        assert pod.sh("docker ps -q").stdout == ""
    check_store(play, "privileged-hostpath")


def test_three_pods_of_one_key_in_turn_use_one_store_and_are_gone_in_three_seconds(play: Any) -> None:
    """Idle, as an agent is whose build has ended; with the image's init, and nothing of the grace is waited for."""
    for turn in range(3):
        with play("privileged-hostpath") as pod:
            said = pod.sh(BUILD, merge=True).stdout
            assert ("Using cache" in said) == bool(turn)
            start = time.monotonic()
            outer.podman("stop", "--time", "30", f"{pod.name}-podman")
            assert time.monotonic() - start <= 3
    with play("privileged-hostpath") as pod:
        assert pod.sh("podman-agent cache ls --json").stdout.count('"store"') == 1


def test_a_drained_pod_gives_its_store_back_though_it_is_still_there(play: Any) -> None:
    """`command: [cat]` takes the whole grace: the next pod has the warm store meanwhile, and the log says why."""
    with play("privileged-hostpath") as ending:
        start_work(ending)
        ending.sh("podman-agent drain")
        assert until(lambda: "this pod is being deleted" in ending.sh("cat /tmp/log").stdout)
        with play("privileged-hostpath") as pod:
            pod.sh("docker image inspect busybox")
            assert pod.sh("podman-agent cache ls --json").stdout.count('"store"') == 1


def test_init_reaps_orphans(play: Any) -> None:
    with play("privileged-ephemeral") as pod:
        pod.sh("for n in 1 2 3; do (sleep 0.2 &); done; sleep 0.6")
        states = pod.sh("ps -A -o stat=,comm=").stdout
        assert "catatonit" in states
        assert not re.search(r"^Z", states, re.MULTILINE), states
