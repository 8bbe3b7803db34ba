"""Well-known error texts of podman in a pod: what each means here, and what to change.

A text is recognised by words that only the engine, the kernel's refusal or the registry client write, so that an error
of the user's own build (a compiler, a test, a package manager) is never explained as the pod's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_PODMAN = "https://github.com/containers/podman/issues/"
_BUILDAH = "https://github.com/containers/buildah/issues/"
_OVERLAY = "https://github.com/containers/storage/blob/v1.57.2/drivers/overlay/overlay.go"
_VOLUME = "mount an emptyDir or PVC at /var/lib/containers"
_SECCOMP = "leave seccompProfile undefined, or use Localhost with podman-agent.json (docs/seccomp.md)"


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a known text means.

    Args:
        pattern: A regular expression searched in one line.
        cause: Why it happens in a pod.
        cure: The pod field, variable or command to change.
        source: Where that is documented.
    """

    pattern: str
    cause: str
    cure: str
    source: str


DISK_FULL = Explanation(
    r"\b[Nn]o space left on device|[Dd]isk quota exceeded",
    "a file system of this pod is full",
    "podman-agent gc, or more space for the volume at /var/lib/containers",
    "https://man7.org/linux/man-pages/man3/errno.3.html",
)
RULES = (
    # storage
    Explanation(
        r"'overlay' is not supported over (overlayfs|<unknown>)",
        "the graphroot is on the container's own overlay root file system",
        f"{_VOLUME}, or give the pod /dev/fuse",
        _BUILDAH + "3666",
    ),
    Explanation(
        r"'overlay' is not supported over \w+ at",
        "the kernel lets this user mount no overlay",
        "securityContext.privileged: true, a node with Linux 5.11 or later, or PODMAN_AGENT_STORAGE_DRIVER=vfs",
        _PODMAN + "9908",
    ),
    Explanation(
        r"fuse: device not found, try 'modprobe fuse'",
        "fuse-overlayfs is configured and the pod has no /dev/fuse",
        f"{_VOLUME}, which makes native overlay work, or add a fuse device plugin's resource limit",
        _PODMAN + "8918",
    ),
    Explanation(
        r"a network file system with user namespaces is not supported",
        "the volume is on NFS, CephFS or the like",
        "use a block-backed PVC or an emptyDir at /var/lib/containers",
        _OVERLAY,
    ),
    Explanation(
        r"User-selected graph driver .* overwritten by graph driver|database graph driver .* does not match",
        "the store on this volume was made with another storage driver",
        "use an empty volume, or PODMAN_AGENT_STORAGE_DRIVER with the driver it was made with",
        _PODMAN + "5114",
    ),
    Explanation(
        r"database configuration mismatch",
        "the store on this volume was made with other paths",
        "mount the volume at /var/lib/containers as before, or remove libpod/db.sql in it (images stay)",
        _PODMAN + "24738",
    ),
    Explanation(
        r"Ignoring global metacopy option",
        "the distribution's storage.conf asks for metacopy, which this mount cannot have",
        "nothing: it is a warning; the agent's own storage.conf does not ask for it",
        _OVERLAY,
    ),
    DISK_FULL,
    # cgroups, limits, /proc
    Explanation(
        r"crun: creating cgroup directory|mkdir /sys/fs/cgroup/\S*: (read-only|permission)"
        r"|/sys/fs/cgroup\S*: Read-only file system",
        "the pod may not write below /sys/fs/cgroup",
        "PODMAN_AGENT_CGROUPS=disabled, or securityContext.privileged: true",
        _PODMAN + "22264",
    ),
    Explanation(
        r"the requested cgroup controller `?\w+`? is not available|controller `?\w+`? is not available under",
        "this cgroup has not been given that controller",
        "PODMAN_AGENT_CGROUPS=disabled",
        _PODMAN + "21484",
    ),
    Explanation(
        r"cgroupv2 manager is set to systemd but there is no systemd user session",
        "podman believes that systemd runs here",
        "mount no hostPath at /run; PODMAN_AGENT_CGROUP_MANAGER=cgroupfs",
        "https://github.com/containers/common/blob/v0.62.3/pkg/config/config.go",
    ),
    Explanation(
        r"cannot run top on container \w+ as it did not create a cgroup",
        "containers run without cgroups here, and docker top asks for one",
        "securityContext.privileged: true gives them cgroups",
        "https://github.com/containers/podman/blob/v5.4.2/libpod/container_top_linux.go",
    ),
    Explanation(
        r"invalid file system type on ['\"`]?/sys/fs/cgroup",
        "no cgroup file system is mounted at /sys/fs/cgroup",
        "PODMAN_AGENT_CGROUPS=disabled PODMAN_AGENT_ISOLATION=chroot",
        _PODMAN + "22264",
    ),
    Explanation(
        r"unable to write pod event.*journal|failed to get journal cursor|write unixgram.*journal/socket",
        "events are sent to a journal, and a container has none",
        "PODMAN_AGENT_EVENTS=file",
        _PODMAN + "4325",
    ),
    Explanation(
        r"follow with journald .*not supported|using --follow with the journald --log-driver",
        "the log driver is journald, and a container has no journal",
        "PODMAN_AGENT_LOG_DRIVER=k8s-file",
        _PODMAN + "26910",
    ),
    Explanation(
        r"setrlimit `?RLIMIT_(NPROC|NOFILE)`?: Operation not permitted",
        "podman asks for limits above the pod's hard limits, and there is no CAP_SYS_RESOURCE",
        "let the agent's plan set default_ulimits (use the docker or podman on PATH), or use podman 5.4",
        _PODMAN + "18555",
    ),
    Explanation(
        r"mount `?proc`? to `?proc`?: Operation not permitted",
        "the kubelet masks parts of /proc, so no fresh one can be mounted in a user namespace",
        "use the docker or podman on PATH (it binds the pod's /proc), or procMount: Unmasked with hostUsers: false",
        _PODMAN + "20453",
    ),
    Explanation(
        r"mount `?mqueue`? to `?dev/mqueue`?: Operation not permitted",
        "the pod's IPC namespace is not this user namespace's",
        "drop --ipc=host",
        _PODMAN + "20453",
    ),
    Explanation(
        r"mount `?devpts`? to `?dev/pts`?: Invalid argument|error setting supplemental groups list",
        "only one user id is mapped here",
        "give the user ranges in /etc/subuid and /etc/subgid, with allowPrivilegeEscalation: true",
        _PODMAN + "13360",
    ),
    Explanation(
        r"error stat\(\)ing intended root directory",
        "buildah's chroot isolation cannot remount the pod's root",
        "BUILDAH_NOPIVOT=1, which the agent's plan sets (use the docker or podman on PATH)",
        "https://github.com/containers/buildah/blob/v1.39.3/chroot/run_linux.go",
    ),
    Explanation(
        r"cgroups in hybrid mode not supported",
        "the node mounts cgroup v1 and v2 side by side, which crun refuses",
        "PODMAN_AGENT_RUNTIME=runc, or nodes with cgroup v2",
        "https://github.com/containers/crun/issues/678",
    ),
    # shared and broken stores
    Explanation(
        r"current system boot ID differs from cached boot ID",
        "podman's run directories are on a volume that outlived the node's boot",
        "keep /run/containers and /run/libpod off the volume, and delete the directories named",
        _PODMAN + "26823",
    ),
    Explanation(
        r"is not a read-only lock",
        "an additional image store has no lock files that a reader may open",
        "populate the store before mounting it read-only",
        _PODMAN + "9852",
    ),
    Explanation(
        r"layer not known|top layer .* (not found|of image)|exists in local storage but may be corrupted",
        "a pod was killed while it wrote this store, or two pods wrote it",
        "podman system check --quick --repair --force; one pod per store",
        _PODMAN + "14003",
    ),
    Explanation(
        r"Storage for container \w+ has been removed",
        "parallel containers raced on a transient store",
        "unset transient_store",
        _PODMAN + "19020",
    ),
    # names, logins, registries
    Explanation(
        r"short-name .* did not resolve to an alias|short-name resolution enforced but cannot prompt without a TTY",
        "the image name has no registry, and registries.conf names none or several",
        "write the whole name (docker.io/library/…), or use the docker or podman on PATH",
        _PODMAN + "11530",
    ),
    Explanation(
        r"credentials key has https?\[?s?\]?:// prefix",
        "a key of config.json begins with a scheme",
        "write registry names without https:// in the credentials",
        _PODMAN + "13691",
    ),
    Explanation(
        r"(received unexpected HTTP status|unexpected status( code)?.*): 50[0234]\b"
        r"|(writing|copying|reading|pinging|initiating) .*(blob|manifest|registry|upload).*unexpected EOF",
        "the registry, or a proxy before it, broke off",
        "try again: podman-agent build and push do so by themselves",
        _PODMAN + "23568",
    ),
    # docker's command line and formats
    Explanation(
        r"(HEALTHCHECK|SHELL|ONBUILD) is not supported for OCI image format",
        "the image is built in the OCI format, which has no such instruction",
        "PODMAN_AGENT_BUILD_FORMAT=docker, or --format docker",
        _BUILDAH + "2388",
    ),
    Explanation(
        r"cannot set --network other than host with --isolation chroot",
        "build steps only chroot here and share the pod's network",
        "drop --network, or securityContext.privileged: true",
        "https://docs.podman.io/en/latest/markdown/podman-build.1.html#isolation-type",
    ),
    Explanation(
        r"unknown flag: --cgroup-manager",
        "podman speaks to a service elsewhere, where local flags are errors",
        "unset CONTAINER_HOST and CONTAINER_CONNECTION, or drop the flag",
        "https://github.com/containers/podman/blob/v5.4.2/cmd/podman/root.go",
    ),
    Explanation(
        r"unrecognized command `?podman( buildx)? (create|imagetools|bake|use|ls)|invalid repo \"?type=registry",
        "docker buildx has this and podman has not",
        "call it as docker, which the agent translates",
        _PODMAN + "20975",
    ),
    # user namespaces
    Explanation(
        r"newuidmap: .*(Operation not permitted|Permission denied)|cannot set up namespace using .*newuidmap"
        r"|newgidmap: .*(Operation not permitted|Permission denied)",
        "newuidmap may not map ids: no file capabilities, or allowPrivilegeEscalation: false takes them away",
        "allowPrivilegeEscalation: true with capabilities SETUID and SETGID, or run the pod as root",
        _BUILDAH + "4049",
    ),
    Explanation(
        r"cannot write [ug]id_map",
        "root in this pod lacks the capabilities to map ids",
        "capabilities.add: [SETUID, SETGID, SETFCAP]",
        _BUILDAH + "2554",
    ),
    Explanation(
        r"after fallback to chroot: operation not permitted",
        "the pod's seccomp profile refuses chroot, by which layers are unpacked",
        "capabilities.add: [SYS_CHROOT], or leave seccompProfile undefined",
        "https://github.com/containers/common/blob/main/pkg/seccomp/seccomp.json",
    ),
    Explanation(
        r"cannot clone: Operation not permitted|unshare\(CLONE_NEWUSER\): Operation not permitted"
        r"|cannot re-exec process|creating new mount namespace for .*: operation not permitted",
        "no user namespace can be made: seccompProfile RuntimeDefault, or AppArmor on Ubuntu nodes",
        f"{_SECCOMP}; on Ubuntu nodes appArmorProfile: {{type: Unconfined}}",
        _BUILDAH + "4538",
    ),
    Explanation(
        r"\[[0-9a-f:]+\]\S*: invalid reference format",
        "podman's image names hold no IPv6 address, docker's do",
        "write a host name, such as localhost for ::1",
        "https://github.com/containers/image/blob/v5.34.3/docker/reference/regexp.go",
    ),
    # run state
    Explanation(
        r"cannot resolve /\S*: lstat /\S*: no such file or directory|stat /?\.config: no such file or directory",
        "HOME does not exist or may not be written",
        "set HOME to a writable directory",
        "https://github.com/containers/storage/blob/v1.57.2/pkg/homedir/homedir_unix.go",
    ),
    Explanation(
        r"/run/lock/netavark\.lock: read-only file system|mkdir /var/cache/containers: read-only file system"
        r"|mkdir /run/\S+: read-only file system|short-name-aliases\.conf\.lock: read-only file system",
        "readOnlyRootFilesystem leaves podman no run directory, which docker run -p needs for its bridge",
        "mount an emptyDir at /run, and call podman by its name, not by its full path",
        "https://kubernetes.io/docs/tasks/configure-pod-container/security-context/",
    ),
)
_COMPILED = tuple((re.compile(rule.pattern), rule) for rule in RULES)


