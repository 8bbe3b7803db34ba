"""The commands and the Python API in the real agent container, against real registries."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import time
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import outer
import pytest
from library.conftest import PASSWORD, USER, Agent
from library.faultproxy import BLOB_UPLOAD, MANIFEST_PUT, Fault
from library.late import starting
from podman_agent.registry.access import Access
from podman_agent.registry.client import Registry

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.nested

BAKE = """
variable "REPO" {{ default = "{repo}" }}
group "default" {{ targets = ["app", "tool"] }}
target "base" {{
  context = "base"
}}
target "app" {{
  context = "app"
  contexts = {{ base = "target:base" }}
  args = {{ GREETING = "hello there" }}
  tags = ["${{REPO}}/app:1"]
}}
target "tool" {{
  dockerfile-inline = "FROM busybox\\nRUN echo tool > /tool\\n"
  context = "base"
  tags = ["${{REPO}}/tool:1"]
}}
"""


@pytest.fixture
def project(agent: Any, upstream: Any, request: pytest.FixtureRequest) -> Any:
    """A directory with a bake file of three images in a Git work tree."""
    name = re.sub(r"[\W_]+", "-", request.node.name)[:40].strip("-")
    directory = agent.work / name
    repo = f"{upstream.address}/{name}"
    for part, text in {
        "base/Dockerfile": "FROM busybox\nRUN echo base > /base\n",
        "app/Dockerfile": "FROM base\nARG GREETING\nRUN echo $GREETING > /greeting\n",
        "docker-bake.hcl": BAKE.format(repo=repo),
    }.items():
        (directory / part).parent.mkdir(parents=True, exist_ok=True)
        (directory / part).write_text(text)
    git = ["git", "-C", directory, "-c", "user.name=t", "-c", "user.email=t@example.com"]
    subprocess.run(["git", "init", "-q", "-b", "feature/x", directory], check=True)
    remote = "https://someone:ghp_secretsecret@example.com/team/app.git"
    for command in (
        ["remote", "add", "origin", remote],
        ["add", "."],
        ["commit", "-qm", "one", "--date=2026-01-02T03:04:05Z"],
        ["tag", "v1.2.3"],
    ):
        subprocess.run([*git, *command], check=True)
    return name, repo


def registry_of(repo: Any) -> Any:
    host, _, path = repo.partition("/")
    return Registry(host, Access(insecure=True)), path


def test_several_images_from_one_file_with_results_for_jenkins(agent: Any, project: Any) -> None:
    name, repo = project
    done = agent.sh(
        f"cd {name}\npodman-agent build --bake docker-bake.hcl --push --tag-by commit,branch,semver"
        " --results out --reproducible"
    )
    registry, path = registry_of(repo)
    out = agent.work / name / "out"
    rows = {row["target"]: row for row in json.loads((out / "image.json").read_text())}
    assert [rows[t]["status"] for t in ("base", "app", "tool")] == ["ok", "ok", "ok"]
    assert "images" not in rows["base"], "only what was asked for is pushed"
    revision = subprocess.run(
        ["git", "-C", agent.work / name, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    tags = sorted(["1", "1.2", "1.2.3", "feature-x", revision[:12]])
    for image in ("app", "tool"):
        assert sorted(registry.tags(f"{path}/{image}")) == tags
        digest = registry.digest(f"{path}/{image}", "1")
        assert rows[image]["digest"] == digest
        assert f"{repo}/{image}:1@{digest}" in done.stdout.splitlines()
    labels = json.loads(agent.sh(f"podman image inspect --format '{{{{json .Labels}}}}' {repo}/app:1").stdout)
    assert labels["org.opencontainers.image.revision"] == revision
    assert labels["org.opencontainers.image.source"] == "https://example.com/team/app.git"
    assert labels["org.opencontainers.image.created"].endswith("Z")
    assert agent.sh(f"podman run --rm {repo}/app:1 cat /base /greeting").stdout == "base\nhello there\n"
    sourced = agent.sh(f'. ./{name}/out/image.env; echo "$IMAGE_APP"').stdout.strip()
    assert sourced == f"{repo}/app@{rows['app']['digest']}"
    suite = ET.parse(out / "junit.xml").getroot()
    assert (suite.get("failures"), suite.get("skipped")) == ("0", "0")
    assert int(suite.get("tests", "0")) == 3 + 2 * len(tags)
    assert not list(out.glob(".*")), "nothing half-written is left"
    assert "ghp_secretsecret" not in done.stdout + done.stderr + (out / "image.json").read_text()
    assert re.search(r"^\[app\] built sha256:\w+ in", done.stderr, re.MULTILINE)

    first = rows["app"]["image_id"]
    agent.sh(f"podman rmi -f {first.removeprefix('sha256:')} >/dev/null")
    again = agent.sh(
        f"cd {name}\npodman-agent build --bake docker-bake.hcl --reproducible --results out --tag-by commit app"
    )
    rebuilt = {row["target"]: row for row in json.loads((out / "image.json").read_text())}
    assert rebuilt["app"]["image_id"] == first, again.stderr


def test_a_failed_image_takes_only_those_that_need_it(agent: Any, project: Any) -> None:
    name, _ = project
    (agent.work / name / "base/Dockerfile").write_text(
        "FROM busybox\nRUN echo 503 Service Unavailable, connection refused; exit 7\n"
    )
    done = agent.sh(f"cd {name}\npodman-agent build --bake docker-bake.hcl --results out", check=False)
    rows = {row["target"]: row for row in json.loads((agent.work / name / "out/image.json").read_text())}
    assert done.returncode == 7, "podman's exit code is the build's"
    assert [rows[t]["status"] for t in ("base", "app", "tool")] == ["failed", "skipped", "ok"]
    assert "attempt" not in done.stderr, "the user's own failure is not tried again"
    suite = ET.parse(agent.work / name / "out/junit.xml").getroot()
    assert (suite.get("failures"), suite.get("skipped")) == ("1", "1")


def test_a_compose_file_builds_what_has_a_build_section(agent: Any, project: Any) -> None:
    name, repo = project
    (agent.work / name / "compose.yaml").write_text(
        f"services:\n  web:\n    image: {repo}/web:${{TAG:-1}}\n    build: ./base\n  db: {{image: postgres}}\n"
    )
    agent.sh(f"podman-agent build --bake {name}/compose.yaml --push", env={"TAG": "9"})
    registry, path = registry_of(repo)
    assert registry.tags(f"{path}/web") == ["9"]


def test_layers_come_from_a_cache_in_the_registry(agent: Any, project: Any) -> None:
    name, repo = project
    build = f"podman-agent build -t {repo}/c:1 --cache {repo}/cache --push {name}/base"
    agent.sh(build)
    agent.sh(f"podman rmi -f $(podman images -q {repo}/c) >/dev/null; podman image prune -f >/dev/null")
    done = agent.sh(build)
    assert "Cache pulled from remote" in done.stderr or "Using cache" in done.stderr, done.stderr


def test_several_platforms_become_one_list(agent: Any, project: Any) -> None:
    name, repo = project
    (agent.work / name / "multi").mkdir()
    (agent.work / name / "multi/Containerfile").write_text("FROM scratch\nCOPY Containerfile /\n")
    done = agent.sh(
        f"podman-agent build -t {repo}/multi:1 -t {repo}/multi:2 --platform linux/amd64,linux/arm64 --push {name}/multi"
    )
    registry, path = registry_of(repo)
    listed = registry.manifest(f"{path}/multi", "1")
    platforms = sorted(m["platform"]["architecture"] for m in listed.document["manifests"])
    assert platforms == ["amd64", "arm64"]
    assert all(registry.manifest(f"{path}/multi", child) for child in listed.children)
    for entry in listed.document["manifests"]:
        image = f"docker://{repo}/multi@{entry['digest']}"
        inspected = agent.sh(f"skopeo inspect --format '{{{{.Architecture}}}}' {image}").stdout
        assert inspected.strip() == entry["platform"]["architecture"]
    assert registry.digest(f"{path}/multi", "2") == listed.digest
    assert f"{repo}/multi:1@{listed.digest}" in done.stdout
    copied = agent.sh(f"podman-agent copy {repo}/multi:1 {repo}/copied:7").stdout.strip()
    assert copied == f"{repo}/copied:7@{listed.digest}"
    assert registry.manifest(f"{path}/copied", "7").children == listed.children


def test_a_base_image_that_cannot_be_pulled_at_first(agent: Any, proxy: Any, project: Any) -> None:
    name, repo = project
    agent.sh(f"podman-agent build -t {repo}/b:1 --push {name}/base; podman rmi {repo}/b:1")
    base = repo.replace(repo.partition("/")[0], proxy.address)
    (agent.work / name / "Containerfile").write_text(f"FROM {base}/b:1\n")
    proxy.reset(Fault(r"GET .*/blobs/.*", "status", status=500))
    done = agent.sh(f"podman-agent build -t localhost/{name}:1 {name}")
    assert "attempt 1 of 3 failed: 500 Internal Server Error" in done.stderr
    assert not proxy.unused()


def test_layers_bytes_and_attempts_are_counted(agent: Any, proxy: Any) -> None:
    program = f"""
