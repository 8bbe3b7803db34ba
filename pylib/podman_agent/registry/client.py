"""Talks to a registry over its HTTP API: is it there, what does it hold, is it what was pushed.

API: https://github.com/opencontainers/distribution-spec/blob/main/spec.md.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import requests

from podman_agent.errors import EngineError, MismatchError, UnavailableError
from podman_agent.explain.transfers import TRANSIENT_STATUS
from podman_agent.registry import credentials as auth
from podman_agent.registry import retry
from podman_agent.registry.mirrors import RegistriesConf
from podman_agent.registry.reference import Reference
from podman_agent.registry.session import RegistrySession

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MANIFEST_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_POLL_LIMIT = 15.0


@dataclass(frozen=True)
class Manifest:
    """A manifest as the registry gave it, its bytes matching its digest.

    Attributes:
        digest: sha256 of `content`.
        media_type: One of `MANIFEST_TYPES`.
        content: The bytes.
    """

    digest: str
    media_type: str
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
    """One registry, with the credentials and certificates podman would use for it.

    Args:
        host: ``host`` or ``host:port``.
        access: Certificates and credentials; podman's defaults when None.
        policy: Retries; from the environment when None.
        env: `os.environ` when None.

    Attributes:
        host: As given.
        insecure: Plain HTTP and unverified TLS are allowed.
    """

    def __init__(
        self,
        host: str,
        access: auth.Access | None = None,
        policy: retry.Policy | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.host = host
        self.insecure = bool(access and access.insecure)
        self._policy = policy or retry.Policy.from_env(env)
        self._session = RegistrySession(host, access or auth.Access(), env)

    def ping(self) -> str:
        """Ask once whether the API answers.

        Returns:
            ``ready``, or ``auth required`` when the credentials at hand do not open it: the
            registry is there all the same.

        Raises:
            UnavailableError: If it does not answer, or something else than a registry does.
        """
        try:
            response = self._session.request("GET", "/v2/", "")
        except requests.RequestException as error:
            what = f"registry {self.host} does not answer"
            raise UnavailableError(what, _reason(error)) from error
        if response.status_code in {401, 403}:
            return "auth required"
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
            The `Retry-After` of a 429 or 503 answer to a ping; None if it answers normally.
        """
        try:
            response = self._session.request("GET", "/v2/", "")
        except requests.RequestException:
            return None
        return retry_after(response)

    def digest(self, repository: str, version: str) -> str | None:
        """Give the digest of a tag without fetching the manifest.

        Returns:
            The digest, or None if there is no such manifest.
        """
        response = self._manifest_request("HEAD", repository, version)
        if response.status_code == requests.codes.not_found:
            return None
        self._check(response, f"HEAD {self.host}/{repository}:{version}")
        if digest := response.headers.get("Docker-Content-Digest"):
            return str(digest)
        found = self.manifest(repository, version)
        return found.digest if found else None

    def manifest(self, repository: str, version: str) -> Manifest | None:
        """Fetch a manifest and check its bytes.

        Args:
            repository: ``team/image``.
            version: A tag or a digest.

        Returns:
            None if there is no such manifest.

        Raises:
            MismatchError: If the bytes do not match the digest asked for or the one announced,
                twice: a byte that flipped once on the way is fetched again.
            TransientError: After all retries.
            EngineError: If the registry refuses.
        """
        what = f"{self.host}/{repository}:{version}"
        for last in (False, True):
            response = self._manifest_request("GET", repository, version)
            if response.status_code == requests.codes.not_found:
                return None
            self._check(response, f"GET {what}")
            digest = "sha256:" + hashlib.sha256(response.content).hexdigest()
            announced = response.headers.get("Docker-Content-Digest", digest)
            wanted = version if ":" in version else digest
            if digest == announced == wanted:
                media_type = response.headers.get("Content-Type", "")
                return Manifest(digest, media_type, response.content)
            if last:
                msg = f"the manifest of {what} is damaged"
                raise MismatchError(
                    msg,
                    f"its bytes are {digest}, the registry says {announced if announced != digest else wanted}",
                )
        return None

    def tags(self, repository: str) -> list[str]:
        """List all tags, following the registry's pages."""
        path: str | None = f"/v2/{repository}/tags/list"
        found: list[str] = []
        while path:
            response = self._request("GET", path, repository)
            if response.status_code == requests.codes.not_found:
                return []
            self._check(response, f"tags of {self.host}/{repository}")
            found += response.json().get("tags") or []
            link = response.links.get("next", {}).get("url")
            path = re.sub(r"^https?://[^/]+", "", link) if link else None
        return found

    def delete(self, repository: str, version: str) -> bool:
        """Delete a manifest by tag or digest.

        Returns:
            False if it was not there.

        Raises:
            EngineError: If the registry does not allow it.
        """
        digest = version if ":" in version else self.digest(repository, version)
        if digest is None:
            return False
        path = f"/v2/{repository}/manifests/{digest}"
        response = self._request("DELETE", path, repository, actions="pull,delete")
        if response.status_code == requests.codes.not_found:
            return False
        self._check(response, f"delete {self.host}/{repository}@{digest}")
        return True

    def _manifest_request(self, method: str, repository: str, version: str) -> requests.Response:
        path = f"/v2/{repository}/manifests/{version}"
        headers = {"Accept": ", ".join(MANIFEST_TYPES)}
        return self._request(method, path, repository, headers=headers)

    def _request(
        self,
        method: str,
        path: str,
        repository: str,
        *,
        headers: dict[str, str] | None = None,
        actions: str = "pull",
    ) -> requests.Response:
        def attempt() -> requests.Response:
            try:
                response = self._session.request(method, path, repository, headers=headers, actions=actions)
            except (requests.ConnectionError, requests.Timeout) as error:
                if isinstance(error, requests.exceptions.SSLError):
                    raise self._unreachable(error) from error
                raise retry.RetryableError(_reason(error)) from error
            except requests.RequestException as error:  # a body cut short, too many redirects
                raise retry.RetryableError(_reason(error)) from error
            if response.status_code in TRANSIENT_STATUS:
                cause = f"{response.status_code} {response.reason}"
                raise retry.RetryableError(cause, retry_after=retry_after(response))
            return response

        what = f"{method} {self.host}{path}"
        return retry.call(attempt, what, self._policy)[0]

    def _unreachable(self, error: Exception) -> UnavailableError:
        what = f"registry {self.host}"
        fix = f"put its CA in /etc/containers/certs.d/{self.host}/ca.crt"
        return UnavailableError(what, _reason(error), fix)

    def _check(self, response: requests.Response, what: str) -> None:
        if response.ok:
            return
        why = f"{response.status_code} {response.reason}"
        try:
            first = response.json()["errors"][0]
            why += f" ({first.get('code', '')}: {first.get('message', '')})"
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            pass
        fix = ""
        if response.status_code in {401, 403}:
            fix = f"log in with podman-agent login {self.host}, or check the pull secret"
        elif response.status_code == requests.codes.method_not_allowed:
            fix = "this registry does not allow deletion"
        raise EngineError(what, why, fix)


