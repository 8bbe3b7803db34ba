"""One registry: is it there, what does it hold, is it what was pushed.

What it holds skopeo tells, with the credentials, certificates and credential helpers that podman pushed with; our own
is what neither does: ping, wait, and how long a registry asks to wait.
API: https://github.com/opencontainers/distribution-spec/blob/main/spec.md.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import ssl
import subprocess
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import InsecureRequestWarning

from podman_agent import __version__
from podman_agent.errors import MismatchError, UnavailableError
from podman_agent.explain.transfers import NOT_FOUND, TRANSIENT_STATUS
from podman_agent.registry import retry, skopeo
from podman_agent.registry.access import Access
from podman_agent.registry.registriesconf import RegistriesConf, registries_conf

if TYPE_CHECKING:
    from collections.abc import Mapping

_POLL_LIMIT = 15.0
_TIMEOUT = (10.0, 60.0)  # seconds to connect, and between two bytes
_DOCKER_HUB = "docker.io"
_DOCKER_HUB_API = "registry-1.docker.io"


@dataclass(frozen=True)
class Manifest:
    """A manifest as the registry gave it.

    Attributes:
        digest: sha256 of `content`.
        content: The bytes.
    """

    digest: str
    content: bytes = field(repr=False)

    @property
    def document(self) -> dict[str, Any]:
        """The parsed JSON."""
        parsed: dict[str, Any] = json.loads(self.content)
        return parsed

    @property
    def config_digest(self) -> str:
        """The image id for a single image; empty for a list."""
        return str(self.document.get("config", {}).get("digest", ""))

    @property
    def layers(self) -> dict[str, int]:
        """Layer digests to compressed sizes in bytes, in order; empty for a list."""
        return {layer["digest"]: layer["size"] for layer in self.document.get("layers", [])}

    @property
    def children(self) -> tuple[str, ...]:
        """Digests of the images in a list."""
        return tuple(m["digest"] for m in self.document.get("manifests", []))


class Registry:
    """One registry, with the credentials and certificates podman would use for it; its mirrors are not asked.

    Args:
        host: ``host`` or ``host:port``.
        access: Certificates and credentials; podman's defaults when None.
        policy: Retries; from the environment when None.
        env: `os.environ` when None.

    Attributes:
        host: As given.
        insecure: Plain HTTP and unverified TLS are allowed: asked for, or said in registries.conf.
    """

    def __init__(
        self,
        host: str,
        access: Access | None = None,
        policy: retry.Policy | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.host, self._access, self._env = host, access or Access(), env
        self.insecure = self._access.insecure or RegistriesConf.load(env).insecure(host)
        self._policy = policy or retry.Policy.from_env(env)

    def ping(self) -> str:
        """Ask once whether the API answers.

        Returns:
            ``ready``, or ``auth required`` when the credentials at hand do not open it: the
            registry is there all the same.

        Raises:
            UnavailableError: If it does not answer, or something else than a registry does.
        """
        try:
            response = self._get()
        except requests.RequestException as error:
            what = f"registry {self.host} does not answer"
            raise UnavailableError(what, _reason(error)) from error
        if response.status_code in {401, 403}:
            return "ready" if self._is_opened() else "auth required"
        if response.status_code != requests.codes.ok:
            what = f"registry {self.host} is not ready"
            raise UnavailableError(what, f"{response.status_code} {response.reason}")
        return "ready"

    def wait(self, timeout: float) -> float:
        """Wait until the registry answers.

        Args:
            timeout: Seconds; at least one ping is made.

        Returns:
            Seconds waited.

        Raises:
            UnavailableError: When the time is over; it has the last cause.
        """
        clock = retry.clock()
        start, pause = clock.now(), 0.25
        while True:
            try:
                self.ping()
                return clock.now() - start
            except UnavailableError as error:
                left = timeout - (clock.now() - start)
                if left <= 0:
                    what = f"registry {self.host} not ready after {timeout:.0f} s"
                    raise UnavailableError(what, error.why) from error
            clock.sleep(min(pause, left))
            pause = min(2 * pause, _POLL_LIMIT)

    def retry_after(self) -> float | None:
        """Ask how many seconds to wait, when podman was told 429 and kept the number to itself.

        Returns:
            The `Retry-After` of a 429 or 503 answer to a ping
            (https://www.rfc-editor.org/rfc/rfc9110#field.retry-after); None if it answers normally.
        """
        try:
            response = self._get()
        except requests.RequestException:
            return None
        value = response.headers.get("Retry-After", "") if response.status_code in TRANSIENT_STATUS else ""
        return float(value) if re.fullmatch(r"\d+(\.\d+)?", value) else None

    def digest(self, repository: str, version: str) -> str | None:
        """Give the digest of a tag.

        Returns:
            The digest, or None if there is no such manifest.
        """
        found = self.manifest(repository, version)
        return found.digest if found else None

    def manifest(self, repository: str, version: str) -> Manifest | None:
        """Fetch a manifest; one that is asked for by its digest is checked.

        Args:
            repository: ``team/image``.
            version: A tag or a digest.

        Returns:
            None if there is no such manifest.

        Raises:
            MismatchError: If the bytes do not match the digest asked for, twice: a byte that flipped
                once on the way is fetched again.
            EngineError: If the registry refuses.
            UnavailableError: If it cannot be spoken to.
            TransientError: After all retries.
        """
        for _ in range(2):
            try:
                content = self._skopeo(repository, version, "inspect", "--raw")
            except skopeo.FailedError as error:
                if error.known is NOT_FOUND:
                    return None
                if "does not match provided manifest digest" not in error.why:
                    raise
                continue
            digest = "sha256:" + hashlib.sha256(content).hexdigest()
            if ":" not in version or digest == version:
                return Manifest(digest, content)
        what = f"the manifest of {self.host}/{repository} {version} is damaged"
        raise MismatchError(what, "its bytes are of another digest")

    def tags(self, repository: str) -> list[str]:
        """List all tags, the registry's pages together; none where there is no such repository."""
        try:
            listed = json.loads(self._skopeo(repository, "", "list-tags"))
        except skopeo.FailedError as error:
            if error.known is NOT_FOUND:
                return []
            raise
        return list(listed["Tags"])

    def delete(self, repository: str, version: str) -> bool:
        """Delete a manifest by tag or digest.

        Returns:
            False if it was not there.

        Raises:
            EngineError: If the registry does not allow it.
        """
        try:
            self._skopeo(repository, version, "delete")
        except skopeo.FailedError as error:
            if error.known is NOT_FOUND:
                return False
            raise
        return True

    def _flags(self) -> list[str]:
        return Access(self.insecure, self._access.cert_dir, self._access.authfile).flags(self._env)

    def _skopeo(self, repository: str, version: str, *command: str) -> bytes:
        suffix = f"@{version}" if ":" in version else f":{version}" if version else ""
        return skopeo.read(
            [*command, *self._flags()],
            f"{self.host}/{repository}",
            suffix,
            self._policy,
            env=self._env,
            retry_after=self.retry_after,
        )

    def _is_opened(self) -> bool:
        """Whether skopeo has a login that opens the registry; it asks for none, because nobody answers."""
        try:
            done = subprocess.run(
                ["skopeo", *registries_conf(self._env), "login", *self._flags(), self.host],
                env=self._env,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_TIMEOUT[1],
                check=False,
            )
        except (FileNotFoundError, subprocess.TimeoutExpired):
            return False
        return done.returncode == 0

    def _get(self) -> requests.Response:
        """Ping without credentials; like podman with --tls-verify=false over plain HTTP where TLS is not spoken."""
        try:
            return self._send("https")
        except requests.ConnectionError:
            if not self.insecure:
                raise
        return self._send("http")

    def _send(self, scheme: str) -> requests.Response:
        host = _DOCKER_HUB_API if self.host == _DOCKER_HUB else self.host
        with requests.Session() as session, warnings.catch_warnings():
            warnings.simplefilter("ignore", InsecureRequestWarning)  # it was asked for
            session.mount("https://", _Trust(self._context()))
            return session.get(
                f"{scheme}://{host}/v2/",
                headers={"User-Agent": f"podman-agent/{__version__}"},
                auth=lambda request: request,  # or requests would read ~/.netrc
                timeout=_TIMEOUT,
                verify=False if self.insecure else None,
            )

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        for directory in [self._access.cert_dir] if self._access.cert_dir else self._certs_d():
            for file in sorted(directory.glob("*.crt")):
                context.load_verify_locations(file)
            for file in sorted(directory.glob("*.cert")):
                context.load_cert_chain(file, file.with_suffix(".key"))
        return context

    def _certs_d(self) -> list[Path]:
        """Podman's directories (https://github.com/containers/image/blob/main/docs/containers-certs.d.5.md)."""
        env = os.environ if self._env is None else self._env
        bases = (Path(env.get("HOME") or "/root") / ".config/containers", Path("/etc/containers"), Path("/etc/docker"))
        return [d for base in bases if (d := base / "certs.d" / self.host).is_dir()]


class _Trust(HTTPAdapter):
    """Verifies against the system's store, as podman does, and what is added to it."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)


def _reason(error: Exception) -> str:
    """Give the innermost words of requests' nested messages."""
    text = str(error)
    for pattern in (r"\[Errno -?\d+\] ([^'\")]+)", r"certificate verify failed: ([^(]+)"):
        if match := re.search(pattern, text):
            return match.group(1).strip()
    if isinstance(error, requests.Timeout):
        return "timeout"
    return re.sub(r"^.*\((?=\w+\()|<[^>]*>", "", text)[:200] or type(error).__name__