import json, os
os.makedirs("/work/watch", exist_ok=True)
from podman_agent.registry import retry
from podman_agent.engine import BuildOptions, Engine
events = []
engine = Engine(on_event=events.append, policy=retry.Policy(attempts=4))
name = "{proxy.address}/count/x:1"
text = "FROM busybox\\nARG T\\nRUN head -c 300000 /dev/urandom > /x; echo $T\\n"
with retry.testing() as waits:
    args = {{"T": "{time.time()}"}}
    built = engine.build(BuildOptions("/work/watch", file="-", stdin=text, tags=(name,), args=args))
    first, second = engine.push(name), engine.push(name)
pulled = engine.pull(name)
ran = engine.run(name, ["sh", "-c", "cat; echo $WHO"], env={{"WHO": "me"}}, stdin=b"in ")
engine.tag(name, "localhost/other:1")
names = [n for i in engine.images("reference=*other*") for n in i.names]
engine.manifest("localhost/list:1", [name])
listed = engine.inspect(name)
print(json.dumps(dict(
    id=built.image_id, pushed=[l.size for l in first.pushed], skipped=len(first.skipped),
    bytes=first.bytes_pushed, attempts=first.attempts, waits=waits, names=names,
    again=[len(second.pushed), len(second.skipped)], pulled=pulled.image_id, out=ran.stdout,
    inspected=listed["Id"], kinds=sorted({{e.kind for e in events}}),
    steps=[e.step for e in events if e.kind == "step"], pruned=engine.prune("label=none=none"))))
