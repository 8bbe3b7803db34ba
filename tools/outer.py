"""The machine's own podman, registry and pods, for the demo, the tests and the benchmarks.

The outer podman goes through our own shim and plan, in a store of its own below the user's cache directory. Everything
started here is stopped on the way out, also after Ctrl-C or SIGTERM. Standard library only.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import http
import io
import json
import os
import platform
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import host
import runs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jenkins-podman-agent"
PODMAN = str(ROOT / "entrypoint" / "podman")
IMAGE = "localhost/jenkins-podman-agent:latest"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
# first part of every name given here, so that a run can tell its pods and volumes from others'; children share it
NAME = os.environ.setdefault("JPA_NAME", f"jpa{os.getpid()}")
# a plan of the outer machine, apart from that of an agent this may itself be running in
ENVIRONMENT = {
    **{k: v for k, v in os.environ.items() if not k.startswith("PODMAN_AGENT_")},
    "PODMAN_AGENT_GRAPHROOT": str(CACHE / "containers/storage"),
    # one for each store: two with one state directory would overwrite each other's plan
    "PODMAN_AGENT_STATE_DIR": f"/run/jenkins-podman-agent-{zlib.crc32(os.fsencode(CACHE)):08x}",
}


class OuterError(Exception):
    """A command of the outer machine failed; the text holds its last words."""


def run(*args: str, stdin: str | bytes | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command with the outer plan's environment and its output kept.

    Raises:
        OuterError: It failed and `check` is set.
    """
    text = stdin.decode() if isinstance(stdin, bytes) else stdin
    done = subprocess.run(
        args, env=ENVIRONMENT, input=text or "", capture_output=True, text=True, errors="replace", check=False
    )
    if check and done.returncode:
        what = f"`{' '.join(args)}` failed ({done.returncode}): {done.stderr.strip() or done.stdout.strip()}"
        raise OuterError(what)
    return done


def podman(*args: str, stdin: str | bytes | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the outer podman, through our own shim."""
    return run(PODMAN, *args, stdin=stdin, check=check)


def ensure_image() -> None:
    """Have the agent image of this very tree (quick when nothing changed)."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools/image.py")], env=ENVIRONMENT, stdout=sys.stderr, check=False
    )
    if done.returncode:
        what = "the image could not be built, see above"
        raise OuterError(what)


def free_port() -> int:
    """A TCP port on loopback that nothing listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Registry:
    """A docker-registry (Debian's package) on loopback, with htpasswd logins or without.

    Args:
        directory: Where its blobs, configuration and log go.
        user: A login, or None for a registry that asks for none.
        password: Its password.
    """

    def __init__(self, directory: Path, user: str | None = None, password: str = "") -> None:
        self.directory, self.user, self.password = directory, user, password
        self.address = f"127.0.0.1:{free_port()}"

    def __enter__(self) -> Registry:
        host.ensure("docker-registry", *(["htpasswd"] if self.user else []))
        self.directory.mkdir(parents=True, exist_ok=True)
        config = f"""version: 0.1
log: {{level: warn, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {self.directory}/blobs}}, delete: {{enabled: true}}}}
http: {{addr: "{self.address}"}}
"""
        if self.user:
            line = run("htpasswd", "-niB", self.user, stdin=self.password).stdout
            (self.directory / "htpasswd").write_text(line)
            config += f"auth: {{htpasswd: {{realm: registry, path: {self.directory}/htpasswd}}}}\n"
        (self.directory / "config.yml").write_text(config)
        self.log = (self.directory / "log").open("wb")
        self.process = subprocess.Popen(
            # its end is ours, also when we are killed
            ["setpriv", "--pdeathsig", "TERM", "docker-registry", "serve", str(self.directory / "config.yml")],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True,
        )  # fmt: skip
        self._wait()
        return self

    def _wait(self) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError):
                self.request("HEAD", "/v2/")
                return
            time.sleep(0.05)
        self.__exit__()
        what = f"docker-registry did not start: {(self.directory / 'log').read_text()[-500:]}"
        raise OuterError(what)

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(10)
        self.log.close()

    def request(
        self, method: str, path: str, data: bytes | None = None, kind: str = "application/octet-stream"
    ) -> tuple[int, dict[str, str], bytes]:
        """Speak to the registry's API as its own user; gives status, headers (lower case) and body."""
        url = path if path.startswith("http://") else f"http://{self.address}{path}"
        headers = {"Accept": f"{MANIFEST}, application/vnd.oci.image.manifest.v1+json"}
        if data is not None:
            headers["Content-Type"] = kind
        request = urllib.request.Request(url, data=data, method=method, headers=headers)
        if self.user:
            token = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
            request.add_header("Authorization", f"Basic {token}")
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, {k.lower(): v for k, v in error.headers.items()}, error.read()

    def put(self, repository: str, tag: str, config: Mapping[str, object], layer: bytes) -> None:
        """Push an image of one layer.

        Args:
            repository: Its name here.
            tag: Its tag.
            config: Its configuration.
            layer: The layer's tar, compressed by gzip.

        Raises:
            OuterError: The registry did not take it.
        """
        blobs = (json.dumps(config).encode(), layer)
        parts: list[dict[str, object]] = []
        for kind, blob in zip(("container.image.v1+json", "image.rootfs.diff.tar.gzip"), blobs, strict=True):
            digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
            place = self.request("POST", f"/v2/{repository}/blobs/uploads/", b"")[1].get("location", "")
            self._expect_created(f"{place}&digest={digest}", blob)
            parts.append({"mediaType": f"application/vnd.docker.{kind}", "size": len(blob), "digest": digest})
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": parts[0], "layers": parts[1:]}
        self._expect_created(f"/v2/{repository}/manifests/{tag}", json.dumps(manifest).encode(), MANIFEST)

    def _expect_created(self, path: str, data: bytes, kind: str = "application/octet-stream") -> None:
        status, _, said = self.request("PUT", path, data, kind)
        if status != http.HTTPStatus.CREATED:
            what = f"the registry at {self.address} answered {status} to a PUT of {path}: {said[:300]!r}"
            raise OuterError(what)

    def digest(self, repository: str, tag: str) -> str:
        """The digest the registry's API gives for a tag; empty when it has none."""
        return self.request("HEAD", f"/v2/{repository}/manifests/{tag}")[1].get("docker-content-digest", "")


