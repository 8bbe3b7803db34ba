"""What the image's entrypoint runs: the inbound agent, or one command, with a clean end.

PID 1 is an init that reaps and passes signals on; this process is its only child. It stays, because java and cat both
end at once on SIGTERM, and when they do so the kernel kills every build in the container.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from podman_agent.agent import drain, inbound
from podman_agent.errors import ConfigError, PodmanAgentError
from podman_agent.files import replace
from podman_agent.pod.home import replacement
from podman_agent.prepare import state

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import FrameType

# Memory first: a secret has no business on a disk.
SECRET_PLACES = ("/dev/shm", "/run", "/tmp")
CHILD_SECONDS = 5
PASSED_ON = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH)


class _Termination(BaseException):
    """SIGTERM has come."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the agent, or the command that is the only argument, to its end.

    Returns:
        Its exit code, 128 + n when signal n ended it, or that of our own error.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if home := replacement(os.environ, os.geteuid()):
        os.environ["HOME"] = home  # java's and every step's
    _plan_early()
    try:
        if command := inbound.command(arguments):
            return _supervise([command], os.environ)
        with tempfile.TemporaryDirectory(prefix="podman-agent-", dir=_secret_place()) as directory:
            argv = _agent(inbound.settings(arguments, os.environ), Path(directory))
            left = {name: value for name, value in os.environ.items() if name not in inbound.CONSUMED}
            return _supervise(argv, left)
    except PodmanAgentError as error:
        _say(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def _plan_early() -> None:
    """Decide now, so that the first build need not; what fails here fails there too, in the build's own log."""
    try:
        state.ensure()
    except (PodmanAgentError, OSError) as error:
        _say(str(error))


def _agent(wanted: inbound.Inbound, directory: Path) -> list[str]:
    for warning in wanted.warnings:
        _say(f"warning: {warning}")
    jar = _jar(wanted, directory)
    secret_file = ""
    if wanted.secret.startswith("@"):
        secret_file = wanted.secret[1:]
    elif wanted.secret:
        secret_file = str(directory / "secret")
        replace(secret_file, wanted.secret, mode=0o600)
    return inbound.java_command(wanted, str(jar), secret_file)


def _jar(wanted: inbound.Inbound, scratch: Path) -> Path:
    """The jar that was named, the image's own, or the controller's."""
    # requests costs a quarter of a second that `docker run IMAGE bash` need not wait for.
    from podman_agent.agent import jar as agentjar  # noqa: PLC0415

    named = Path(wanted.jar or inbound.DEFAULT_JAR)
    if wanted.jar or named.exists():
        agentjar.check(named, str(named))
        return named
    url = wanted.value("-url")
    if not url:
        what = "there is no agent.jar"
        why = "this image holds none, and no JENKINS_URL says where the controller is"
        raise ConfigError(what, why, "set JENKINS_URL or JENKINS_AGENT_FILE, or agentInjection: true in the template")
    work = wanted.value("-workDir")
    return agentjar.fetch(url, Path(work) / "podman-agent" if work else scratch, verify=_verify(wanted), log=_say)


def _verify(wanted: inbound.Inbound) -> str | bool:
    """How to check the controller's certificate: as agent.jar itself will be told."""
    if {option for option, _ in wanted.options} & {"-noCertificateCheck", "-disableHttpsCertValidation"}:
        return False
    certificate = wanted.value("-cert")
    return certificate[1:] if certificate.startswith("@") else True


def _secret_place() -> str:
    return next((place for place in SECRET_PLACES if os.access(place, os.W_OK)), tempfile.gettempdir())


def _supervise(argv: Sequence[str], env: Mapping[str, str]) -> int:
    """Run a child in our process group and with our terminal; on SIGTERM end builds first, then the child."""
    child: subprocess.Popen[bytes] | None = None
    early: list[int] = []

    def handle(number: int, _: FrameType | None) -> None:
        if child is None:
            early.append(number)
        elif number == signal.SIGTERM:
            raise _Termination
        # What a terminal sends, it has sent to the child as well.
        elif not os.isatty(0) or number in {signal.SIGUSR1, signal.SIGUSR2}:
            child.send_signal(number)

    for number in (*PASSED_ON, signal.SIGTERM):
        signal.signal(number, handle)
    try:
        child = subprocess.Popen(argv, env=env)
        for missed in early:
            handle(missed, None)
        code = child.wait()
    except OSError as error:
        _say(f"cannot run {argv[0]}: {error.strerror}")
        return 127 if isinstance(error, FileNotFoundError) else 126
    except _Termination:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if killed := drain.drain():
            _say(f"{killed} processes did not end in {drain.SECONDS:.0f} s and were killed")
        code = _end(child) if child else -signal.SIGTERM
    return 128 - code if code < 0 else code


def _end(child: subprocess.Popen[bytes]) -> int:
    child.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        return child.wait(CHILD_SECONDS)
    child.kill()
    return child.wait()


def _say(text: str) -> None:
    print(f"podman-agent: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