"""
    proxy.reset(
        Fault(MANIFEST_PUT, "status", status=429, headers={"Retry-After": "7"}),
        Fault(r"GET /v2/", "status", status=429, headers={"Retry-After": "7"}, skip=1),
    )
    result = json.loads(agent.python(program).stdout)
    assert result["attempts"] == 2
    assert result["waits"] == [7], "the server's Retry-After, and nothing slept"
    assert (len(result["pushed"]), result["skipped"]) == (2, 0)
    assert result["bytes"] == sum(result["pushed"]) > 300000
    assert result["again"] == [0, 2]
    assert result["pulled"] == result["id"] == "sha256:" + result["inspected"].removeprefix("sha256:")
    assert result["out"] == "in me"
    assert "localhost/other:1" in result["names"]
    assert result["steps"] == [1, 2, 3]
    assert result["kinds"] == ["done", "layer", "log", "retry", "step"]
    assert result["pruned"] == []


def test_podman_py_on_a_private_socket(agent: Any) -> None:
    program = """
from podman_agent.engine import service
from podman_agent.errors import UsageError
with service() as client:
    print(client.version()["Version"])
    volume = client.volumes.create("library-test")
    print(volume.name, client.images.list() != [])
    volume.remove()
    try:
        client.images.push("x")
    except UsageError as error:
        print(error)