def push_busybox(registry: Registry) -> None:
    """Serve docker.io's library/busybox from `registry`, made of Debian's busybox-static.

    By the registry's own API: two test runs that went through one podman 4.3 store at once, as in the machine of
    `vm`, have met `image not known` between their import and their push.
    """
    host.ensure("busybox")
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        for name, mode in (("bin", 0o755), ("tmp", 0o1777), ("etc", 0o755), ("home", 0o755)):
            _member(tar, name, tarfile.DIRTYPE, mode)
        _member(tar, "etc/passwd", data=b"root:x:0:0:root:/root:/bin/sh\n")
        _member(tar, "etc/group", data=b"root:x:0:\n")
        _member(tar, "bin/busybox", mode=0o755, data=Path(shutil.which("busybox") or "/bin/busybox").read_bytes())
        for applet in run("busybox", "--list").stdout.split():
            if applet != "busybox":
                _member(tar, f"bin/{applet}", tarfile.SYMTYPE, 0o777, link="busybox")
    config = {
        "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "architecture": {"aarch64": "arm64"}.get(platform.machine(), "amd64"),
        "os": "linux",
        "config": {"Env": ["PATH=/bin"], "Cmd": ["sh"]},
        # buildah finds no layer again on a base whose history has fewer entries, or one without a time
        "history": [{"created": "2020-01-01T00:00:00Z", "created_by": "busybox --list"}],
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer.getvalue()).hexdigest()}"]},
    }
    registry.put("library/busybox", "latest", config, gzip.compress(layer.getvalue(), 6))


def _member(
    tar: tarfile.TarFile,
    name: str,
    kind: bytes = tarfile.REGTYPE,
    mode: int = 0o644,
    *,
    data: bytes = b"",
    link: str = "",
) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.size, member.linkname = kind, mode, len(data), link
    tar.addfile(member, io.BytesIO(data))


