"""The Docker API socket: a listener that starts podman's service when a client connects.

Podman takes the listening socket over as systemd would hand it (sd_listen_fds(3)) and leaves after
`IDLE` seconds without a client; the listener then waits for the next one. A kernel lock that dies
with the listener tells whether there is one, so a killed listener leaves nothing to clear up.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import socket
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING

from podman_agent.docker import health
from podman_agent.docker.call import is_mount_point
from podman_agent.errors import ConfigError, UnavailableError
from podman_agent.pod import capabilities, variables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import NoReturn

    from podman_agent.docker.call import Call

PATH = "/var/run/docker.sock"
IDLE = 60  # seconds
STARTING = 5  # seconds a listener may take from its lock to its socket
_READY = b"ready"
TICK = 1  # seconds between looks at the health checks while a client is there


def ensure(call: Call, path: str = PATH, idle: int = IDLE) -> None:
    """See to it that somebody listens on the socket, and return once they do.

    Args:
        call: How podman is started.
        path: Where the socket is to be.
        idle: Seconds without a client after which podman leaves.

    Raises:
        UnavailableError: The listener did not come up, or has nowhere to.
    """
    if answers(path):
        return
    msg = f"nobody listens on {path}"
    if not os.access(Path(path).parent, os.W_OK):
        why = "its directory cannot be written (readOnlyRootFilesystem, or another user than root)"
        raise UnavailableError(msg, why, "mount an emptyDir at /run")
    ready, told = os.pipe()
    if not os.fork():
        os.close(ready)
        _detach(keep=told)
        with contextlib.suppress(BaseException):
            serve(call, path, idle, told)
        os._exit(0)
    os.close(told)
    with os.fdopen(ready, "rb") as stream:
        stream.read()
    if not answers(path):
        raise UnavailableError(msg, "the listener ended", "run podman-agent serve")


def answers(path: str) -> bool:
    """Whether clients can connect: to a listener of ours, or to a socket that came with the pod."""
    if is_mount_point(path):
        return True
    try:
        with _locked(path):
            return False
    except BlockingIOError:
        return True
    except OSError:  # a read-only directory: the socket is somebody else's
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(path) == 0


@contextlib.contextmanager
def _locked(path: str) -> Iterator[int]:
    """The lock of the listener on `path`, as a descriptor.

    Whoever else has it is a listener once the file says so; before, it may be one that only looks.

    Raises:
        BlockingIOError: A listener has it, or somebody has had it for too long.
    """
    descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + STARTING
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if os.pread(descriptor, len(_READY), 0) == _READY or time.monotonic() > deadline:
                    raise
            time.sleep(0.01)
        os.ftruncate(descriptor, 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _detach(keep: int) -> None:
    """Leave the caller's session, its directory and its streams."""
    os.setsid()
    if os.fork():
        os._exit(0)
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    for number in range(3, 64):
        if number != keep:
            with contextlib.suppress(OSError):
                os.close(number)


def serve(call: Call, path: str = PATH, idle: int = IDLE, told: int | None = None) -> None:
    """Listen until SIGTERM or SIGINT; the socket is removed on the way out.

    Args:
        call: How podman is started.
        path: Where the socket is to be; 0660, of the group docker when there is one.
        idle: Seconds without a client after which podman leaves.
        told: A descriptor closed once clients can connect.

    Raises:
        ConfigError: The path is taken by something that is no socket of ours.
        BlockingIOError: Another listener has it.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    with _locked(path) as lock, _bound(path) as listener:
        os.write(lock, _READY)
        if told is not None:
            os.close(told)
        try:
            while True:
                select.select([listener], [], [])
                _service(call, listener, idle)
        except _Stopped:
            return


class _Stopped(BaseException):
    """SIGTERM or SIGINT came."""


def _stop(_number: int, _frame: object) -> NoReturn:
    raise _Stopped


@contextlib.contextmanager
def _bound(path: str) -> Iterator[socket.socket]:
    place = Path(path)
    if is_mount_point(path) or (place.exists() and not stat.S_ISSOCK(place.stat().st_mode)):
        msg = f"{path} is taken"
        raise ConfigError(msg, "it came with the pod", "give another --socket")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        before = os.umask(0o117)
        try:
            listener.bind(path)
        finally:
            os.umask(before)
        with contextlib.suppress(LookupError, OSError):
            import shutil  # noqa: PLC0415

            shutil.chown(path, group="docker")
        listener.listen(64)
        try:
            yield listener
        finally:
            place.unlink(missing_ok=True)
            Path(f"{path}.conf").unlink(missing_ok=True)


def _service(call: Call, listener: socket.socket, idle: int) -> None:
    """Run podman's service on the listening socket until it has been idle for long enough."""
    child = os.fork()
    if not child:
        _become_service(call, listener, idle)
    try:
        while os.waitpid(child, os.WNOHANG) == (0, 0):
            select.select([], [], [], TICK)
            if not health.systemd():
                health.refresh_all(call)
    except _Stopped:
        os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)
        raise


def _bridged(env: dict[str, str], path: str) -> dict[str, str]:
    """Give containers made over the API a network of their own, as clients of docker count on for their ports.

    The plan's default is the pod's network, where podman drops port mappings. A choice of the caller's, or a pod that
    may not make networks, keeps it.
    """
    if variables.NETWORK.full_name in env or not capabilities.includes(capabilities.effective(), "NET_ADMIN"):
        return dict(env)
    before = env.get("CONTAINERS_CONF_OVERRIDE")
    text = Path(before).read_text(encoding="utf-8") if before else '[containers]\nnetns = "host"\n'
    conf = Path(f"{path}.conf")
    conf.write_text(text.replace('netns = "host"', 'netns = "bridge"'), encoding="utf-8")
    return env | {"CONTAINERS_CONF_OVERRIDE": str(conf)}


def _become_service(call: Call, listener: socket.socket, idle: int) -> NoReturn:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    os.dup2(listener.fileno(), 3)
    env = _bridged(call.env, listener.getsockname())
    env |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid()), "LISTEN_FDNAMES": "docker"}
    env.pop("DOCKER_HOST", None)
    os.execve(call.podman, call.argv("system", "service", f"--time={idle}"), env)  # noqa: S606
