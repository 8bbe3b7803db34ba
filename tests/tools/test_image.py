"""tools/image.py and tools/host.py: what they decide before they run anything heavy."""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import host
import image
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

NO_ROUTE = "registry.invalid/team/base:1"  # RFC 2606: never resolves


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    """An engine with an empty store that writes down how it is called, one word a line."""
    script = tmp_path / "engine"
    script.write_text(f'#!/bin/sh\ncase "$1" in image) exit 1;; esac\nprintf \'%s\\n\' "$@" >> {tmp_path}/calls\n')
    script.chmod(0o755)
    return script


def run_tool(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, image.__file__, *arguments],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("reference", "registry"),
    [
        ("quay.io/centos/centos:stream10", "quay.io"),
        ("localhost:5000/base", "localhost:5000"),
        ("localhost/base", "localhost"),
        (f"registry:5000/a/b@sha256:{'0' * 64}", "registry:5000"),
        ("debian:13", "registry-1.docker.io"),
        ("library/debian:13", "registry-1.docker.io"),
        ("docker.io/library/debian:13", "registry-1.docker.io"),
    ],
)
def test_the_registry_of_a_reference_is_dockers(reference: str, registry: str) -> None:
    assert image.registry_of(reference) == registry


def test_the_default_base_is_the_containerfiles() -> None:
    assert image.default_base().startswith("quay.io/centos/centos")


def test_a_registry_that_does_not_resolve_is_unreachable() -> None:
    assert image.unreachable("registry.invalid", seconds=2)


class _Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def proxy() -> Iterator[str]:
    """An HTTP proxy on loopback that refuses to connect anywhere."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_proxy_that_refuses_makes_a_registry_unreachable(engine: Path, proxy: str) -> None:
    done = run_tool("--podman", str(engine), "--base", NO_ROUTE, https_proxy=proxy)
    assert done.returncode == 1
    assert "cannot be reached (Tunnel connection failed: 501" in done.stderr


def test_a_base_that_was_asked_for_has_no_stand_in(engine: Path) -> None:
    done = run_tool("--podman", str(engine), "--base", NO_ROUTE)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "registry.invalid cannot be reached" in line
    assert not (engine.parent / "calls").exists()


def test_a_mirror_with_a_password_is_refused_unprinted(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://joe:hunter2@index.invalid/simple")
    with pytest.raises(image.ImageError, match="PIP_INDEX_URL holds a login") as caught:
        image.Builder([str(engine)]).build("localhost/base", "localhost/x", None)
    assert "hunter2" not in str(caught.value)
    assert not (engine.parent / "calls").exists()


def test_mirrors_ca_and_pip_conf_reach_the_build(engine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ca = tmp_path / "ca.pem"
    ca.touch()
    for name in image.MIRRORS:
        monkeypatch.setenv(name, f"http://mirror.invalid/{name}")
    monkeypatch.setenv("SSL_CERT_FILE", str(ca))
    image.Builder([str(engine)]).build("localhost/base", "localhost/x", tmp_path / "pip.conf")
    words = (tmp_path / "calls").read_text().splitlines()
    assert words[0] == "build"
    assert {f"{name}=http://mirror.invalid/{name}" for name in image.MIRRORS} < set(words)
    assert {
        f"id=ca,src={ca}",
        f"id=pip,src={tmp_path}/pip.conf",
        "BASE_IMAGE=localhost/base",
    } < set(words)


def test_what_is_there_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "_run", lambda command: pytest.fail(f"ran {command}"))
    monkeypatch.setitem(host.NEEDS, "shell", host.Need("sh", (), ()))
    host.ensure("shell")


def test_one_who_is_not_root_is_told_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(host.NEEDS, "x", host.Need("/no/such", ("deb-x",), ("rpm-x",)))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(host.HostError, match=r"lacks x; as root: .* install (deb|rpm)-x"):
        host.ensure("x")


def test_a_failed_installation_says_the_package_managers_last_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    apt = tmp_path / "apt-get"
    apt.write_text("#!/bin/sh\necho fetching\necho 'E: no network' >&2\nexit 100\n")
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setitem(host.NEEDS, "x", host.Need("/no/such", ("deb-x",), ("rpm-x",)))
    with pytest.raises(host.HostError, match=r"failed \(100\): E: no network$"):
        host.ensure("x")
    assert capsys.readouterr().err == "installing on this machine: deb-x\n"


@pytest.mark.parametrize("family", ["debian", "el9", "el10"])
def test_every_family_lists_the_same_tools(family: str) -> None:
    lines = Path(image.ROOT, "entrypoint", "packages", f"{family}.txt").read_text().splitlines()
    names = [line for line in lines if line and not line.startswith("#")]
    assert len(names) == len(set(names))
    assert {
        *("podman", "buildah", "skopeo", "crun", "netavark", "aardvark-dns", "nftables", "passt"),
        *("fuse-overlayfs", "catatonit", "git", "git-lfs", "jq", "unzip", "ca-certificates"),
    } < set(names)


@pytest.mark.parametrize(("release", "python"), [("9", "python3.12"), ("10", "python3")])
def test_dnf_is_called_with_the_mirror_and_the_ca_fake_dnf(tmp_path: Path, release: str, python: str) -> None:
    """There is no CentOS mirror here: this sees only how dnf and rpm are called."""
    for name in ("dnf", "rpm"):
        (tmp_path / name).write_text(f'#!/bin/sh\nprintf "%s\\n" {name} "$@" >> {tmp_path}/calls\n')
        (tmp_path / name).chmod(0o755)
    for name in ("bash", "sed"):
        (tmp_path / name).symlink_to(f"/usr/bin/{name}")
    (tmp_path / "rm").write_text("#!/bin/sh\n")
    (tmp_path / "rm").chmod(0o755)
    (tmp_path / "os-release").write_text(f'VERSION_ID="{release}"\n')
    setup = image.ROOT / "entrypoint" / "setup" / "install-packages"
    script = tmp_path / "install-packages"
    script.write_text(setup.read_text().replace("/etc/os-release", str(tmp_path / "os-release")))
    subprocess.run(
        ["/bin/bash", script, image.ROOT / "entrypoint" / "packages"],
        env={"PATH": str(tmp_path), "SSL_CERT_FILE": "/dev/shm/ca", "DNF_MIRROR": "https://mirror.invalid"},
        check=True,
    )
    words = (tmp_path / "calls").read_text().splitlines()
    url = f"https://mirror.invalid/{release}-stream/AppStream/$basearch/os/"
    assert {"--setopt=sslcacert=/dev/shm/ca", f"--setopt=appstream.baseurl={url}"} < set(words)
    assert words.index("install") < words.index("podman") < words.index(python)
    assert words[-3:] == ["rpm", "--setcaps", "shadow-utils"]


def test_an_unknown_need_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert host.main(["no-such-thing"]) == 64
    assert capsys.readouterr().err.startswith("host: unknown: no-such-thing; known are bindfs, ")
