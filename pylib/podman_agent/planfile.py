"""The plan as the hot path reads it: where the file is, what is in it, when it is believed; writer and reader.

Every docker call reads this module, so it imports only `posix`, which is built into the interpreter. The file is texts
with NUL between them: `MAGIC`, `stamp`, `overrides`, then each of `FIELDS` as a number and so many texts, then "end".
"""

import posix

TYPE_CHECKING = False  # `typing` would cost more than all of this
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

MAGIC = "podman-agent 6"
PREFIX = b"PODMAN_AGENT_"
ROOTS_OWN = "/run/podman-agent"
ENDING = "ending"  # in a state directory: the stamp of the container start that is being ended
# What a call needs of a plan. A new field stands here, in `Hot`, and where prepare/state.py fills it.
FIELDS = (
    ("alive", str),
    ("watched", tuple),
    ("exec_monitor", str),
    ("home", str),
    ("programs", dict),
    ("flags", tuple),
    ("environment", dict),
)


class Hot:
    """What the hot path needs of a plan.

    Attributes:
        alive: The FIFO that the holder of our store reads; empty where no store is claimed.
        watched: Verbs whose failure is explained.
        exec_monitor: What `docker exec` has for conmon; empty where that is podman's own.
        home: What HOME is to be where it is `/`; empty where nothing better is there.
        programs: The real program behind each shim.
        flags: Global flags, right after argv[0].
        environment: Variables that hold where the caller has set none.
    """

    __slots__ = ("alive", "environment", "exec_monitor", "flags", "home", "programs", "watched")

    def __init__(  # noqa: PLR0917 - keyword-only ones cost the hot path more
        self,
        programs: "Mapping[Any, str]",
        flags: "tuple[str, ...]" = (),
        environment: "dict[str, str] | None" = None,
        alive: str = "",
        watched: "tuple[str, ...]" = (),
        exec_monitor: str = "",
        home: str = "",
    ) -> None:
        self.programs, self.flags, self.environment = programs, flags, environment or {}
        self.alive, self.watched, self.exec_monitor, self.home = alive, watched, exec_monitor, home


def _read(path: str, owner: "int | None" = None) -> bytes:
    """The bytes of a file, by system calls alone: `open` would look at more; none where another user owns it."""
    number = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        status = posix.fstat(number)
        if owner not in {None, status.st_uid}:
            return b""
        return posix.read(number, status.st_size or 4096)  # what /proc has has no size
    finally:
        posix.close(number)


def stamp() -> str:
    """Name this container start: the boot and the start time of PID 1 in clock ticks (proc_pid_stat(5))."""
    try:
        boot = _read("/proc/sys/kernel/random/boot_id").strip()
        started = _read("/proc/1/stat").rpartition(b")")[2].split()[19]
    except (OSError, IndexError):
        return "unknown"
    return (boot + b" " + started).decode()


def overrides() -> str:
    """The ``PODMAN_AGENT_*`` variables as one text: a plan made under others is not this call's."""
    found = sorted(k + b"=" + v for k, v in posix.environ.items() if k.startswith(PREFIX))
    return b"\n".join(found).decode("utf-8", "surrogateescape")


def state_directories() -> "list[str]":
    """Where a plan may be, best first: /run for root; what every pod lets its user write, for all."""
    chosen = posix.environ.get(b"PODMAN_AGENT_STATE_DIR")
    if chosen:
        return [chosen.decode("utf-8", "surrogateescape")]
    uid = posix.geteuid()
    places = [f"/tmp/podman-agent-{uid}", f"/dev/shm/podman-agent-{uid}"]
    return places if uid else [ROOTS_OWN, *places]


def is_ending() -> bool:
    """Whether this container is being ended, as `podman_agent.agent.drain` writes down first of all."""
    for place in state_directories():
        try:
            if _read(f"{place}/{ENDING}", posix.geteuid()) == stamp().encode():
                return True
        except OSError:
            pass
    return False


def encode(hot: Hot) -> bytes:
    """The bytes of a plan file for this container start and these overrides."""
    texts = [MAGIC, stamp(), overrides()]
    for name, kind in FIELDS:
        value = getattr(hot, name)
        if kind is str:
            value = (value,)
        elif kind is dict:
            value = [f"{key}={text}" for key, text in value.items()]
        texts += [str(len(value)), *value]
    return "\0".join([*texts, "end"]).encode("utf-8", "surrogateescape")


def decode(data: bytes) -> Hot | None:
    """Read what `encode` wrote.

    None when it is torn, of another version, another container start or other overrides, and when nobody holds our
    store any more.
    """
    texts = iter(data.decode("utf-8", "surrogateescape").split("\0"))
    found: dict[str, Any] = {}
    try:
        if next(texts) != MAGIC or next(texts) != stamp() or next(texts) != overrides():
            return None
        for name, kind in FIELDS:
            value = [next(texts) for _ in range(int(next(texts)))]
            if kind is str:
                found[name] = value[0]
            elif kind is dict:
                found[name] = {key: text for key, _, text in [pair.partition("=") for pair in value]}
            else:
                found[name] = tuple(value)
        if next(texts) != "end":
            return None
        if found["alive"]:  # a FIFO that its holder reads: ENXIO when that is gone
            posix.close(posix.open(found["alive"], posix.O_WRONLY | posix.O_NONBLOCK | posix.O_CLOEXEC))
    except (StopIteration, ValueError, IndexError, OSError):
        return None
    return Hot(**found)


def load() -> Hot | None:
    """Read the plan of this container start, if there is one; only a file of our own user is trusted."""
    owner = posix.geteuid()
    for directory in state_directories():
        try:
            data = _read(directory + "/hot", owner)
        except OSError:
            continue
        if data:
            return decode(data)
    return None
