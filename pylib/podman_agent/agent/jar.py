"""agent.jar from the controller, so that the two never drift apart; kept between starts while its ETag holds."""

from __future__ import annotations

import hashlib
import io
import json
import os
import ssl
import zipfile
import zlib
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests

from podman_agent.errors import MismatchError, UnavailableError, VolumeError
from podman_agent.explain.transfers import TRANSIENT_STATUS
from podman_agent.files import replace
from podman_agent.pod import variables
from podman_agent.registry import retry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PATH = "jnlpJars/agent.jar"
CONNECT_SECONDS = 10
READ_SECONDS = 60
# A controller that restarts answers 503 until its plugins are loaded.
PATIENCE = retry.Policy(attempts=60, max_wait=15)


def fetch(url: str, directory: Path, *, verify: str | bool = True, log: Callable[[str], None] | None = None) -> Path:
    """Return the controller's agent.jar, from the cache if the controller says that it is still the same.

    The jar is run with the pod's rights: an https URL never leads to http, and to another host only where
    PODMAN_AGENT_JAR_HOSTS names it, as ``host[:port],...``.

    Args:
        url: Root URL of the controller.
        directory: Where jar and ETag are kept.
        verify: Check its certificate: no, yes (with the system's authorities), or with those of this PEM file.
        log: Takes one line for each failed attempt.

    Raises:
        UnavailableError: The controller answers, but not with the file, or cannot be asked at all.
        MismatchError: It sends us on to where no jar is taken from, or what it sends is no jar.
        VolumeError: The directory cannot be written.
        TransientError: No answer, or only parts of the jar, for ten minutes.
    """
    source = f"{url.rstrip('/')}/{PATH}"
    verify = _authorities() if verify is True else verify
    with _Session(source) as session:
        jar, _ = retry.call(lambda: _attempt(session, source, directory, verify), f"get {source}", PATIENCE, log)
    return jar


def check(file: Path | io.BytesIO, name: str) -> None:
    """Raise `MismatchError`, with this name in it, unless the file is a whole jar that java -jar can start."""
    try:
        with zipfile.ZipFile(file) as jar:
            broken = jar.testzip()
            manifest = jar.read("META-INF/MANIFEST.MF").decode(errors="replace")
    except (OSError, zipfile.BadZipFile, zlib.error, KeyError, EOFError) as error:
        what = f"{name} is not a jar"
        raise MismatchError(what, str(error)) from error
    if broken or "Main-Class:" not in manifest:
        what = f"{name} is not agent.jar"
        raise MismatchError(what, f"{broken} is damaged" if broken else "its manifest names no Main-Class")


class _Session(requests.Session):
    """Follows a redirect only to where a jar may come from."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self._source = source
        self._hosts = {_host(source), *variables.JAR_HOSTS.value(os.environ)}

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        target: str | None = super().get_redirect_target(resp)
        if target and (host := _host(target)) and resp.url.startswith("https://"):
            what = f"no agent.jar from {self._source}"
            scheme = urlsplit(target).scheme or "https"
            why = f"it is redirected to {scheme}://{host}"
            if scheme != "https":
                raise MismatchError(what, f"{why}, where anybody may answer", "serve it over https all the way")
            if host not in self._hosts:
                raise MismatchError(
                    what, f"{why}, another host", f"if that is meant, {variables.JAR_HOSTS.full_name}={host}"
                )
        return target


def _host(url: str) -> str:
    """Host and port of a URL, its login left out."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _attempt(session: requests.Session, source: str, directory: Path, verify: str | bool) -> Path:
    jar, note = directory / "agent.jar", directory / "agent.jar.json"
    known = _known_etag(jar, note)
    try:
        answer = session.get(
            source,
            headers={"If-None-Match": known} if known else {},
            timeout=(CONNECT_SECONDS, READ_SECONDS),
            # Said with the request: said with the session, REQUESTS_CA_BUNDLE would beat it.
            verify=verify,
        )
    except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
        if isinstance(error, requests.exceptions.SSLError):
            raise _unavailable(source, str(error), "trust its certificate with -cert @FILE") from error
        raise retry.RetryableError(str(error)) from error
    except requests.RequestException as error:
        raise _unavailable(source, str(error), "check JENKINS_URL") from error
    if answer.status_code == requests.codes.not_modified and known:
        return jar
    said = f"{answer.status_code} {answer.reason}"
    if answer.status_code in TRANSIENT_STATUS:
        raise retry.RetryableError(said)
    if answer.status_code != requests.codes.ok:
        raise _unavailable(source, said, "JENKINS_URL must be the controller's root URL, its path included")
    try:
        check(io.BytesIO(answer.content), source)
    except MismatchError as error:
        if answer.content.startswith(b"PK"):  # a jar that was cut short on the way
            raise retry.RetryableError(str(error)) from error
        raise MismatchError(error.what, error.why, "does a proxy or login page stand before the controller?") from error
    digest = hashlib.sha256(answer.content).hexdigest()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        replace(jar, answer.content)
        replace(note, json.dumps({"etag": answer.headers.get("ETag", ""), "sha256": digest}))
    except OSError as error:
        what = f"cannot keep agent.jar in {directory}"
        raise VolumeError(what, error.strerror or "", "make JENKINS_AGENT_WORKDIR writable for this user") from error
    return jar


def _unavailable(source: str, why: str, fix: str) -> UnavailableError:
    what = f"no agent.jar from {source}"
    return UnavailableError(what, why, fix)


def _known_etag(jar: Path, note: Path) -> str:
    """The ETag of the jar that is there, if it is still the one that was fetched."""
    try:
        said = json.loads(note.read_text())
        digest = hashlib.sha256(jar.read_bytes()).hexdigest()
        return str(said["etag"]) if said["sha256"] == digest else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _authorities() -> str | bool:
    """The system's authorities, where clusters put their own, rather than those that come with requests."""
    if os.environ.get("REQUESTS_CA_BUNDLE"):
        return True
    return ssl.get_default_verify_paths().cafile or True
