"""The registry client against a real docker-registry, through a proxy that can misbehave."""

import hashlib
import json
import ssl
import stat
import subprocess
import threading
import time
from base64 import b64encode

import outer
import pytest
import requests
from library.conftest import PASSWORD, USER
from library.faultproxy import MANIFEST_GET, Fault, FaultProxy
from podman_agent.errors import ConfigError, EngineError, MismatchError, UnavailableError
from podman_agent.explain.transfers import TRANSIENT_STATUS
from podman_agent.hot import shim
from podman_agent.registry import credentials as auth
from podman_agent.registry import retry
from podman_agent.registry.client import Registry, endpoints
from podman_agent.registry.credentials import Access, Credentials
from podman_agent.registry.reference import Reference

INSECURE = Access(insecure=True)


def put_image(address, repository, tag, login=None):
    """Push the smallest image there is by the API itself."""
    base = f"http://{address}/v2/{repository}"
    config = json.dumps({"architecture": "amd64", "os": "linux", "tag": tag}).encode()
    start = requests.post(f"{base}/blobs/uploads/", auth=login, timeout=5)
    digest = "sha256:" + hashlib.sha256(config).hexdigest()
    url = start.headers["Location"] + f"&digest={digest}"
    requests.put(url, data=config, auth=login, timeout=5).raise_for_status()
    media = "application/vnd.docker.distribution.manifest.v2+json"
    manifest = {
        "schemaVersion": 2,
        "mediaType": media,
        "config": {
            "mediaType": "application/vnd.docker.container.image.v1+json",
            "size": len(config),
            "digest": digest,
        },
        "layers": [],
    }
    body = json.dumps(manifest).encode()
    answer = requests.put(f"{base}/manifests/{tag}", data=body, auth=login, timeout=5, headers={"Content-Type": media})
    answer.raise_for_status()
    return answer.headers["Docker-Content-Digest"], digest


@pytest.fixture(scope="module", autouse=True)
def image(upstream):
    return put_image(upstream.address, "team/x", "1")


@pytest.fixture(autouse=True)
def no_sleep():
    with retry.testing() as waits:
        yield waits


def test_digest_manifest_and_tags_are_the_registrys_own(upstream, image):
    registry = Registry(upstream.address, INSECURE)
    manifest = registry.manifest("team/x", "1")
    assert registry.ping() == "ready"
    assert registry.digest("team/x", "1") == image[0] == manifest.digest
    assert manifest.config_digest == image[1]
    assert registry.tags("team/x") == ["1"]
    assert registry.digest("team/x", "none") is None
    assert registry.manifest("team/none", "1") is None
    assert registry.tags("team/none") == []


def test_tags_are_followed_over_all_pages_of_a_simulated_registry(monkeypatch):
    """docker-registry 2.8 gives all tags at once, so the pages are made here."""
    asked = []

    def page(_method, path, _repository):
        asked.append(path)
        answer = requests.Response()
        answer.status_code = 200
        answer._content = json.dumps({"tags": [f"t{len(asked)}"]}).encode()
        if len(asked) < 3:
            answer.headers["Link"] = f'<https://r.example/v2/x/tags/list?last={len(asked)}>; rel="next"'
        return answer

    registry = Registry("r.example")
    monkeypatch.setattr(registry, "_request", page)
    assert registry.tags("x") == ["t1", "t2", "t3"]
    assert asked == ["/v2/x/tags/list", "/v2/x/tags/list?last=1", "/v2/x/tags/list?last=2"]


def test_a_manifest_is_deleted_once(upstream):
    put_image(upstream.address, "team/gone", "1")
    registry = Registry(upstream.address, INSECURE)
    assert registry.delete("team/gone", "1") is True
    assert registry.delete("team/gone", "1") is False
    assert registry.digest("team/gone", "1") is None


def test_plain_http_only_when_asked(upstream):
    with pytest.raises(UnavailableError, match="does not answer"):
        Registry(upstream.address).ping()


@pytest.mark.parametrize("status", sorted(TRANSIENT_STATUS))
def test_a_transient_status_is_tried_again(proxy, image, no_sleep, status):
    proxy.reset(Fault(MANIFEST_GET, "status", times=2, status=status))
    assert Registry(proxy.address, INSECURE).manifest("team/x", "1").digest == image[0]
    assert len(no_sleep) == 2


@pytest.mark.parametrize("kind", ["drop", "truncate"])
def test_a_lost_connection_is_tried_again(proxy, image, kind):
    proxy.reset(Fault(MANIFEST_GET, kind))
    assert Registry(proxy.address, INSECURE).manifest("team/x", "1").digest == image[0]
    assert not proxy.unused()


def test_retry_after_of_a_429_is_waited(proxy, no_sleep):
    proxy.reset(Fault(MANIFEST_GET, "status", status=429, headers={"Retry-After": "23"}))
    Registry(proxy.address, INSECURE).manifest("team/x", "1")
    assert no_sleep == [23]