def explain(lines: Iterable[str]) -> Iterator[tuple[str, Explanation]]:
    """Find the known texts in a log.

    Args:
        lines: The lines of a log, or one message.

    Yields:
        The line and what it means, each explanation once.
    """
    told = set()
    for line in lines:
        for pattern, rule in _COMPILED:
            if rule not in told and pattern.search(line):
                told.add(rule)
                yield line.strip(), rule


# buildah's verdict on a RUN step whose program ended so, or was never started
_STEP = re.compile(r'Error: building at STEP "RUN .*": (?:while running runtime: )?exit status (\d+)$')
_LOGGED = re.compile(r'time="[^"]*" level=(\w+) ')
# what podman itself says before "Error: ", when nothing of anybody else's has run yet
_BEFORE = re.compile(r'time="[^"]*" level=(error|fatal) |cannot (clone|unshare)\b')
# buildah's last words before its verdict on a step that was not started (run_common.go; chroot/run_common.go, which
# says the last of these lines twice about a program that did run)
_NOT_STARTED = re.compile(
    r"(?:^|\n)(?:"
    r"error running container: from \S+ creating container for (?:.|\n)*\]: (?P<runtime>.*)\n: exit status \d+"
    r"|error running (?:container|subprocess): (?P<buildah>.*)"
    r"|(?P<chroot>error .*)\nsubprocess exited with status 1"
    r")\Z"
)


