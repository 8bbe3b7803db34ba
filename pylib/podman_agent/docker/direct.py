"""Which docker command lines podman serves just as docker would: the hot path's only question."""

import posix

TYPE_CHECKING = False  # `typing` would cost more than the question
if TYPE_CHECKING:
    from collections.abc import Mapping

# fmt: off
# Verbs and groups that need no look at their arguments.
_SAME = frozenset((
    "attach", "diff", "export", "kill", "pause", "pod", "port", "rename", "search",
    "secret", "start", "unpause", "update", "wait",
))
# Verbs that are the same unless one of their arguments starts like this.
_UNLESS: dict[str, tuple[str, ...]] = {
    "run": (
        "-p", "-P", "-h", "--publish", "--hostname", "--domainname", "--link", "--net-alias", "--network-alias",
        "--ip", "--mac-address", "--shm-size", "--sysctl", "--isolation", "--volume-driver", "--storage-opt",
        "--health-start-interval", "--log-", "--mount", "--disable-content-trust", "--use-api-socket",
        "--detach-keys", "--dns-opt", "--cidfile",
    ),
    "rm": ("-f", "--force", "-l", "--link"),
    "exec": ("-d", "--detach"),
    "logs": ("-n", "--details"),
    "events": ("--until",),
}
# fmt: on
_UNLESS["create"] = _UNLESS["run"]
_OF_IMAGES = frozenset(("inspect", "rm"))  # without `image` they are verbs of containers
_INSPECTED = ("Health", ".I", ".Name", ".Parent", ".Repo", ".State.Status", "json")
_LOCAL_HOSTS = (
    b"",
    b"unix:///var/run/docker.sock",
    b"unix:///run/docker.sock",
    b"unix:///run/podman/podman.sock",
    b"unix:///var/run/podman/podman.sock",
)


def is_direct(args: list[str], env: "Mapping[bytes, bytes]") -> bool:
    """Whether podman can be given these arguments as they are.

    Wrongly False costs a few milliseconds, wrongly True a difference to docker, so it errs towards
    False: flags are looked for everywhere, also behind an image's name.

    Args:
        args: What follows ``docker``.
        env: The caller's environment.

    Returns:
        True if the shim may execute podman at once.
    """
    if not args or env.get(b"DOCKER_HOST", b"") not in _LOCAL_HOSTS:
        return False
    verb, start = args[0], 1
    if len(args) > 1 and (verb == "container" or (verb == "image" and args[1] not in _OF_IMAGES)):
        verb, start = args[1], 2
    if verb in _SAME:
        return True
    if verb == "inspect":
        return _plain_inspect(args[start:])
    translated = _UNLESS.get(verb)
    if translated is None or b"DOCKER_DEFAULT_PLATFORM" in env:
        return False
    if verb in {"run", "exec"} and not posix.isatty(0) and _wants_terminal(args):  # docker refuses
        return False
    if verb in {"run", "create"} and posix.geteuid():  # -u UID means another user there
        return False
    for position in range(start, len(args)):
        arg = args[position]
        if arg.startswith(translated) or "docker.sock" in arg:
            return False
        if arg[:1] == "-" and arg[1:2] not in {"-", ""} and _hidden(arg, translated):
            return False
        if verb in {"run", "create"} and not _sources_exist(arg, args[position - 1]):
            return False
    return True


def _wants_terminal(args: list[str]) -> bool:
    """Whether there are ``--interactive`` and ``--tty``, or their letters, in a cluster or apart."""
    letters = ""
    for arg in args:
        if arg in {"--interactive", "--tty"}:
            letters += arg[2]
        elif arg[:1] == "-" and arg[1:].isalpha() and len(arg) < 7:
            letters += arg
    return "i" in letters and "t" in letters


def _hidden(arg: str, translated: tuple[str, ...]) -> bool:
    """Whether a cluster such as ``-itp`` has one of the one-letter flags in it."""
    return any(len(flag) == 2 and flag[1] in arg for flag in translated)


def _sources_exist(arg: str, before: str) -> bool:
    """Dockerd makes the missing source of a bind mount; podman does not."""
    if before in {"-v", "--volume"}:
        volume = arg
    elif arg.startswith("--volume="):
        volume = arg[9:]
    elif arg.startswith("-v"):
        volume = arg[2:].lstrip("=")
    else:
        return True
    source, colon, _ = volume.partition(":")
    if not colon or source[:1] not in {"/", "."}:
        return True
    try:
        posix.stat(source)
    except OSError:
        return False
    return True


def _plain_inspect(args: list[str]) -> bool:
    """A template that prints neither ids nor names is podman's own affair."""
    form = ""
    for position, arg in enumerate(args):
        if arg in {"-f", "--format"} and position + 1 < len(args):
            form = args[position + 1]
        elif arg.startswith(("--format=", "-f=")):
            form = arg.partition("=")[2]
        elif arg.startswith(("-f", "-s", "--type", "-t")):
            form = form or arg[2:]
    return bool(form) and not any(text in form for text in _INSPECTED)
