"""The registry client against a real docker-registry, through a proxy that can misbehave."""

from __future__ import annotations

import hashlib
import json
import os
import ssl
import subprocess
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import outer
import pytest
import requests
from library.conftest import PASSWORD, USER
from library.faultproxy import MANIFEST_GET, Fault, FaultProxy
from library.late import starting
from podman_agent import planfile
from podman_agent.errors import EngineError, MismatchError, UnavailableError
from podman_agent.explain.transfers import TRANSIENT_STATUS
from podman_agent.registry import retry
from podman_agent.registry.access import Access, pull_secret
from podman_agent.registry.client import Manifest, Registry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

INSECURE = Access(insecure=True)
Pushed = tuple[str, str]


def found(registry: Registry, version: str) -> Manifest:
    manifest = registry.manifest("team/x", version)
    assert manifest
    return manifest


def write_auth(path: Path, logins: dict[str, tuple[str, str]]) -> Path:
    auths = {k: {"auth": b64encode(f"{u}:{p}".encode()).decode()} for k, (u, p) in logins.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"auths": auths}))
    return path


def put_image(address: str, repository: str, tag: str, login: tuple[str, str] | None = None) -> Pushed:
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
def image(upstream: outer.Registry) -> Pushed:
    return put_image(upstream.address, "team/x", "1")


@pytest.fixture(autouse=True)
def no_sleep() -> Iterator[list[float]]:
    with retry.testing() as waits:
        yield waits


@pytest.fixture
def strict(tmp_path: Path) -> dict[str, str]:
    """An environment in which loopback is a registry like any other."""
    file = tmp_path / "strict.conf"
    file.write_text('[[registry]]\nlocation = "127.0.0.1"\ninsecure = false\n')
    return {**os.environ, "CONTAINERS_REGISTRIES_CONF": str(file)}


def test_digest_manifest_and_tags_are_the_registrys_own(upstream: outer.Registry, image: Pushed) -> None:
    registry = Registry(upstream.address, INSECURE)
    manifest = found(registry, "1")
    assert registry.ping() == "ready"
    assert registry.digest("team/x", "1") == image[0] == manifest.digest
    assert manifest.config_digest == image[1]
    assert registry.tags("team/x") == ["1"]
    assert registry.digest("team/x", "none") is None
    assert registry.manifest("team/none", "1") is None
    assert registry.tags("team/none") == []


def test_a_manifest_is_deleted_once(upstream: outer.Registry) -> None:
    put_image(upstream.address, "team/gone", "1")
    registry = Registry(upstream.address, INSECURE)
    assert registry.delete("team/gone", "1") is True
    assert registry.delete("team/gone", "1") is False
    assert registry.digest("team/gone", "1") is None


def test_plain_http_only_when_asked(upstream: outer.Registry, strict: dict[str, str]) -> None:
    with pytest.raises(UnavailableError, match="does not answer"):
        Registry(upstream.address, env=strict).ping()
    with pytest.raises(UnavailableError, match="PODMAN_AGENT_INSECURE_REGISTRIES"):
        Registry(upstream.address, env=strict).tags("team/x")


@pytest.mark.parametrize("status", sorted(TRANSIENT_STATUS))
def test_a_transient_status_is_tried_again(
    proxy: FaultProxy, image: Pushed, no_sleep: list[float], status: int
) -> None:
    proxy.reset(Fault(MANIFEST_GET, "status", times=2, status=status, body=f"{status} later\n".encode()))
    assert found(Registry(proxy.address, INSECURE), "1").digest == image[0]
    assert len(no_sleep) == (0 if status == 429 else 2), "a 429 skopeo tries again by itself"


@pytest.mark.parametrize("kind", ["drop", "truncate"])
def test_a_lost_connection_is_tried_again(proxy: FaultProxy, image: Pushed, kind: str) -> None:
    proxy.reset(Fault(MANIFEST_GET, kind))
    assert found(Registry(proxy.address, INSECURE), "1").digest == image[0]
    assert not proxy.unused()


def test_a_registry_that_starts_late_is_waited_for(tmp_path: Path, no_sleep: list[float]) -> None:
    late = outer.Registry(tmp_path)
    registry = Registry(late.address, INSECURE)
    with pytest.raises(UnavailableError, match="not ready after 5 s: Connection refused"):
        registry.wait(5)
    assert sum(no_sleep) == pytest.approx(5)
    with late:
        assert registry.wait(5) == 0


def test_waiting_ends_as_soon_as_the_registry_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    late = outer.Registry(tmp_path)
    registry = Registry(late.address, INSECURE)
    monkeypatch.setattr(retry, "_clock", retry.Clock())  # the real one, for once
    with starting(late, 0.3):
        assert 0.2 < registry.wait(20) < 10


def test_retry_after_is_asked_of_a_registry_that_says_too_often(proxy: FaultProxy) -> None:
    registry = Registry(proxy.address, INSECURE)
    proxy.reset(Fault("GET /v2/", "status", status=429, headers={"Retry-After": "23"}))
    assert registry.retry_after() == 23
    assert registry.retry_after() is None


def test_retry_after_of_a_503_is_waited(proxy: FaultProxy, no_sleep: list[float]) -> None:
    """A 429 skopeo waits for by itself."""
    busy: dict[str, Any] = {"status": 503, "headers": {"Retry-After": "23"}}
    proxy.reset(Fault(MANIFEST_GET, "status", **busy), Fault("GET /v2/", "status", skip=1, **busy))
    Registry(proxy.address, INSECURE).manifest("team/x", "1")
    assert no_sleep == [23]


