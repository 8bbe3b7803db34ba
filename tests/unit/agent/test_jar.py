"""Where agent.jar may come from when the controller redirects."""

from __future__ import annotations

import io
import ssl
import subprocess
import threading
import zipfile
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from podman_agent.agent import jar
from podman_agent.errors import MismatchError
from podman_agent.registry import retry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of 127.0.0.1 and localhost, with its key."""
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", file, "-out", f"{file}.crt", "-days",
         "1", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"],
        check=True, capture_output=True,
    )  # fmt: skip
    file.write_text(file.read_text() + file.with_name("both.pem.crt").read_text())
    return file


def content() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\nMain-Class: Main\n\n")
    return file.getvalue()


@contextmanager
def controller(certificate: Path | None, location: str = "") -> Iterator[str]:
    """Serves the jar, or redirects the jar's own path; gives its root URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if location and self.path == "/jnlpJars/agent.jar":
                self.send_response(302)
                self.send_header("Location", location)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content())))
            self.end_headers()
            self.wfile.write(content())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def waits() -> Iterator[list[float]]:
    """Nothing sleeps."""
    with retry.testing() as waited:
        yield waited


def test_https_never_leads_to_http(certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even to a host that is named."""
    with controller(None) as plain, controller(certificate, f"{plain}/other.jar") as secure:
        monkeypatch.setenv("PODMAN_AGENT_JAR_HOSTS", plain.removeprefix("http://"))
        with pytest.raises(MismatchError, match=r"redirected to http://127\.0\.0\.1:\d+, where anybody may answer"):
            jar.fetch(secure, tmp_path, verify=str(certificate))
    assert list(tmp_path.iterdir()) == []


def test_another_host_is_taken_only_where_it_is_named(
    certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    """A port of its own is a host of its own."""
    with controller(certificate) as other, controller(certificate, f"{other}/other.jar") as secure:
        name = other.removeprefix("https://")
        with pytest.raises(MismatchError, match=f"another host; if that is meant, PODMAN_AGENT_JAR_HOSTS={name}"):
            jar.fetch(secure, tmp_path, verify=str(certificate))
        monkeypatch.setenv("PODMAN_AGENT_JAR_HOSTS", f"x.example,{name}")
        assert jar.fetch(secure, tmp_path, verify=str(certificate)).read_bytes() == content()
    assert waits == []


def test_the_same_host_may_redirect_and_http_may_lead_to_https(certificate: Path, tmp_path: Path) -> None:
    """What was unsafe from the start gets no worse."""
    with controller(certificate, "/elsewhere.jar") as secure:
        jar.fetch(secure, tmp_path / "a", verify=str(certificate))
        with controller(None, f"{secure}/elsewhere.jar") as plain:
            jar.fetch(plain, tmp_path / "b", verify=str(certificate))
