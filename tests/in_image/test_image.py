"""What the built image holds, seen in the running container."""

from __future__ import annotations

import json
import mmap
import re
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from image import ca_bundle

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from testinfra.host import Host

    Outer = Callable[..., subprocess.CompletedProcess[str]]
    Capture = pytest.CaptureFixture[str]

pytestmark = pytest.mark.nested

COMMANDS = [
    *("buildah", "crun", "fuse-overlayfs", "newgidmap", "newuidmap", "nft", "pasta", "podman"),
    *("curl", "git", "git-lfs", "gzip", "java", "jq", "ps", "python3", "skopeo", "ssh"),
    *("tar", "unzip", "xz"),
]
HOME = "/opt/podman-agent"


@pytest.fixture(scope="session")
def config(image: str, outer: Outer) -> dict[str, Any]:
    inspected: dict[str, dict[str, Any]]
    (inspected,) = json.loads(outer("image", "inspect", image).stdout)
    return inspected["Config"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_pipelines_count_on_is_there(agent_container: Host, command: str) -> None:
    assert agent_container.exists(command)


@pytest.mark.parametrize("helper", ["netavark", "aardvark-dns"])
def test_podman_finds_its_network_helpers(agent_container: Host, helper: str) -> None:
    found = agent_container.run("find /usr/libexec/podman /usr/lib/podman -name %s", helper)
    assert helper in found.stdout


def test_podman_is_of_the_supported_range(agent_container: Host) -> None:
    version = agent_container.check_output("/usr/bin/podman --version").split()[-1]
    assert (5, 4) <= tuple(map(int, version.split(".")[:2])) < (7, 0)


def test_java_is_what_jenkins_wants_of_an_agent(agent_container: Host) -> None:
    assert re.search(r'version "2[15]\.', agent_container.run("java -version").stderr)


@pytest.mark.parametrize("name", ["docker", "podman", "buildah", "skopeo"])
def test_the_shims_come_before_the_engine(agent_container: Host, name: str) -> None:
    link = agent_container.check_output("readlink /usr/local/bin/%s", name)
    assert link == f"{HOME}/entrypoint/{name}"
    assert agent_container.check_output("command -v %s", name) == f"/usr/local/bin/{name}"


def test_the_package_is_found_from_the_shims_own_place(agent_container: Host) -> None:
    program = f"import sys; sys.path.insert(0, '{HOME}/pylib'); import podman_agent"
    agent_container.check_output(f'{HOME}/venv/bin/python3 -IS -c "{program}"')


def test_the_package_is_compiled(agent_container: Host) -> None:
    assert agent_container.check_output(f"ls {HOME}/pylib/podman_agent/__pycache__/cli.*.pyc")


def test_a_shim_calls_the_engine(agent_container: Host) -> None:
    assert re.fullmatch(r"Docker version [\d.]+, build podman-[\d.]+", agent_container.check_output("docker --version"))
    assert agent_container.check_output("podman --version").startswith("podman version ")


@pytest.mark.parametrize("module", ["podman", "requests", "podman_agent.errors"])
def test_the_venv_holds_what_the_library_imports(agent_container: Host, module: str) -> None:
    agent_container.check_output(f"{HOME}/venv/bin/python3 -I -c 'import {module}'")


def test_podman_agent_is_a_command(agent_container: Host) -> None:
    assert agent_container.check_output("podman-agent --version").startswith("podman-agent ")


def test_docker_at_a_prompt_is_our_shim(agent_container: Host) -> None:
    assert agent_container.check_output("bash -lic 'type -p docker' 2>/dev/null").endswith("/usr/local/bin/docker")


def test_docker_at_a_prompt_is_podman_where_another_docker_comes_first(
    agent_container: Host,
) -> None:
    agent_container.check_output("install -D /bin/true /tmp/other/docker")
    command = "PATH=/tmp/other:$PATH; unalias docker 2>/dev/null; . /etc/profile.d/podman-agent.sh"
    seen = agent_container.check_output(f"bash -ic '{command}; alias docker' 2>/dev/null")
    assert seen == "alias docker='podman'"


def test_the_user_jenkins_has_ids_to_map(agent_container: Host) -> None:
    user = agent_container.user("jenkins")
    assert (user.uid, user.gid, user.home) == (1000, 1000, "/home/jenkins")
    for path in ("/etc/subuid", "/etc/subgid"):
        assert agent_container.file(path).content_string == "jenkins:1:999\njenkins:1001:64535\nroot:1:65535\n"


def test_the_workspace_belongs_to_jenkins(agent_container: Host) -> None:
    assert agent_container.file("/home/jenkins/agent").user == "jenkins"


def test_jenkins_can_map_those_ids_without_privilege(start: Callable[..., Host]) -> None:
    """Without any added capability: setuid root newuidmap fails here, file capabilities do not."""
    container = start("--user", "1000", "--security-opt", "seccomp=unconfined")
    mapping = container.check_output("/usr/bin/podman unshare cat /proc/self/uid_map")
    assert [line.split() for line in mapping.splitlines()] == [
        ["0", "1000", "1"],
        ["1", "1", "999"],
        ["1000", "1001", "64535"],
    ]


def test_catatonit_starts_the_agent_entrypoint(config: dict[str, Any], image: str, outer: Outer) -> None:
    assert config["Entrypoint"] == ["/usr/local/bin/catatonit", "--", f"{HOME}/entrypoint/agent"]
    name = f"image-test-{uuid.uuid4().hex[:12]}"
    try:
        outer("run", "--detach", "--tty", "--name", name, "--network", "host", image, "cat")
        assert outer("exec", name, "cat", "/proc/1/comm").stdout.strip() == "catatonit"
    finally:
        outer("rm", "--force", "--time", "0", "--volumes", name, check=False)


def test_labels_say_what_it_is(config: dict[str, Any]) -> None:
    labels = config["Labels"]
    prefix = "org.opencontainers.image."
    assert labels[f"{prefix}title"] == "jenkins-podman-agent"
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?|unknown", labels[f"{prefix}revision"])
    assert re.match(r"\d+\.\d+\.\d+", labels[f"{prefix}version"])


def test_the_environment_names_no_credentials_mirror_or_certificates(
    config: dict[str, Any],
) -> None:
    names = {entry.partition("=")[0] for entry in config["Env"]}
    assert names == {"PATH", "LANG", "container"}


def test_the_engine_files_are_where_the_plan_rewrites_them(agent_container: Host) -> None:
    assert agent_container.file("/etc/containers/containers.conf.d/50-podman-agent.conf").is_file


def test_no_alias_sends_a_short_name_elsewhere_than_to_docker_io(agent_container: Host) -> None:
    """The distributions' shortnames.conf sends hello-world, centos and fedora to quay.io or to a vendor."""
    found = agent_container.run("grep -rl 'aliases' /etc/containers --include='*.conf'")
    assert (found.rc, found.stdout) == (1, "")


def certificate_lines(bundle: str) -> set[str]:
    """One line of base64 from the middle of each certificate."""
    blocks = re.findall(r"BEGIN CERTIFICATE-----\n(.*?)-----END", bundle, re.DOTALL)
    return {lines[len(lines) // 2] for lines in (block.split() for block in blocks)}


def test_no_layer_holds_the_machines_own_certificates(
    image: str, agent_container: Host, outer: Outer, tmp_path: Path
) -> None:
    """The build secret is this machine's bundle; what the distribution and pip ship is no secret.

    On a machine without a CA of its own there is nothing to find; the next test has its own CA.
    """
    bundle = ca_bundle()
    assert bundle is not None
    shipped = agent_container.check_output(
        "cat /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt "
        f"$(find {HOME}/venv -name cacert.pem) 2>/dev/null; true"
    )
    own = certificate_lines(bundle.read_text()) - certificate_lines(shipped)
    archive = tmp_path / "image.tar"
    outer("save", "--format", "docker-archive", "--output", str(archive), image)
    with (
        archive.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as layers,
    ):
        assert layers.find(certificate_lines(shipped).pop().encode()) > 0, "layers are compressed"
        assert [line for line in own if layers.find(line.encode()) >= 0] == []
    archive.unlink()


def test_a_step_sees_the_secret_ca_and_leaves_nothing_of_it(image: str, outer: Outer, tmp_path: Path) -> None:
    secret, tag = tmp_path / "ca.pem", f"localhost/image-test-ca:{uuid.uuid4().hex[:12]}"
    marker = uuid.uuid4().hex
    secret.write_text(marker)
    variables = "SSL_CERT_FILE CURL_CA_BUNDLE GIT_SSL_CAINFO PIP_CERT REQUESTS_CA_BUNDLE"
    step = f'for v in {variables}; do grep -q "^{marker[:8]}" "${{!v}}"; done'
    (tmp_path / "Containerfile").write_text(
        f"FROM {image}\n"
        "RUN --mount=type=secret,id=ca "
        f"{HOME}/entrypoint/setup/with-ca bash -euc '{step}' && touch /seen\n"
    )
    try:
        outer(
            *(
                "build",
                "--format",
                "docker",
                "--network",
                "host",
                "--secret",
                f"id=ca,src={secret}",
            ),
            *("--tag", tag, str(tmp_path)),
        )
        outer("save", "--format", "docker-archive", "--output", str(tmp_path / "image.tar"), tag)
    finally:
        outer("rmi", "--force", tag, check=False)
    with (
        (tmp_path / "image.tar").open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as layers,
    ):
        assert layers.find(b"seen") > 0
        assert layers.find(marker.encode()) == -1
    (tmp_path / "image.tar").unlink()


def test_size_is_reported(
    image: str, outer: Outer, record_property: Callable[[str, object], None], capsys: Capture
) -> None:
    size = int(outer("image", "inspect", "--format", "{{.Size}}", image).stdout)
    record_property("image_size_bytes", size)
    with capsys.disabled():
        print(f"\n{image}: {size / 1e6:.0f} MB")
    assert size < 1.5e9