def test_a_flipped_byte_is_fetched_again_and_twice_is_an_error(proxy: FaultProxy, image: Pushed) -> None:
    registry = Registry(proxy.address, INSECURE)
    proxy.reset(Fault(MANIFEST_GET, "corrupt-answer"))
    assert found(registry, image[0]).digest == image[0]
    assert not proxy.unused()
    proxy.reset(Fault(MANIFEST_GET, "corrupt-answer", times=2))
    with pytest.raises(MismatchError, match=r"team/x sha256:.* is damaged"):
        registry.manifest("team/x", image[0])


def test_basic_auth_from_the_auth_file(tmp_path: Path) -> None:
    env = {**os.environ, "HOME": str(tmp_path)}
    with outer.Registry(tmp_path / "r", USER, PASSWORD) as registry:
        image = put_image(registry.address, "team/x", "1", (USER, PASSWORD))
        file = write_auth(tmp_path / "auth.json", {registry.address: (USER, PASSWORD)})
        client = Registry(registry.address, INSECURE, env={**env, "REGISTRY_AUTH_FILE": str(file)})
        assert client.ping() == "ready"
        assert client.digest("team/x", "1") == image[0]
        assert Registry(registry.address, Access(insecure=True, authfile=file)).tags("team/x") == ["1"]
        stranger = Registry(registry.address, INSECURE, env=env)
        assert stranger.ping() == "auth required"
        with pytest.raises(EngineError, match=r"authentication required.*podman-agent login"):
            stranger.digest("team/x", "1")


def test_netrc_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Podman does not read it either."""
    (tmp_path / ".netrc").write_text(f"machine 127.0.0.1 login {USER} password {PASSWORD}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    with outer.Registry(tmp_path / "r", USER, PASSWORD) as registry:
        assert Registry(registry.address, INSECURE).ping() == "auth required"


def test_token_auth(token_proxy: FaultProxy, image: Pushed, tmp_path: Path) -> None:
    right = write_auth(tmp_path / "right.json", {token_proxy.address: (USER, PASSWORD)})
    registry = Registry(token_proxy.address, Access(insecure=True, authfile=right))
    assert registry.digest("team/x", "1") == image[0]
    wrong = write_auth(tmp_path / "wrong.json", {token_proxy.address: (USER, "not-the-password")})
    with pytest.raises(EngineError, match="invalid username/password") as caught:
        Registry(token_proxy.address, Access(insecure=True, authfile=wrong)).digest("team/x", "1")
    assert "not-the-password" not in str(caught.value)


def test_a_certificate_authority_of_our_own(
    tmp_path: Path, upstream: outer.Registry, image: Pushed, strict: dict[str, str]
) -> None:
    key, crt = tmp_path / "key.pem", tmp_path / "crt.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", crt,
         "-days", "1", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    env = {**strict, "HOME": str(tmp_path)}
    with FaultProxy(upstream.address) as proxy:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(crt, key)
        proxy.server.socket = context.wrap_socket(proxy.server.socket, server_side=True)
        with pytest.raises(UnavailableError, match="certificate"):
            Registry(proxy.address, env=env).ping()
        with pytest.raises(UnavailableError, match=r"certs\.d/"):
            Registry(proxy.address, env=env).digest("team/x", "1")
        assert Registry(proxy.address, INSECURE, env=env).digest("team/x", "1") == image[0]
        certs = tmp_path / ".config/containers/certs.d" / proxy.address
        certs.mkdir(parents=True)
        (certs / "ca.crt").write_bytes(crt.read_bytes())
        for registry in (Registry(proxy.address, env=env), Registry(proxy.address, Access(cert_dir=certs), env=env)):
            assert registry.ping() == "ready"
            assert registry.digest("team/x", "1") == image[0]


def test_neither_a_mirror_nor_another_location_answers_for_the_registry(
    tmp_path: Path, upstream: outer.Registry, image: Pushed
) -> None:
    """What was pushed to a registry is looked for there only."""
    (tmp_path / "registries.conf").write_text(
        f"""
        [[registry]]
        location = "{upstream.address}"
        insecure = true
        [[registry.mirror]]
        location = "127.0.0.1:1/cache"
        [[registry]]
        prefix = "{upstream.address}/team"
        location = "127.0.0.1:2/elsewhere"
        insecure = true
        [[registry]]
        location = "bad.example"
        blocked = true
        """
    )
    env = {**os.environ, "CONTAINERS_REGISTRIES_CONF": str(tmp_path / "registries.conf")}
    assert Registry(upstream.address, env=env).digest("team/x", "1") == image[0]
    with pytest.raises(EngineError, match=r"bad\.example/team/x is blocked"):
        Registry("bad.example", env=env).digest("team/x", "1")


def test_logins_are_found_where_the_plan_has_podman_put_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under readOnlyRootFilesystem podman's own directory for them cannot be written: no pull secret is needed then."""
    for name in ("REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    secret = write_auth(tmp_path / "home/.docker/.dockerconfigjson", {"r.example": ("k8s", "p")})
    write_auth(tmp_path / "containers/auth.json", {"r.example": ("here", "p")})
    assert pull_secret() == secret
    plan = planfile.Hot({}, environment={"XDG_RUNTIME_DIR": str(tmp_path)})
    monkeypatch.setattr(planfile, "load", lambda: plan)
    assert pull_secret() is None


def test_a_kubernetes_pull_secret_mounted_as_a_directory_is_found(tmp_path: Path) -> None:
    write_auth(tmp_path / ".docker/.dockerconfigjson", {"r.example": ("k8s", "p")})
    env = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path / "none")}
    assert pull_secret(env) == tmp_path / ".docker/.dockerconfigjson"
    assert Access().flags(env) == [f"--authfile={tmp_path}/.docker/.dockerconfigjson"]
    write_auth(tmp_path / ".docker/config.json", {})
    assert pull_secret(env) is None
    assert Access().flags(env) == []