def retry_after(response: requests.Response) -> float | None:
    """Read `Retry-After` in seconds (https://www.rfc-editor.org/rfc/rfc9110#field.retry-after)."""
    if response.status_code not in TRANSIENT_STATUS:
        return None
    value = response.headers.get("Retry-After", "")
    return float(value) if re.fullmatch(r"\d+(\.\d+)?", value) else None


def endpoints(
    reference: Reference,
    access: auth.Access | None = None,
    policy: retry.Policy | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[tuple[Registry, Reference]]:
    """Give the registries that may hold an image, as registries.conf has it: mirrors first.

    Args:
        reference: The image.
        access: `insecure` in it counts everywhere, whatever the file says.
        policy: Retries; from the environment when None.
        env: `os.environ` when None.

    Yields:
        A registry and the image's name there.
    """
    access = access or auth.Access()
    for endpoint in RegistriesConf.load(env).endpoints(reference):
        suffix = f"@{reference.digest}" if reference.digest else f":{reference.version}"
        there = Reference.parse(endpoint.name + suffix)
        rights = replace(access, insecure=access.insecure or endpoint.insecure)
        yield Registry(there.registry, rights, policy, env), there


def _reason(error: Exception) -> str:
    """Give the innermost words of requests' nested messages."""
    text = str(error)
    for pattern in (r"\[Errno -?\d+\] ([^'\")]+)", r"certificate verify failed: ([^(]+)"):
        if match := re.search(pattern, text):
            return match.group(1).strip()
    if isinstance(error, requests.Timeout):
        return "timeout"
    return re.sub(r"^.*\((?=\w+\()|<[^>]*>", "", text)[:200] or type(error).__name__
