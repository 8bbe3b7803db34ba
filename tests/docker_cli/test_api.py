"""The API socket, with clients nobody here wrote: docker-py, testcontainers, docker's own command line.

The socket is put on the pod's volume, where clients on this machine can reach it. Compose's test is in test_tables.py.
"""

from __future__ import annotations

import io
import shutil
import stat
import subprocess
import time
import urllib.request
from typing import TYPE_CHECKING

import docker
import pytest
from docker_cli.conftest import PASSWORD
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from docker_cli.conftest import Lab

pytestmark = pytest.mark.nested
INSIDE = "/var/lib/containers/docker.sock"
PING = f"curl -s --unix-socket {INSIDE} http://d/_ping"


@pytest.fixture(scope="module", name="made")
def _made(lab: Callable[..., Lab]) -> Lab:
    made = lab()
    made.pod.sh(f"podman-agent serve --background --idle 2 --socket {INSIDE}")
    return made


@pytest.fixture(scope="module", name="url")
def _url(made: Lab) -> str:
    return f"unix://{made.volume / 'docker.sock'}"


@pytest.fixture(name="client")
def _client(url: str) -> Iterator[docker.DockerClient]:
    client = docker.DockerClient(base_url=url, timeout=60)
    yield client
    for container in client.containers.list(all=True):
        container.remove(force=True)
    client.close()


def first(wanted: bytes, ask: Callable[[], bytes]) -> bytes:
    """What a client is told; asked again, twice at most, when podman loses the output.

    Podman 5.4.2's service lost 1 output in 30 of `exec` and 1 in 15 of `run` on a machine with a load of 14, none in 45
    on a quieter one, without anything of ours between it and docker-py.
    """
    said = b""
    for _ in range(3):
        said = ask()
        if wanted in said:
            break
    return said


def services(made: Lab) -> int:
    """How many podman services run in the pod."""
    return int(made.pod.sh("ps ax | grep -c '[s]ystem service' || true").stdout)


def test_the_socket_is_private_and_its_listener_the_only_one(made: Lab) -> None:
    """0660; a second `serve` finds the first."""
    path: Path = made.volume / "docker.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    made.pod.sh(f"podman-agent serve --background --socket {INSIDE}")
    assert made.pod.sh("ps ax | grep -c '[p]odman-agent serve --background'").stdout.strip() == "1"


def test_the_service_starts_for_a_client_and_leaves_when_idle(made: Lab) -> None:
    """And starts again for the next."""
    for _ in range(2):
        assert made.pod.sh(PING).stdout == "OK"
        assert services(made) == 1
        deadline = time.monotonic() + 20
        while services(made) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert services(made) == 0


def test_clients_that_start_it_at_the_same_time_all_connect(made: Lab) -> None:
    """One listener comes of it."""
    script = """
s=/tmp/many.sock
one() { podman-agent serve --background --socket $s && curl -s --unix-socket $s http://d/_ping; }
for i in 1 2 3 4 5; do one & done; wait
kill $(pgrep -f "serve --background --socket $s$")"""
    assert made.pod.sh(script, shell="bash -e").stdout == "OK" * 5


def test_a_killed_listener_is_replaced_and_a_stopped_one_takes_its_socket_along(made: Lab) -> None:
    """The lock dies with its process."""
    own = "/tmp/own.sock"
    script = f"""
serve="podman-agent serve --background --socket {own}"
$serve; kill -9 $(pgrep -f "$serve$")
$serve; curl -s --unix-socket {own} http://d/_ping
kill $(pgrep -f "$serve$"); for i in 1 2 3 4 5 6 7 8 9; do sleep 0.2; test -e {own} || break; done
test ! -e {own}"""
    assert made.pod.sh(script, shell="bash -e").stdout == "OK"


def test_docker_py_builds_runs_reads_logs_and_executes(client: docker.DockerClient) -> None:
    """A build from a file object, then containers."""
    image, _ = client.images.build(fileobj=io.BytesIO(b"FROM busybox\nRUN echo built > /f\n"), tag="py:1")
    assert first(b"built", lambda: client.containers.run(image.id, ["cat", "/f"], remove=True)) == b"built\n"
    container = client.containers.run(
        "py:1", ["sh", "-c", "echo logged; sleep 60"], detach=True, environment={"A": "b"}
    )
    assert first(b"b", lambda: container.exec_run(["sh", "-c", "echo $A"]).output) == b"b\n"
    assert container.exec_run(["sh", "-c", "exit 3"]).exit_code == 3
    assert b"logged" in first(b"logged", container.logs)
    container.kill()
    assert container.wait()["StatusCode"] == 137