def test_a_flipped_byte_is_fetched_again_and_twice_is_an_error(proxy, image):
    registry = Registry(proxy.address, INSECURE)
    proxy.reset(Fault(MANIFEST_GET, "corrupt-answer"))
    assert registry.manifest("team/x", "1").digest == image[0]
    proxy.reset(Fault(MANIFEST_GET, "corrupt-answer", times=2))
    with pytest.raises(MismatchError, match=f"team/x:1 is damaged.*{image[0]}"):
        registry.manifest("team/x", "1")


def test_a_registry_that_starts_late_is_waited_for(tmp_path, no_sleep):
    late = outer.Registry(tmp_path)
    registry = Registry(late.address, INSECURE)
    with pytest.raises(UnavailableError, match="not ready after 5 s: Connection refused"):
        registry.wait(5)
    assert sum(no_sleep) == pytest.approx(5)
    with late:
        assert registry.wait(5) == 0


def test_waiting_ends_as_soon_as_the_registry_answers(tmp_path, monkeypatch):
    late = outer.Registry(tmp_path)
    registry = Registry(late.address, INSECURE)
    monkeypatch.setattr(retry, "_clock", retry.Clock())  # the real one, for once
    starter = threading.Timer(0.3, late.__enter__)
    starter.start()
    try:
        assert 0.2 < registry.wait(20) < 10
    finally:
        starter.join()
        time.sleep(0)
        late.__exit__()


def test_basic_auth_from_the_auth_file(tmp_path):
    with outer.Registry(tmp_path / "r", USER, PASSWORD) as registry:
        image = put_image(registry.address, "team/x", "1", (USER, PASSWORD))
        write_auth(tmp_path / "auth.json", {registry.address: (USER, PASSWORD)})
        client = Registry(registry.address, INSECURE, env={"REGISTRY_AUTH_FILE": f"{tmp_path}/auth.json"})
        assert client.ping() == "ready"
        assert client.digest("team/x", "1") == image[0]
        stranger = Registry(registry.address, INSECURE, env={"HOME": str(tmp_path)})
        assert stranger.ping() == "auth required"
        with pytest.raises(EngineError, match=r"401 Unauthorized.*podman-agent login"):
            stranger.digest("team/x", "1")


def test_netrc_does_not_replace_the_credentials_podman_would_use(tmp_path, monkeypatch):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login other password wrong\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    with outer.Registry(tmp_path / "r", USER, PASSWORD) as registry:
        access = Access(insecure=True, credentials=Credentials(USER, PASSWORD))
        assert Registry(registry.address, access).ping() == "ready"


def test_token_auth_and_a_token_that_expires(token_proxy, image):
    access = Access(insecure=True, credentials=Credentials(USER, PASSWORD))
    registry = Registry(token_proxy.address, access)
    token_proxy.reset(token_uses=2)
    for _ in range(4):
        assert registry.digest("team/x", "1") == image[0]
    assert sum("/token" in line for line in token_proxy.seen) == 2
    wrong = Access(insecure=True, credentials=Credentials(USER, "not-the-password"))
    with pytest.raises(EngineError, match="401 Unauthorized") as caught:
        Registry(token_proxy.address, wrong).digest("team/x", "1")
    assert "not-the-password" not in str(caught.value)


def test_a_certificate_authority_of_our_own(tmp_path, upstream, image):
    key, crt = tmp_path / "key.pem", tmp_path / "crt.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", crt,
         "-days", "1", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    with FaultProxy(upstream.address) as proxy:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(crt, key)
        proxy.server.socket = context.wrap_socket(proxy.server.socket, server_side=True)
        with pytest.raises(UnavailableError, match="certificate"):
            Registry(proxy.address).ping()
        with pytest.raises(UnavailableError, match=r"certs\.d/"):
            Registry(proxy.address).digest("team/x", "1")
        assert Registry(proxy.address, Access(ca=crt)).digest("team/x", "1") == image[0]
        assert Registry(proxy.address, INSECURE).digest("team/x", "1") == image[0]
        certs = tmp_path / ".config/containers/certs.d" / proxy.address
        certs.mkdir(parents=True)
        (certs / "ca.crt").write_bytes(crt.read_bytes())
        assert Registry(proxy.address, env={"HOME": str(tmp_path)}).ping() == "ready"


def test_mirrors_come_first_and_the_registry_itself_last(tmp_path, upstream, image):
    (tmp_path / "registries.conf").write_text(
        f"""
        [[registry]]
        prefix = "example.com/team"
        location = "{upstream.address}/team"
        insecure = true
        [[registry.mirror]]
        location = "127.0.0.1:1/cache"
        [[registry.mirror]]
        location = "127.0.0.1:2/by-digest"
        pull-from-mirror = "digest-only"
        [[registry]]
        prefix = "bad.example"
        blocked = true
        """
    )
    env = {"CONTAINERS_REGISTRIES_CONF": str(tmp_path / "registries.conf")}
    found = list(endpoints(Reference.parse("example.com/team/x:1"), env=env))
    assert [str(there) for _, there in found] == ["127.0.0.1:1/cache/x:1", f"{upstream.address}/team/x:1"]
    registry, there = found[-1]
    assert registry.digest(there.repository, there.version) == image[0]
    with pytest.raises(ConfigError, match="blocked"):
        list(endpoints(Reference.parse("bad.example/x"), env=env))
    plain = list(endpoints(Reference.parse("example.com/teamwork/x"), env=env))
    assert [str(there) for _, there in plain] == ["example.com/teamwork/x:latest"]