def cure(said: str, code: int, where_full: Callable[..., str], *, by_program: bool = False) -> str:
    """Say in one line what podman's failure means in this pod.

    Only podman's own verdict counts, and what kept it from starting a step: never the words of a build step or a
    container, which may be those of some other podman, and no warning, which podman goes on after. But a full disk is
    named whoever noticed it, if one is full.

    Args:
        said: The end of what it wrote to stderr.
        code: Its exit code: another build may have written its own end into the same log.
        where_full: Called for a full disk with the lines that say so, and ``sure`` when they are podman's;
            gives the line, or nothing where nothing is full (`podman_agent.store.space.advice`).
        by_program: The exit code is that of a container's program, so that podman itself said nothing.

    Returns:
        Cause, cure and source, or nothing where none is known.
    """
    lines = said.splitlines()
    own = [] if by_program else _own(lines, code)
    for _, known in explain(own):
        if known is not DISK_FULL:
            return f"{known.cause}; {known.cure} ({known.source})"
    spoken = [line for line in lines if not line.startswith(("docker: ", "podman-agent: "))]
    full = [line for line in spoken if re.search(DISK_FULL.pattern, line)]
    sure = any(re.search(DISK_FULL.pattern, line) for line in own)
    return where_full("\n".join(full), sure=sure) if full else ""


def _own(lines: list[str], code: int) -> list[str]:
    """The lines in which podman itself says why it failed."""
    found = [(i, _STEP.match(line)) for i, line in enumerate(lines) if line.startswith("Error: ")]
    if steps := [i for i, step in found if step and int(step[1]) == code]:
        return _not_started(lines[: steps[-1]])
    others = [i for i, step in found if not step]
    if not others or lines[-1].startswith(("docker: ", "podman-agent: ")):
        return []
    first = others[-1]
    # the verdict quotes the step that failed, which may have any words in it
    verdict = [re.sub(r'building at STEP ".*": ', "", lines[first]), *lines[first + 1 :]]
    while first and _BEFORE.match(lines[first - 1]):
        first -= 1
    return [*lines[first : others[-1]], *verdict]


def _not_started(before: list[str]) -> list[str]:
    """What kept a RUN step from starting; nothing where its program ran."""
    while before and _LOGGED.match(before[-1]):
        before = before[:-1]
    found = _NOT_STARTED.search("\n".join(before))
    return [word for word in found.groups() if word] if found else []