"""
    agent.sh("podman pull -q busybox")
    lines = agent.python(program).stdout.splitlines()
    assert re.match(r"\d+\.\d+\.\d+", lines[0])
    assert lines[1] == "library-test True"
    assert "Engine.push" in lines[2]
    assert agent.sh("ps -eo args | grep '[s]ystem service' || true").stdout == ""


def test_wait_registry_ready_late_and_never(agent: Any, disk: Path) -> None:
    late = outer.Registry(disk / "late-registry")
    failed = agent.sh(f"podman-agent wait-registry --timeout 0.1 {late.address}", check=False)
    assert failed.returncode == 69
    assert f"registry {late.address} not ready after 0 s: Connection refused" in failed.stderr
    with starting(late, 0.5):
        done = agent.sh(f"podman-agent wait-registry --timeout 20 {late.address}")
        assert re.match(rf"{late.address} ready after \d+\.\d s", done.stdout)


@pytest.mark.parametrize("way", ["stdin", "file", "env"])
def test_login_takes_the_password_from_stdin_a_file_or_a_variable(
    agent: Any, registry: outer.Registry, way: str
) -> None:
    (agent.work / "password").write_text(registry.password + "\n")
    options = {
        "stdin": "--password-stdin < password",
        "file": "--password-file password",
        "env": "--password-env PW",
    }
    script = f"export REGISTRY_AUTH_FILE=/tmp/{way}.json\n"
    script += f"podman-agent login -u {registry.user} {options[way]} {registry.address}\n"
    script += f"podman-agent wait-registry {registry.address}; stat -c %a /tmp/{way}.json\n"
    script += f"podman-agent login -u x --password-stdin {registry.address} < /etc/hostname || echo $?"
    done = agent.sh(script, env={"PW": registry.password})
    assert f"{registry.address} ready" in done.stdout
    assert done.stdout.splitlines()[-2:] == ["600", "125"]
    assert registry.password not in done.stdout + done.stderr


HELPER = """#!/bin/sh
read -r host
[ "$1 $host" = "get {address}" ] || {{ echo "credentials not found in native keychain"; exit 1; }}
echo '{{"Username": "{user}", "Secret": "{password}"}}'
"""


def test_a_push_is_checked_with_the_credentials_that_podman_pushed_with(agent: Agent, registry: outer.Registry) -> None:
    """Those of a helper that registries.conf names, past a mirror that holds nothing."""
    (agent.work / "helper").write_text(HELPER.format(**vars(registry)))
    (agent.work / "registries.conf").write_text(
        f"""credential-helpers = ["ours"]
        [[registry]]
        location = "{registry.address}"
        insecure = true
        [[registry.mirror]]
        location = "127.0.0.1:1/nobody"
        """
    )
    name = f"{registry.address}/helped/x:1"
    done = agent.sh(
        "install -m 755 helper /usr/local/bin/docker-credential-ours\n"
        f"printf 'FROM busybox\\nRUN echo {time.time()} > /x\\n' | podman build -q -t {name} - > /dev/null\n"
        f"podman-agent push {name}\n"
        f"podman-agent copy {name} {registry.address}/helped/y:1\n"
        f"podman-agent wait-registry {registry.address}",
        env={"CONTAINERS_REGISTRIES_CONF": "/work/registries.conf"},
    )
    digest = registry.digest("helped/x", "1")
    copied = f"{registry.address}/helped/y:1@{digest}"
    assert done.stdout.splitlines()[:2] == [f"{name}@{digest}", copied]
    assert done.stdout.splitlines()[2].startswith(f"{registry.address} ready")


def test_secrets_appear_nowhere(agent: Any, token_proxy: Any) -> None:
    """Everything printed, every argv in /proc while it ran, every file left behind, every layer."""
    token, argument = "build-secret-4711-xyzzy", "build-argument-4711-xyzzy"
    name = f"{token_proxy.address}/secrets/x:1"
    (agent.work / "watch.py").write_text(WATCH)
    script = f"""
