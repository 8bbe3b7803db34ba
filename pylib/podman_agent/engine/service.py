"""The REST service of podman and the podman-py client on it.

Good for events, inspection, volumes and networks. Not for these, because of podman-py's known gaps
(podman 5.8.0 on PyPI); use `podman_agent.engine.engine.Engine`:

- `images.build`: no credentials for private base images, no live log, unknown keywords ignored;
- `images.push`: the answer's body is not read, a failure has no cause, no digest;
- `login`: validates only, stores nothing; there is no logout;
- its default socket is not podman's for root: here the socket is always given.

`client` refuses the first three with the method to use instead, so that none fails silently.
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from podman import PodmanClient

from podman_agent.errors import EngineMissingError, UnavailableError, UsageError
from podman_agent.registry import retry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_READY = 30.0
_GRACE = 10.0


@contextlib.contextmanager
def service(command: Sequence[str] = ("podman",)) -> Iterator[PodmanClient]:
    """Run podman's API service on a private socket for as long as the `with` block lasts.

    Args:
        command: What to run as podman.

    Yields:
        A client with the socket given explicitly.

    Raises:
        EngineMissingError: If there is no podman.
        UnavailableError: If the service does not answer in 30 s; podman's own words are in it.
    """
    with tempfile.TemporaryDirectory(prefix="podman-agent-") as directory:
        socket = Path(directory, "podman.sock")
        argv = [*command, "system", "service", "--time=0", f"unix://{socket}"]
        log = Path(directory, "log")
        with log.open("wb") as stderr:
            try:
                process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr)
            except OSError as error:
                what = f"cannot run {argv[0]}"
                raise EngineMissingError(what, error.strerror or "") from error
        try:
            client = PodmanClient(base_url=f"unix://{socket}")
            _wait(client, process, socket, log)
            for owner, method, instead in (
                (client.images, "build", "Engine.build"),
                (client.images, "push", "Engine.push"),
                (client, "login", "Engine.login"),
            ):
                setattr(owner, method, _refusal(f"podman-py's {method}", instead))
            with client:
                yield client
        finally:
            process.terminate()
            try:
                process.wait(_GRACE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(client: PodmanClient, process: subprocess.Popen[bytes], socket: Path, log: Path) -> None:
    clock = retry.Clock()  # a real process takes real time, in tests too
    deadline = clock.now() + _READY
    while clock.now() < deadline and process.poll() is None:
        with contextlib.suppress(Exception):  # requests, urllib3 and podman-py each have their own
            if socket.exists() and client.ping():
                return
        clock.sleep(0.05)
    what = "podman's API service does not answer"
    said = log.read_text(errors="replace").strip().splitlines()
    raise UnavailableError(what, said[-1] if said else "")


def _refusal(what: str, instead: str) -> Any:
    def refuse(*_: object, **__: object) -> NoReturn:
        msg = f"{what} cannot be relied upon"
        raise UsageError(msg, fix=f"use podman_agent.engine.engine.{instead}")

    return refuse