def test_docker_py_has_volumes_and_networks(client: docker.DockerClient) -> None:
    """Data is kept in a volume, names are found on a network."""
    volume, network = client.volumes.create("pyvol"), client.networks.create("pynet")
    try:
        mount = {"pyvol": {"bind": "/d", "mode": "rw"}}
        client.containers.run("busybox", ["touch", "/d/f"], volumes=mount, remove=True)
        listed = first(b"f", lambda: client.containers.run("busybox", ["ls", "/d"], volumes=mount, remove=True))
        assert listed == b"f\n"
        client.containers.run("busybox", ["sleep", "60"], name="pydb", network="pynet", detach=True)
        command = ["nslookup", "pydb"]
        said = first(b"pydb", lambda: client.containers.run("busybox", command, network="pynet", remove=True))
        assert b"Name:\tpydb" in said
    finally:
        client.containers.get("pydb").remove(force=True)
        network.remove()
        volume.remove()


def test_docker_py_pushes_and_is_told_of_a_wrong_login(client: docker.DockerClient, made: Lab) -> None:
    """An error of the registry reaches the caller."""
    name = f"{made.private.address}/py/pushed"
    client.images.get("busybox").tag(name, "1")
    client.images.get("busybox").tag(name, "2")
    good = client.images.push(name, "1", auth_config={"username": "ci", "password": PASSWORD})
    assert "error" not in good
    assert made.private.digest("py/pushed", "1")
    # podman 5.4 answers 500 without the key "message", over which docker-py's own error handling falls with a KeyError
    with pytest.raises((docker.errors.APIError, KeyError)):
        client.images.push(name, "2", auth_config={"username": "ci", "password": "no"})
    assert not made.private.digest("py/pushed", "2")


def test_testcontainers_without_ryuk(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ryuk's own image is on Docker Hub, which cannot be reached here, so ryuk on is not shown."""
    monkeypatch.setenv("DOCKER_HOST", url)
    monkeypatch.setattr(testcontainers_config, "ryuk_disabled", True)
    script = "mkdir /w; echo page > /w/index.html; echo ready; httpd -f -h /w"
    wanted = DockerContainer("busybox").with_command(["sh", "-c", script]).with_exposed_ports(80)
    with wanted.waiting_for(LogMessageWaitStrategy("ready").with_startup_timeout(20)) as container:
        port = int(container.get_exposed_port(80))
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
            assert answer.read() == b"page\n"
        assert first(b"page", lambda: container.exec(["cat", "/w/index.html"]).output) == b"page\n"


def test_dockers_own_command_line(url: str, made: Lab, tmp_path: Path) -> None:
    """The real client: this machine's, or that of Debian's package, unpacked and not installed with its daemon."""
    real = shutil.which("docker")
    if real is None:
        subprocess.run(["apt-get", "-q", "download", "docker.io"], cwd=tmp_path, check=True)
        [package] = tmp_path.glob("docker.io_*.deb")
        subprocess.run(["dpkg-deb", "--extract", package, tmp_path / "docker.io"], check=True)
        real = str(tmp_path / "docker.io/usr/bin/docker")

    def run(*args: str) -> str:
        env = {"DOCKER_HOST": url, "DOCKER_CONFIG": str(tmp_path), "DOCKER_BUILDKIT": "0", "PATH": "/usr/bin:/bin"}
        done = subprocess.run([real, *args], env=env, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert run("version", "--format", "{{.Server.Version}}")
    (tmp_path / "Dockerfile").write_text("FROM busybox\nRUN echo cli > /f\n")
    run("build", "-t", "cli:1", str(tmp_path))
    assert run("run", "--rm", "cli:1", "cat", "/f") == "cli"
    container = run("run", "-d", "--name", "real", "cli:1", "sleep", "60")
    assert run("exec", "real", "echo", "in") == "in"
    assert "sleep" in run("top", "real")
    assert run("inspect", "-f", "{{.Id}}", "real") == container
    run("rm", "-f", "real")
    name = f"{made.registry.address}/cli:1"
    run("tag", "cli:1", name)
    run("push", name)
    assert made.registry.digest("cli", "1")
