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

import requests
import tenacity

from podman_agent import state
from podman_agent.errors import MismatchError, TransientError, UnavailableError, VolumeError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PATH = "jnlpJars/agent.jar"
CONNECT_SECONDS = 10
READ_SECONDS = 60
# A controller that restarts answers 503 until its plugins are loaded.
DEADLINE_SECONDS = 600
ATTEMPTS = 60
TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})


def fetch(
    url: str,
    directory: Path,
    *,
    verify: str | bool = True,
    log: Callable[[str], None] = lambda _: None,
    sleep: Callable[[float], None] = tenacity.nap.sleep,
) -> Path:
    """Return the controller's agent.jar, from the cache if the controller says that it is still the same.

    Args:
        url: Root URL of the controller.
        directory: Where jar and ETag are kept.
        verify: Check its certificate: no, yes (with the system's authorities), or with those of this PEM file.
        log: Takes one line for each failed attempt.
        sleep: Waits between attempts, seconds.

    Raises:
        UnavailableError: The controller answers, but not with the file, or cannot be asked at all.
        MismatchError: What it sends is no jar.
        TransientError: Still no answer at the deadline.
    """
    source = f"{url.rstrip('/')}/{PATH}"
    verify = _authorities() if verify is True else verify
    with requests.Session() as session:
        try:
            return tenacity.Retrying(
                retry=tenacity.retry_if_exception(_is_transient),
                stop=tenacity.stop_after_delay(DEADLINE_SECONDS) | tenacity.stop_after_attempt(ATTEMPTS),
                wait=tenacity.wait_random_exponential(multiplier=1, max=15),
                before_sleep=lambda attempt: log(_line(attempt)),
                sleep=sleep,
                reraise=True,
            )(_attempt, session, source, directory, verify)
        except requests.RequestException as error:
            what = f"no agent.jar from {source}"
            kind = TransientError if _is_transient(error) else UnavailableError
            raise kind(what, str(error), "check JENKINS_URL and the network policy of this pod") from error


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


class _DamagedError(MismatchError):
    """It begins as a jar does: a transfer that was cut short, which another attempt may better."""


def _line(attempt: tenacity.RetryCallState) -> str:
    error = attempt.outcome and attempt.outcome.exception()
    return f"attempt {attempt.attempt_number} at agent.jar failed, trying again: {error}"


def _is_transient(error: BaseException) -> bool:
    match error:
        case requests.HTTPError():
            return error.response is not None and error.response.status_code in TRANSIENT
        case requests.exceptions.SSLError():
            return False
        case (
            _DamagedError()
            | requests.ConnectionError()
            | requests.Timeout()
            | requests.exceptions.ChunkedEncodingError()
        ):
            return True
    return False


def _attempt(session: requests.Session, source: str, directory: Path, verify: str | bool) -> Path:
    jar, note = directory / "agent.jar", directory / "agent.jar.json"
    headers = {}
    if etag := _known_etag(jar, note):
        headers["If-None-Match"] = etag
    timeout = (CONNECT_SECONDS, READ_SECONDS)
    # Said with the request: said with the session, REQUESTS_CA_BUNDLE would beat it.
    with session.get(source, headers=headers, timeout=timeout, verify=verify, stream=True) as response:
        if response.status_code == requests.codes.not_modified and etag:
            return jar
        if response.status_code in TRANSIENT:
            response.raise_for_status()
        if response.status_code != requests.codes.ok:
            what = f"{source} answers {response.status_code} {response.reason}"
            raise UnavailableError(what, fix="JENKINS_URL must be the controller's root URL, its path included")
        data = response.content
        etag = response.headers.get("ETag", "")
    try:
        check(io.BytesIO(data), source)
    except MismatchError as error:
        kind = _DamagedError if data.startswith(b"PK") else MismatchError
        raise kind(error.what, error.why, "does a proxy or login page stand before the controller?") from error
    try:
        state.write(jar, data)
        state.write(note, json.dumps({"etag": etag, "sha256": hashlib.sha256(data).hexdigest()}))
    except OSError as error:
        what = f"cannot keep agent.jar in {directory}"
        raise VolumeError(what, error.strerror or "", "make JENKINS_AGENT_WORKDIR writable for this user") from error
    return jar


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
