"""HTTP to one registry: scheme, certificates, basic and token authentication.

Token flow: https://distribution.github.io/distribution/spec/auth/token/ and
https://distribution.github.io/distribution/spec/auth/oauth/.
"""

from __future__ import annotations

import os
import ssl
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth
from requests.utils import parse_dict_header
from urllib3.exceptions import InsecureRequestWarning

from podman_agent import __version__
from podman_agent.errors import EngineError
from podman_agent.registry.credentials import find
from podman_agent.registry.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from podman_agent.registry.credentials import Access, Credentials

_TIMEOUT = (10.0, 60.0)  # seconds to connect, and between two bytes
_DOCKER_HUB_API = "registry-1.docker.io"


class _Header(AuthBase):
    """One Authorization header, or none: an explicit auth keeps requests from reading ~/.netrc."""

    def __init__(self, value: str = "") -> None:
        self._value = value

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._value:
            request.headers["Authorization"] = self._value
        return request


class _Trust(HTTPAdapter):
    """Verifies against the system's store, as podman does, and what is added to it."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)


class RegistrySession:
    """Sends requests to one registry and logs in as it is asked to.

    Args:
        host: ``host`` or ``host:port``.
        access: Certificates and credentials.
        env: `os.environ` when None.
    """

    def __init__(
        self,
        host: str,
        access: Access,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._host, self._access, self._env = host, access, env
        self._scheme = "https"
        self._headers: dict[tuple[str, str], _Header] = {}
        self._session = requests.Session()
        self._session.headers["User-Agent"] = f"podman-agent/{__version__}"
        # Given with each request: REQUESTS_CA_BUNDLE would override the session's own False.
        self._verify = False if access.insecure else None
        self._session.mount("https://", _Trust(_context(host, access, env)))

    def request(
        self,
        method: str,
        path: str,
        repository: str,
        *,
        headers: dict[str, str] | None = None,
        actions: str = "pull",
    ) -> requests.Response:
        """Send one request; a 401 is answered with credentials or a new token, once.

        Args:
            method: HTTP method.
            path: From ``/v2/`` on.
            repository: For the credentials and the token's scope; empty for the registry itself.
            headers: More headers.
            actions: The scope's actions: ``pull``, ``pull,push`` or ``pull,delete``.

        Raises:
            requests.RequestException: If there is no answer.
            EngineError: If the registry wants credentials sent where they must not go.
        """
        key = (repository, actions)
        response = self._send(method, path, headers, self._headers.get(key, _Header()))
        if response.status_code != requests.codes.unauthorized:
            return response
        # Also the way out of an expired token: the challenge of this answer counts, not the old one.
        answer = self._answer(response, repository, actions)
        if answer is None:
            return response
        self._headers[key] = answer
        return self._send(method, path, headers, answer)

    def _send(self, method: str, path: str, headers: dict[str, str] | None, auth: AuthBase) -> requests.Response:
        try:
            return self._once(method, path, headers, auth)
        except requests.ConnectionError:
            if not self._access.insecure or self._scheme == "http":
                raise
        # Like podman with --tls-verify=false: plain HTTP when TLS is not spoken there.
        response = self._once(method, path, headers, auth, scheme="http")
        self._scheme = "http"
        return response

    def _once(
        self,
        method: str,
        path: str,
        headers: dict[str, str] | None,
        auth: AuthBase,
        scheme: str = "",
    ) -> requests.Response:
        host = _DOCKER_HUB_API if self._host == "docker.io" else self._host
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InsecureRequestWarning)  # it was asked for
            return self._session.request(
                method,
                f"{scheme or self._scheme}://{host}{path}",
                headers=headers,
                auth=auth,
                timeout=_TIMEOUT,
                verify=self._verify,
            )

    def _find(self, repository: str) -> Credentials | None:
        access = self._access
        return access.credentials or find(Reference(self._host, repository), self._env, access.authfile)

    def _answer(self, response: requests.Response, repository: str, actions: str) -> _Header | None:
        kind, _, rest = response.headers.get("WWW-Authenticate", "").partition(" ")
        found = self._find(repository)
        if kind.lower() == "basic":
            return _basic(found) if found else None
        if kind.lower() != "bearer":
            return None
        challenge: dict[str, str] = parse_dict_header(rest)  # type: ignore[no-untyped-call]
        realm = challenge.get("realm", "")
        if found and self._scheme == "https" and not realm.startswith("https://"):
            what = f"registry {self._host} sends its login to {realm}"
            raise EngineError(what, "credentials would travel unencrypted")
        scope = f"repository:{repository}:{actions}" if repository else ""
        query = {"service": challenge.get("service", ""), "scope": challenge.get("scope", scope)}
        query = {k: v for k, v in query.items() if v}
        if found and found.identity_token:
            form = {
                **query,
                "grant_type": "refresh_token",
                "client_id": "podman-agent",
                "refresh_token": found.identity_token,
            }
            reply = self._session.post(realm, data=form, auth=_Header(), timeout=_TIMEOUT, verify=self._verify)
        else:
            login = HTTPBasicAuth(found.username, found.password) if found else _Header()
            reply = self._session.get(realm, params=query, auth=login, timeout=_TIMEOUT, verify=self._verify)
        if reply.status_code in {401, 403}:
            return None
        reply.raise_for_status()
        body = reply.json()
        return _Header(f"Bearer {body.get('token') or body.get('access_token', '')}")


def _basic(credentials: Credentials) -> _Header:
    request = requests.PreparedRequest()
    request.headers = requests.structures.CaseInsensitiveDict()
    HTTPBasicAuth(credentials.username, credentials.password)(request)
    return _Header(str(request.headers["Authorization"]))


def _context(host: str, access: Access, env: Mapping[str, str] | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if access.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    for directory in [access.cert_dir] if access.cert_dir else _certs_d(host, env):
        for file in sorted(directory.glob("*.crt")):
            context.load_verify_locations(file)
        for file in sorted(directory.glob("*.cert")):
            context.load_cert_chain(file, file.with_suffix(".key"))
    if access.ca:
        context.load_verify_locations(access.ca)
    return context


def _certs_d(host: str, env: Mapping[str, str] | None) -> list[Path]:
    """List podman's directories (https://github.com/containers/image/blob/main/docs/containers-certs.d.5.md)."""
    env = os.environ if env is None else env
    home = Path(env.get("HOME") or "/root") / ".config"
    bases = (home, Path("/etc"))
    found = [base / "containers/certs.d" / host for base in bases]
    return [d for d in [*found, Path("/etc/docker/certs.d") / host] if d.is_dir()]
