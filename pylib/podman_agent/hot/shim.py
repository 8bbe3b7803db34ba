"""The hot path of ``docker …``, ``podman …`` and ``buildah …``: arguments in, arguments out, exec.

Only `posix` and `sys` are imported here, which are built into the interpreter; `os` alone would cost a tenth of its
start. Everything that is needed once per container start, or for docker's own verbs only, is imported where it is
called. The environment is the bytes that `posix` keeps.
"""

import posix
import sys

from podman_agent.planfile import Hot, load

TYPE_CHECKING = False  # `typing` would cost more than all of this
if TYPE_CHECKING:
    from typing import NoReturn

# Verbs that need no store: they work even in a pod where no plan can be made.
STORELESS = frozenset(("--help", "--version", "-h", "-v", "completion", "help", "login", "logout", "version"))
# Global flags that take their value from the next argument: cmd/podman/root.go (v5.4.2)
VALUED = frozenset(
    (
        *("--cdi-spec-dir", "--cgroup-manager", "--config", "--conmon", "--connection", "--context"),
        *(
            "--events-backend",
            "--host",
            "--hooks-dir",
            "--identity",
            "--imagestore",
            "--log-level",
            "--module",
        ),
        *("--namespace", "--network-backend", "--network-cmd-path", "--network-config-dir", "--out"),
        *("--pull-option", "--root", "--runroot", "--runtime", "--runtime-flag", "--ssh", "--storage-driver"),
        *("--storage-opt", "--tmpdir", "--url", "--volumepath", "-H", "-c", "-l"),
    )
)
# Verbs, and groups of verbs, that may be a build or a prune, see `podman_agent.hot.turns`
TURNS = frozenset(("build", "bud", "image", "buildx", "builder", "system"))
REMOTE_FLAGS = ("--remote", "--url", "--host", "--connection", "--context", "-r", "-c", "-H")


def verb_index(args: list[str]) -> int:
    """The position of the subcommand: the first argument that is neither a global flag nor one's value."""
    i = 0
    while i < len(args) and args[i].startswith("-"):
        i += 2 if args[i] in VALUED else 1
    return min(i, len(args))


def is_remote(flags: list[str]) -> bool:
    """Whether podman will speak to a service elsewhere, where local flags are errors (`cmd/podman/root.go`)."""
    if b"CONTAINER_HOST" in posix.environ or b"CONTAINER_CONNECTION" in posix.environ:
        return True
    return any(
        flag.partition("=")[0] in REMOTE_FLAGS or (flag[:2] in ("-c", "-H") and flag[1] != "-") for flag in flags
    )


def _restore_locale() -> None:
    # Python coerces the C locale and tells its children so (PEP 538); podman's environment is the caller's
    if posix.environ.get(b"LC_CTYPE") == b"C.UTF-8":
        with open("/proc/self/environ", "rb", 0) as file:
            if b"\0LC_CTYPE=" not in b"\0" + file.read():
                del posix.environ[b"LC_CTYPE"]


def open_closed_streams() -> None:
    """Make /dev/null what the caller closed (``>&-``), as Go's own start does: else the next file gets its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            posix.fstat(number)
        except OSError:
            posix.set_inheritable(posix.open("/dev/null", posix.O_RDWR), True)
            setattr(sys, name, open(number, "w" if number else "r"))  # noqa: SIM115 - until the process ends


def _first_call(verb: str) -> Hot:
    from podman_agent.errors import PodmanAgentError
    from podman_agent.prepare import state

    try:
        return state.ensure()
    except PodmanAgentError as error:
        if verb in STORELESS and error.exit_code != 127:
            return Hot(state.programs())
        sys.stderr.write(f"podman-agent: {error}\n")
        sys.exit(error.exit_code)
    except Exception as error:  # noqa: BLE001 - a fault of ours must not be what breaks a build
        sys.stderr.write(f"podman-agent: no plan could be made ({error!r}); podman runs with its own defaults\n")
        return Hot(state.programs())


def main() -> "NoReturn":
    """Become podman (or buildah, or skopeo) with what this pod demands; never returns."""
    open_closed_streams()
    name = sys.argv[0].rpartition("/")[2]
    args = sys.argv[1:]
    if name == "docker-compose":
        name, args = "docker", ["compose", *args]
    at = verb_index(args)
    verb = args[at] if at < len(args) else (args[0] if args else "")
    if b"_PODMAN_PAUSE" in posix.environ:
        # rootless podman starts its pause process by argv[0], already in its namespace: pkg/rootless/rootless_linux.c
        from podman_agent.prepare import state

        hot = Hot(state.programs())
    else:
        hot = load() or _first_call(verb)
    _restore_locale()
    if hot.home and posix.environ.get(b"HOME", b"/") == b"/":
        posix.environ[b"HOME"] = hot.home.encode()
    for key, value in hot.environment.items():
        posix.environ.setdefault(key.encode(), value.encode("utf-8", "surrogateescape"))
    program = hot.programs.get("podman" if name == "docker" else name, "")
    if not program:
        sys.stderr.write(f"podman-agent: {name} is not installed in this container\n")
        sys.exit(127)
    if verb in TURNS and not is_remote(args[:at]):
        from podman_agent.hot import turns

        turns.take(verb, args[at + 1 : at + 2])
    if verb in hot.watched:
        from podman_agent.hot import watch

        watch.split(verb)
    if name not in ("docker", "podman"):
        posix.execve(program, [name, *args], posix.environ)
    flags = hot.flags
    if hot.exec_monitor and (verb == "exec" or args[at : at + 2] == ["container", "exec"]):
        flags = (*flags, "--conmon=" + hot.exec_monitor)
    if name == "docker" and not is_remote([]):
        _docker(program, flags, args)
    if is_remote(args[:at]):
        flags = ()
    posix.execve(program, ["podman", *flags, *args], posix.environ)


def _docker(program: str, flags: tuple[str, ...], args: list[str]) -> None:
    """Give what docker and podman understand differently to its translator; returns when there is no difference."""
    from podman_agent.docker.direct import is_direct

    if is_direct(args, posix.environ):
        return
    import os

    from podman_agent.docker.call import Call
    from podman_agent.docker.dispatch import dispatch

    environment = {os.fsdecode(name): os.fsdecode(value) for name, value in posix.environ.items()}
    sys.exit(dispatch(Call(program, [*flags], environment, args)))


if __name__ == "__main__":
    main()
