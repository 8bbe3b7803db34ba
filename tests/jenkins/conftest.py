"""A controller stand-in over HTTP and a jar that a real JVM runs."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
import zipfile
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import host
import outer
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
# The login that the registry of tests/conftest.py wants.
CREDENTIALS = {
    "registry": {"username": "user", "password": "secret-word"},
    "cosign-key": {"secret": "/tmp/secretFiles/cosign.key"},
    "cosign-password": {"secret": "word-of-the-key"},
    "sigstore-token": {"secret": "token-of-the-build"},
}

# What java was started with, one argument a line, then what the secret file held: as agent.jar reads it.
PROGRAM = """
import java.nio.file.*;
import java.nio.file.attribute.PosixFilePermissions;
public class Main {
    public static void main(String[] arguments) throws Exception {
        for (String argument : arguments) {
            System.out.println("argument " + argument);
            if (argument.startsWith("@")) {
                Path file = Paths.get(argument.substring(1));
                System.out.println("secret " + new String(Files.readAllBytes(file)));
                System.out.println("mode " + PosixFilePermissions.toString(Files.getPosixFilePermissions(file)));
            }
        }
        for (String name : new String[] {"JENKINS_SECRET", "REMOTING_OPTS", "JENKINS_URL"}) {
            System.out.println(name + " " + System.getenv(name));
        }
        System.out.println("property " + System.getProperty("probe"));
        System.out.println("java " + Runtime.version().feature());
        System.out.flush();
        if (Boolean.getBoolean("stay")) Thread.sleep(60000);
        System.exit(Integer.getInteger("code", 0));
    }
}
"""


@pytest.fixture(scope="session")
def namespace() -> list[str]:
    """What to put before a command so that it sees, and can end, its own processes only."""
    own_user = ["--map-root-user"] if os.geteuid() else []
    return ["unshare", *own_user, "--pid", "--fork", "--kill-child", "--mount-proc", "--"]


@pytest.fixture(scope="session")
def agent_jar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A jar in agent.jar's place, compiled here: it tells what it was started with."""
    host.ensure("ecj")
    directory = tmp_path_factory.mktemp("jar")
    (directory / "Main.java").write_text(PROGRAM)
    subprocess.run(
        ["ecj", "-proc:none", "-source", "11", "-target", "11", "-d", str(directory), str(directory / "Main.java")],
        check=True,
    )
    path = directory / "agent.jar"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as jar:
        jar.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\nMain-Class: Main\n\n")
        jar.write(directory / "Main.class", "Main.class")
        # Long enough to be cut in the middle.
        jar.writestr("ballast", "\n".join(str(n * 7919) for n in range(20000)))
    return path


@pytest.fixture(scope="session")
def groovy(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Run Jenkinsfiles with run.groovy beside this file; its configuration is described there."""
    host.ensure("groovy")

    def run(*files: Path, **configuration: object) -> subprocess.CompletedProcess[str]:
        standard = {
            "exec": [], "target": [], "env": {}, "params": {}, "credentials": CREDENTIALS, "workspace": "/workspace",
            "library": str(ROOT / "jenkins/vars"), "files": [str(file) for file in files],
        }  # fmt: skip
        path = tmp_path_factory.mktemp("groovy") / "configuration.json"
        path.write_text(json.dumps(standard | configuration))
        classes = f"{host.NEEDS['groovy'].probe}:{HERE / 'groovy'}"
        return subprocess.run(
            ["java", "-cp", classes, "groovy.ui.GroovyMain", str(HERE / "groovy/run.groovy"), str(path)],
            env=outer.ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip

    return run


@pytest.fixture(scope="session")
def told() -> Any:
    """The lines of JSON in the output of `groovy`, those of one kind."""

    def of(kind: str, done: subprocess.CompletedProcess[str]) -> list[Any]:
        assert done.returncode == 0, done.stdout + done.stderr
        lines = [json.loads(line[7:]) for line in done.stdout.splitlines() if line.startswith("[json] ")]
        return [line[kind] for line in lines if kind in line]

    return of


@dataclass
class Controller:
    """What the stand-in serves, and what it was asked.

    Attributes:
        jar: The bytes of agent.jar.
        faults: What the next requests meet, in order: a status, `cut` (too few bytes), `short` (too few bytes under
            an honest length), `html`, `drop` or `slow`; after the last, the jar.
        requests: Path and If-None-Match of every request.
    """

    jar: bytes
    faults: list[int | str] = field(default_factory=list)
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    etag: str = '"v1"'
    url: str = ""


class _Handler(BaseHTTPRequestHandler):
    controller: Controller

    def do_GET(self) -> None:
        said = self.controller
        known = self.headers.get("If-None-Match")
        said.requests.append((self.path, known))
        fault = said.faults.pop(0) if said.faults else None
        match fault:
            case int():
                self.send_error(fault)
            case "drop":
                self.connection.close()
            case "html":
                self._answer(b"<html>Please log in</html>")
            case "cut":
                self._answer(said.jar[: len(said.jar) // 2], length=len(said.jar))
            case "short":
                self._answer(said.jar[: len(said.jar) // 2])
            case _ if self.path != "/jenkins/jnlpJars/agent.jar":
                self.send_error(404)
            case _ if known == said.etag:
                self.send_response(304)
                self.end_headers()
            case _:
                self._answer(said.jar, slowly=fault == "slow")

    def _answer(self, body: bytes, length: int | None = None, *, slowly: bool = False) -> None:
        self.send_response(200)
        self.send_header("ETag", self.controller.etag)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        pieces = 10 if slowly else 1
        for n in range(pieces):
            self.wfile.write(body[n * len(body) // pieces : (n + 1) * len(body) // pieces])
            if slowly:
                time.sleep(0.03)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def controller(agent_jar: Any) -> Iterator[Any]:
    """A running stand-in for a Jenkins controller, below a path as behind an ingress."""
    said = Controller(agent_jar.read_bytes())
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"controller": said}))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    said.url = f"http://127.0.0.1:{server.server_port}/jenkins/"
    yield said
    server.shutdown()
    server.server_close()