export DOCKER_CONFIG=/tmp/secrets-config; mkdir -p $DOCKER_CONFIG
timeout 60 python3 watch.py /tmp/argvs > /dev/null 2>&1 & watcher=$!
echo "$PASSWORD" | podman-agent login -u {USER} --password-stdin {token_proxy.address}
mkdir -p secrets; cat > secrets/Containerfile <<'END'
FROM busybox
ARG ARGUMENT
RUN --mount=type=secret,id=tok cat /run/secrets/tok; test -n "$ARGUMENT"; sleep 1
END
podman-agent build -t {name} --secret id=tok,env=TOKEN --build-arg ARGUMENT --no-cache --results secrets/out secrets
podman-agent push {name}
podman-agent pull {name}
podman-agent login -u {USER} --password-env WRONG {token_proxy.address} || true
kill $watcher; wait $watcher || true
mkdir -p /tmp/secrets-image
podman save {name} | tar -x -C /tmp/secrets-image
"""
    token_proxy.reset(Fault(BLOB_UPLOAD, "status", status=500))
    env = {"PASSWORD": PASSWORD, "TOKEN": token, "ARGUMENT": argument, "WRONG": "wrong-" + PASSWORD}
    done = agent.sh(script, env=env)
    argvs = agent.sh("cat /tmp/argvs").stdout
    assert "podman-agent login" in argvs
    assert "--build-arg-file" in argvs, "the watcher saw podman's own argv"
    printed = done.stdout + done.stderr
    assert "attempt 1 of 3" in printed
    assert "****" in printed, "the step that prints its secret prints stars"
    assert argument not in argvs, "it goes to podman in a file"
    for secret in (token, PASSWORD):
        assert secret not in printed
        assert secret not in argvs
        files = "/tmp /work/ /run /home /root /var/lib/containers/cache"
        left = agent.sh(f"grep -rlF {shlex.quote(secret)} {files} 2>/dev/null || true").stdout
        assert left == "", "files and the image's own layers, unpacked in /tmp/secrets-image"
    assert agent.sh("ls -d /tmp/podman-agent-* 2>/dev/null || true").stdout == ""
    config = agent.sh("stat -c %a /tmp/secrets-config/config.json").stdout.strip()
    assert config == "600"


WATCH = """
import glob, sys, time
seen = set()
with open(sys.argv[1], "w") as out:
    while True:
        for file in glob.glob("/proc/[0-9]*/cmdline"):
            try:
                text = open(file, "rb").read().replace(b"\\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if text not in seen:
                seen.add(text)
                out.write(text + "\\n")
                out.flush()
        time.sleep(0.002)
"""


def test_sigterm_ends_podman_too(agent: Any, project: Any) -> None:
    name, _ = project
    (agent.work / name / "Containerfile").write_text("FROM busybox\nRUN sleep 4242\n")
    script = f"podman-agent build {name} > /dev/null 2>&1 & pid=$!\n"
    script += "for i in $(seq 100); do ps -eo args | grep -q '^sleep 4242' && break; sleep 0.1; done\n"
    script += "kill $pid; wait $pid; echo rc $?\n"
    script += "for i in $(seq 50); do left=$(ps -eo args | grep '^podman.* build\\|^sleep 4242'); "
    script += '[ -z "$left" ] && break; sleep 0.1; done; echo "left: $left"'
    done = agent.sh(f"set +e\n{script}")
    assert done.stdout.splitlines()[-2:] == ["rc 143", "left: "], done.stdout + done.stderr
