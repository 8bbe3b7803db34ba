"""Stays behind as podman's parent, and names the cure when podman fails on something of the pod's.

`split` forks: the child goes on to become podman with the caller's streams, the parent waits. What podman said is read
back from the log file that stderr is (Jenkins' ``sh`` step), or passed on through a pipe (``kubectl exec``, a caller
that captures); stdout goes the same way if it was the same pipe, so that the order of lines stays. Where a terminal
listens nothing is watched: a person can ask ``podman-agent explain``.

A parent cannot pass SIGKILL and SIGSTOP on, and costs a millisecond more than exec (bench/shim.py): so the plan names
the verbs that are watched, and all others exec. Imported are only modules that are built in: `signal` alone, which
makes enums, would cost four times the fork.
"""

import posix
import select
import time

from podman_agent.planfile import is_ending

TYPE_CHECKING = False  # `typing` would cost more than all of this
if TYPE_CHECKING:
    import signal
    from collections.abc import Iterable
    from typing import NoReturn

    from podman_agent.registry.retry import Tries
else:
    import _signal as signal

_FORWARDED = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
_TYPE, _FILE, _FIFO, _SOCKET = 0o170000, 0o100000, 0o010000, 0o140000  # inode(7)
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_BUILDS = ("build", "buildx", "bud", "image")
_RUNS = ("container", "run", "start")
_TRANSFERS = ("pull", "push")
PODMANS_RETRY = 'level=warning msg="Failed, retrying in '
_PODMANS_OWN = (125, 126, 127)  # https://docs.podman.io/en/latest/markdown/podman-run.1.html#exit-status
_PAUSE = ("catatonit", "podman pause")  # pkg/rootless/rootless_linux.c
_KEPT = 64 << 10  # bytes: podman's own words are its last
_CHUNK = 64 << 10


def split(verb: str) -> None:
    """Return in a child that is to become podman; in the parent, wait for it and leave with its exit code.

    A build that is interrupted leaves its steps running under podman, where docker ends them: the parent, as the
    subreaper of what podman orphans (prctl(2)), ends them too.

    Returns in the caller's own process, with nothing watched, where a terminal is among the streams, where stderr is
    nothing that can be read back, and where a child's exit code could not be had (SIGCHLD is ignored).
    """
    try:
        kind = posix.fstat(2).st_mode & _TYPE
        if any(posix.isatty(number) for number in (0, 1, 2)) or kind not in (_FILE, _FIFO, _SOCKET):
            return
        if signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN:
            return
    except OSError:
        return
    handlers = {number: signal.getsignal(number) for number in _FORWARDED}
    caught = [number for number, handler in handlers.items() if handler != signal.SIG_IGN]
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, caught)
    tries: list[Tries] = []
    while True:
        try:
            size = posix.fstat(2).st_size
            pipe = None if kind == _FILE else posix.pipe()
            child = posix.fork()
        except OSError:
            pipe = None
            break
        if not child:
            break
        _watch(verb, child, pipe, size, caught=caught, mask=mask, tries=tries)
        posix.environ[b"_PODMAN_AGENT_AGAIN"] = b"1"
        signal.pthread_sigmask(signal.SIG_BLOCK, caught)
    for number in caught if tries else ():
        signal.signal(number, handlers[number])
    if pipe:
        if _is_same_file(1, 2):
            posix.dup2(pipe[1], 1)
        posix.dup2(pipe[1], 2)
        posix.close(pipe[0])
        posix.close(pipe[1])
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _watch(
    verb: str,
    child: int,
    pipe: tuple[int, int] | None,
    size: int,
    *,
    caught: "list[signal.Signals]",
    mask: "Iterable[int]",
    tries: "list[Tries]",
) -> None:
    """Wait for podman and leave with its exit code; returns where it is to be tried again."""
    if pipe:
        posix.close(pipe[1])
    if verb in _BUILDS:
        _adopt_orphans()
    since = time.time() // 1
    code, interrupted, said = _wait(child, pipe, caught, mask)
    try:
        if code and is_ending():
            _write(b"podman-agent: this pod is being deleted, and its builds and containers are ended before it is\n")
        if code and (interrupted or code < 0):
            _end_orphans()
            if verb in _BUILDS:
                from podman_agent.prepare.ended import clear_away

                clear_away(since)
        elif code:
            said = said if pipe else _read_back(size)
            if verb in _TRANSFERS and _is_worth_another(tries, verb, said, code, caught):
                return
            _name_the_cure(said, code, verb in _RUNS and code not in _PODMANS_OWN)
    except Exception:  # noqa: BLE001, S110 - whatever we fail at here, podman's exit code is the answer
        pass
    _leave(code)


