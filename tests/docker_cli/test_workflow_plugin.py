"""The docker-workflow plugin's own command lines, in order, with cgroups and without.

Source: https://github.com/jenkinsci/docker-workflow-plugin, DockerClient.java, WithContainerStep.java, Docker.groovy;
https://github.com/jenkinsci/docker-commons-plugin, RegistryKeyMaterialFactory.java.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from docker_cli.conftest import Lab

pytestmark = pytest.mark.nested
WORKSPACE = "/home/jenkins/agent/workspace/a job"
SHA1 = "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12"
VERSION = re.compile(r"^(\D+)(\d+)\.(\d+)\.(\d+)(.*)")  # DockerClient.java


@pytest.fixture(params=["enabled", "disabled"], name="cgroups")
def _cgroups(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(name="plugin")
def _plugin(lab: Callable[..., Lab], cgroups: str) -> Callable[..., str]:
    """Run one command as the plugin does, in the workspace; gives its stdout stripped."""
    made = lab(PODMAN_AGENT_CGROUPS=cgroups)
    made.pod.sh(f"mkdir -p '{WORKSPACE}' '{WORKSPACE}@tmp'; podman rm -fa -t 0 >/dev/null")

    def run(*args: str, code: int | None = 0, **env: str) -> str:
        script = f"cd '{WORKSPACE}'; {shlex.join(args)}"
        done = made.pod.sh(script, env=made.env | env, check=False, shell="sh -e")
        assert code is None or done.returncode == code, f"{script}\n{done.stdout}{done.stderr}"
        return done.stdout.strip()

    run.lab = made  # type: ignore[attr-defined]
    return run


def test_the_version_is_one_the_plugin_can_read(plugin: Callable[..., str]) -> None:
    """And is at least 17.12, from which it uses `exec --workdir`."""
    match = VERSION.match(plugin("docker", "-v"))
    assert match
    assert (int(match[2]), int(match[3])) >= (17, 12)
    assert "build podman-" in match[5]


def test_inside_in_full(plugin: Callable[..., str]) -> None:
    """From inspect to rm, in an image that has no ps."""
    plugin("sh", "-c", "printf 'FROM busybox\\nRUN rm /bin/ps\\n' > Dockerfile")
    plugin("docker", "build", "-t", SHA1, "-f", "Dockerfile", ".")
    plugin("docker", "inspect", "-f", ".", "no-such-image", code=None)
    assert plugin("docker", "inspect", "-f", ".", SHA1) == "."
    container = plugin(
        "docker", "run", "-t", "-d", "-u", "1000:1000", "-w", WORKSPACE, "-v", f"{WORKSPACE}:{WORKSPACE}:rw,z",
        "-v", f"{WORKSPACE}@tmp:{WORKSPACE}@tmp:rw,z", "-e", "********", "-e", "BUILD_TAG=a b", SHA1, "cat",
    )  # fmt: skip
    assert re.fullmatch(r"[0-9a-f]{64}", container)
    listed = plugin("docker", "top", container, "-eo", "pid,comm").splitlines()
    assert listed[0].split() == ["PID", "COMMAND"]
    assert any(line.split()[1:] == ["cat"] for line in listed[1:]), listed
    plain = plugin(
        "docker", "exec", "--env", "BUILD_ID=7", container, "sh", "-c", 'echo "$BUILD_ID $BUILD_TAG $(id -u)"'
    )
    assert plain == "7 a b 1000"
    assert plugin("docker", "exec", "--workdir", WORKSPACE, container, "pwd") == WORKSPACE
    assert "cat" in plugin("docker", "exec", container, "busybox", "ps", "-o", "pid,comm")
    plugin("docker", "stop", "--time=1", container)
    plugin("docker", "rm", "-f", "--volumes", container)
    assert plugin("docker", "ps", "-aq") == ""


def test_with_run_and_port(plugin: Callable[..., str]) -> None:
    """`withRun('-p …')`, `port`, and the handbook's `--link`."""
    container = plugin("docker", "run", "-d", "-p", "15590:80", "busybox", "sleep", "60")
    assert plugin("docker", "port", container, "80") in {"0.0.0.0:15590", "[::]:15590"}
    hosts = plugin("docker", "run", "--rm", "--link", f"{container}:db", "busybox", "cat", "/etc/hosts")
    assert re.search(r"^[0-9.]+\s+db$", hosts, re.MULTILINE)
    plugin("sh", "-c", f"docker stop -t 0 {container} && docker rm -f --volumes {container}")


@pytest.mark.parametrize("form", ["{}", "http://{}", "https://{}/v1/", "https://{}/v2/"])
def test_with_registry_keeps_credentials_to_its_block(plugin: Callable[..., str], form: str) -> None:
    """They go to the temporary DOCKER_CONFIG, nowhere else, and the pod's pull secrets still serve."""
    made: Lab = plugin.lab  # type: ignore[attr-defined]
    config = f"{WORKSPACE}@tmp/0123abc"
    private = made.private.address
    other = "base.example.com"
    secret = '{"auths": {"base.example.com": {"auth": "YTpi"}}}'
    plugin("sh", "-c", f"mkdir -p ~/.docker; echo '{secret}' > ~/.docker/config.json")
    before = plugin("cat", "/root/.docker/config.json")
    try:
        plugin("mkdir", "-p", config)
        plugin("sh", "-c", f'docker login -u ci -p "$PASSWORD" {form.format(private)}', DOCKER_CONFIG=config)
        stored = plugin("cat", f"{config}/config.json")
        assert private in stored
        assert other in stored
        assert plugin("stat", "-c", "%a", f"{config}/config.json") == "600"
        plugin("docker", "tag", "busybox", f"{private}/app:1", DOCKER_CONFIG=config)
        plugin("docker", "push", f"{private}/app:1", DOCKER_CONFIG=config)
        plugin("docker", "tag", "busybox", f"{private}/app:latest", DOCKER_CONFIG=config)
        plugin("docker", "push", f"{private}/app:latest", DOCKER_CONFIG=config)
        plugin("rm", "-rf", config)
        plugin("docker", "push", f"{private}/app:2", code=125)
        assert plugin("cat", "/root/.docker/config.json") == before
        assert plugin("sh", "-c", "cat /run/containers/0/auth.json 2>/dev/null || true") == ""
    finally:
        plugin("rm", "-rf", "/root/.docker", config)
    assert made.private.digest("app", "1") == made.private.digest("app", "latest") != ""


# a kubelet's v1 path, in which the plugin's ControlGroup.java finds an id; on v2 it finds none in a containerd pod
POD_V1 = "4:memory:/kubepods/burstable/pod5d3c5c9a-0d54-4a4c-8a0a-0d2a3f1b7c11/" + "ab" * 32


def test_on_cgroup_v1_the_plugin_finds_an_id_and_no_volumes_of_it(plugin: Callable[..., str]) -> None:
    """Then it mounts the workspace with -v, which is right for a podman in the very same container."""
    made = plugin.lab  # type: ignore[attr-defined]
    own = re.search(r"[a-f0-9]{64}", made.pod.sh("cat /proc/self/cgroup").stdout)
    for identity in filter(None, (own and own[0], POD_V1.rpartition("/")[2])):
        said = plugin("docker", "inspect", "-f", "{{range .Mounts}}{{.Destination}}\n{{end}}", identity, code=None)
        assert said == ""