class Pod:
    """A pod started from one of our templates with ``podman kube play``.

    Args:
        template: The yaml file.
        host_path: What stands in for every hostPath, or for the part of it that the pod mounts: `subPath` is taken
            out, which `kube play` 4.3 may not know, and which a kubelet makes by binding that directory.
        claim: What stands in for the name of every PersistentVolumeClaim.
        env: Environment variables added to the container, as the owner of a pod template would.
        image: What stands in for the image reference.
    """

    container = "podman"

    def __init__(
        self,
        template: Path,
        *,
        host_path: Path | None = None,
        claim: str = "",
        env: dict[str, str] | None = None,
        image: str = IMAGE,
    ) -> None:
        text = template.read_text()
        self.name = f"{NAME}-{secrets.token_hex(4)}"
        named = re.search(r"claimName: (\S+)", text)
        if claim and named:
            text = re.sub(rf"^(  name:|.*claimName:) {re.escape(named[1])}$", rf"\1 {claim}", text, flags=re.MULTILINE)
        documents = text.split("\n---\n")
        if claim and podman("volume", "exists", claim, check=False).returncode == 0:
            # kubectl leaves a claim that exists alone, `kube play` calls it an error
            documents = documents[-1:]
        documents[-1] = re.sub(r"^  name: .*$", f"  name: {self.name}", documents[-1], count=1, flags=re.MULTILINE)
        # no seccompProfile means none to a kubelet, podman's own to `kube play`
        annotation = 'annotations: {"seccomp.security.alpha.kubernetes.io/pod": "unconfined"}'
        documents[-1] = documents[-1].replace("kind: Pod\nmetadata:\n", f"kind: Pod\nmetadata:\n  {annotation}\n", 1)
        text = "\n---\n".join(documents).replace(IMAGE, image)
        text = re.sub(r"\n +subPath: .*", "", text)
        if host_path:
            text = re.sub(r"(hostPath:\n\s+path:) .*", rf"\1 {host_path}", text)
        if env:
            rows = "".join(f'        - name: {k}\n          value: "{v}"\n' for k, v in env.items())
            # after those of the template: of two with the same name the last one counts
            own = re.compile(r"^      env:\n(?: {8}.*\n)+", re.MULTILINE)
            if own.search(text):
                text = own.sub(lambda match: match[0] + rows, text, count=1)
            else:
                head = re.compile(r"^      image: .*\n", re.MULTILINE)
                text = head.sub(lambda match: f"{match[0]}      env:\n{rows}", text, count=1)
        self.text = text

    def __enter__(self) -> Pod:
        host.ensure("podman")
        try:
            podman("kube", "play", "--network", "host", "-", stdin=self.text)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        podman("pod", "rm", "-f", "-t", "0", self.name, check=False)

    def sh(
        self,
        script: str,
        *,
        env: dict[str, str] | None = None,
        check: bool = True,
        shell: str = "sh -xe",
        stdin: str = "",
        merge: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """Run a script in the pod as a Jenkins ``sh`` step does: not interactive, no profile, no terminal.

        Args:
            script: Shell text.
            env: Variables passed by name, so that no value is in any argv.
            check: Raise when it fails.
            shell: The shell and its options.
            stdin: What it reads.
            merge: One stream for both outputs, as a Jenkins log has.

        Raises:
            OuterError: It failed and `check` is set.
        """
        options = [o for name in env or {} for o in ("--env", name)]
        full = {**ENVIRONMENT, **(env or {})}
        done = subprocess.run(
            [PODMAN, "exec", "-i", *options, f"{self.name}-{self.container}", *shell.split(), "-c", script],
            env=full, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT if merge else subprocess.PIPE,
            text=True, errors="replace", check=False,
        )  # fmt: skip
        if check and done.returncode:
            what = f"script failed ({done.returncode}) in {self.name}:\n{done.stdout}{done.stderr or ''}"
            raise OuterError(what)
        return done


@contextlib.contextmanager
def volume(name: str) -> Iterator[str]:
    """A volume of the outer podman, as a PersistentVolumeClaim of that name becomes one; gone afterwards."""
    podman("volume", "rm", "-f", name, check=False)
    try:
        yield name
    finally:
        podman("volume", "rm", "-f", name, check=False)


def begin() -> None:
    """Say that this run lives, and clear away what runs left that were killed."""
    runs.begin(CACHE, NAME, podman if (CACHE / "containers/storage").exists() else None)


@contextlib.contextmanager
def scratch(name: str) -> Iterator[Path]:
    """A directory on a disk (not the overlay of a container, not tmpfs); gone afterwards, whatever is below it."""
    begin()
    path = Path(tempfile.mkdtemp(prefix=f"{NAME}-{name}-", dir=CACHE))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def unmount_home() -> None:
    """Take away the bind mount podman leaves on its graphroot; refused by the kernel while a container runs there."""
    run("umount", str(CACHE / "containers/storage/overlay"), check=False)


def clean() -> None:
    """Remove the outer podman's store and state, and whatever containers were left in it."""
    if CACHE.exists():
        podman("pod", "rm", "-fa", "-t", "0", check=False)
        podman("rm", "-fa", "-t", "0", check=False)
    runs.unmount_below(CACHE)
    shutil.rmtree(CACHE, ignore_errors=True)
    shutil.rmtree(ENVIRONMENT["PODMAN_AGENT_STATE_DIR"], ignore_errors=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["clean"]:
        clean()
    else:
        sys.exit("usage: outer.py clean")