def _is_worth_another(tries: "list[Tries]", verb: str, said: bytes, code: int, caught: "list[signal.Signals]") -> bool:
    """Whether a pull or push failed on what passes by itself; waits before the next one, as dockerd does.

    Podman tries some causes again by itself: those are not multiplied. A signal meanwhile ends us as it would podman.
    """
    from podman_agent.explain.verdict import classify, last_words
    from podman_agent.registry.retry import Policy, Tries

    text = said.decode(errors="replace")
    verdict = classify(last_words(text, code))
    if not verdict.transient or PODMANS_RETRY in text:
        return False
    if not tries:
        tries.append(Tries(verb, Policy.from_env()))
    seconds = tries[0].pause()
    if seconds is None:
        return False
    signal.pthread_sigmask(signal.SIG_BLOCK, caught)
    _write(f"podman-agent: {tries[0].line(verdict.cause, seconds)}\n".encode())
    if ended := signal.sigtimedwait(caught, seconds):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, caught)
        _leave(-ended.si_signo)
    return True


def _is_same_file(one: int, other: int) -> bool:
    try:
        a, b = posix.fstat(one), posix.fstat(other)
    except OSError:
        return False
    return (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino)


def _wait(
    child: int, pipe: tuple[int, int] | None, caught: "list[signal.Signals]", mask: "Iterable[int]"
) -> tuple[int, bool, bytes]:
    """Pass signals and words on until podman ends.

    Its exit code, or minus the signal that ended it; whether it was interrupted; the last it said to the pipe.
    """
    interrupted = []

    def forward(number: int, _frame: object) -> None:
        interrupted.append(number)
        try:
            posix.kill(child, number)
        except ProcessLookupError:
            pass

    for number in caught:
        signal.signal(number, forward)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    said = _relay(pipe[0], child) if pipe else b""
    return posix.waitstatus_to_exitcode(posix.waitpid(child, 0)[1]), bool(interrupted), said


def _adopt_orphans() -> None:
    try:
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    except Exception:  # noqa: BLE001, S110 - then they go to PID 1, as without us
        pass


def _end_orphans() -> None:
    """Kill what an interrupted podman left to us, and what that leaves, but not a rootless pod's pause process."""
    kept: set[str] = set()
    while True:
        me = posix.getpid()
        with open(f"/proc/{me}/task/{me}/children") as file:
            orphans = set(file.read().split()) - kept
        if not orphans:
            return
        for orphan in orphans:
            try:
                with open(f"/proc/{orphan}/comm") as file:
                    name = file.read().strip()
                if name in _PAUSE:
                    kept.add(orphan)
                    continue
                posix.kill(int(orphan), signal.SIGKILL)
                posix.waitpid(int(orphan), 0)
            except OSError:
                kept.add(orphan)


def _relay(source: int, child: int) -> bytes:
    """Copy what podman writes to our stderr until it has ended; return the last of it."""
    poll = select.poll()
    poll.register(source, select.POLLIN)
    try:
        poll.register(posix.pidfd_open(child), select.POLLIN)
    except OSError:  # a seccomp profile from before Linux 5.3: the pipe's end tells it, too
        pass
    tail = b""
    while True:
        ready = {number for number, _ in poll.poll()}
        if source not in ready:
            break
        data = posix.read(source, _CHUNK)
        if not data:
            return tail
        tail = (tail + data)[-_KEPT:]
        if not _write(data):
            posix.close(source)  # nobody listens to us any more: podman is to learn that as it would have
            return tail
    if not posix.fork():  # podman has left a process behind that keeps the pipe: it goes on being heard
        for number in _FORWARDED:
            signal.signal(number, signal.SIG_DFL)
        while (data := posix.read(source, _CHUNK)) and _write(data):
            pass
        posix._exit(0)
    return tail


def _write(data: bytes) -> bool:
    """Write all of it to stderr; tell whether anybody still listens."""
    while data:
        try:
            data = data[posix.write(2, data) :]
        except BlockingIOError:  # a caller's pipe that does not block
            waiting = select.poll()
            waiting.register(2, select.POLLOUT)
            waiting.poll()
        except OSError:
            return False
    return True


def _read_back(start: int) -> bytes:
    """What was appended to the file that stderr is."""
    with open("/proc/self/fd/2", "rb") as log:
        size = posix.fstat(log.fileno()).st_size
        log.seek(max(start, size - _KEPT))
        return log.read()


def _name_the_cure(said: bytes, code: int, by_program: bool) -> None:
    from podman_agent.explain.cure import cure

    def where_full(words: str, *, sure: bool) -> str:
        from podman_agent.explain.diskfull import advice

        return advice(words, sure=sure)

    if text := cure(said.decode(errors="replace"), code, where_full, by_program=by_program):
        _write(f"podman-agent: {text}\n".encode())


def _leave(code: int) -> "NoReturn":
    if code < 0:  # what asked podman to end is to see that it ended so
        try:
            signal.signal(-code, signal.SIG_DFL)
        except OSError:  # SIGKILL has no handler to be reset
            pass
        posix.kill(posix.getpid(), -code)
        code = 128 - code
    posix._exit(code)