def write_auth(path, logins):
    auths = {k: {"auth": b64encode(f"{u}:{p}".encode()).decode()} for k, (u, p) in logins.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"auths": auths}))
    return path


def test_logins_are_found_where_the_plan_has_podman_put_them(tmp_path, monkeypatch):
    """Under readOnlyRootFilesystem podman's own directory for them cannot be written."""
    for name in ("REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    write_auth(tmp_path / "containers/auth.json", {"r.example": ("here", "p")})
    x = Reference.parse("r.example/x")
    assert auth.find(x) is None
    plan = shim.Hot({}, [], [("XDG_RUNTIME_DIR", str(tmp_path))])
    monkeypatch.setattr(shim, "load", lambda: plan)
    assert auth.find(x).username == "here"


def test_auth_files_are_read_in_podmans_order(tmp_path):
    home, run = tmp_path / "home", tmp_path / "run"
    env = {"HOME": str(home), "XDG_RUNTIME_DIR": str(run)}
    x = Reference.parse("r.example/team/x")
    assert auth.find(x, env) is None
    write_auth(home / ".docker/config.json", {"https://r.example/v1/": ("docker", "p")})
    assert auth.find(x, env).username == "docker"
    write_auth(home / ".config/containers/auth.json", {"r.example": ("user", "p")})
    assert auth.find(x, env).username == "user"
    write_auth(run / "containers/auth.json", {"r.example": ("boot", "p")})
    assert auth.find(x, env).username == "boot"
    other = write_auth(tmp_path / "other/config.json", {"r.example": ("chosen", "p")})
    assert auth.find(x, {**env, "DOCKER_CONFIG": str(other.parent)}).username == "chosen"
    third = write_auth(tmp_path / "third.json", {"r.example": ("file", "p")})
    both = {**env, "DOCKER_CONFIG": str(other.parent), "REGISTRY_AUTH_FILE": str(third)}
    assert auth.find(x, both).username == "file"


def test_the_most_specific_key_wins(tmp_path):
    file = write_auth(
        tmp_path / "auth.json",
        {"r.example": ("host", "p"), "r.example/team": ("ns", "p"), "r.example/team/x": ("repo", "p")},
    )

    def user(name):
        found = auth.find(Reference.parse(name), authfile=file)
        return found.username if found else None

    assert user("r.example/team/x:1") == "repo"
    assert user("r.example/team/y") == "ns"
    assert user("r.example/other") == "host"
    assert user("r.example:5000/x") is None
    only = write_auth(tmp_path / "only.json", {"r.example/team": ("ns", "p")})
    assert auth.find(Reference.parse("r.example/other/x"), authfile=only) is None


def test_docker_hub_has_many_names(tmp_path):
    file = write_auth(tmp_path / "auth.json", {"https://index.docker.io/v1/": ("hub", "p")})
    assert auth.find(Reference.parse("busybox"), authfile=file).username == "hub"


def test_a_kubernetes_pull_secret_mounted_as_a_directory_is_found(tmp_path):
    write_auth(tmp_path / ".docker/.dockerconfigjson", {"r.example": ("k8s", "p")})
    env = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path / "none")}
    assert auth.find(Reference.parse("r.example/x"), env).username == "k8s"
    assert auth.pull_secret(env) == tmp_path / ".docker/.dockerconfigjson"
    write_auth(tmp_path / ".docker/config.json", {})
    assert auth.pull_secret(env) is None


def test_a_credential_helper_is_asked_as_podman_asks_it(tmp_path, monkeypatch):
    helper = tmp_path / "docker-credential-fake-ecr"
    helper.write_text(
        '#!/bin/sh\nread host\n[ "$1 $host" = "get r.example" ] || exit 3\n'
        'echo \'{"Username": "AWS", "Secret": "tok"}\'\n'
    )
    helper.chmod(helper.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    file = tmp_path / "auth.json"
    file.write_text(json.dumps({"credHelpers": {"r.example": "fake-ecr", "none.example": "none"}}))
    found = auth.find(Reference.parse("r.example/x"), authfile=file)
    assert (found.username, found.password) == ("AWS", "tok")
    assert "tok" not in repr(found)
    with pytest.raises(ConfigError, match="docker-credential-none is not on PATH"):
        auth.find(Reference.parse("none.example/x"), authfile=file)


@pytest.mark.parametrize("text", ["{", '{"auths": {"r.example": {"auth": "!!s3cret"}}}'])
def test_a_broken_auth_file_is_named_and_not_quoted(tmp_path, text):
    (tmp_path / "auth.json").write_text(text)
    with pytest.raises(ConfigError, match=r"auth\.json") as caught:
        auth.find(Reference.parse("r.example/x"), authfile=tmp_path / "auth.json")
    assert "s3cret" not in str(caught.value)
