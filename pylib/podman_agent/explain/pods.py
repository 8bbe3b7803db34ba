"""Cgroups, limits, /proc, user namespaces, and where podman keeps its run state."""

from __future__ import annotations

from podman_agent.explain.explanation import BUILDAH, PODMAN, Explanation

_SECCOMP = "leave seccompProfile undefined, or use Localhost with podman-agent.json (docs/how-to/seccomp.md)"
HEADING = "The pod"
RULES = (
    Explanation(
        "mkdir /sys/fs/cgroup/blkio/libpod_parent: read-only file system",
        r"crun: creating cgroup directory|mkdir /sys/fs/cgroup/\S*: (read-only|permission)"
        r"|/sys/fs/cgroup\S*: Read-only file system",
        "the pod may not write below /sys/fs/cgroup",
        "PODMAN_AGENT_CGROUPS=disabled, or securityContext.privileged: true",
        PODMAN + "22264",
    ),
    Explanation(
        "crun: the requested cgroup controller `pids` is not available",
        r"the requested cgroup controller `?\w+`? is not available|controller `?\w+`? is not available under",
        "this cgroup has not been given that controller",
        "PODMAN_AGENT_CGROUPS=disabled",
        PODMAN + "21484",
    ),
    Explanation(
        "Error: crun: cannot open sd-bus: No such file or directory",
        r"cgroupv2 manager is set to systemd but there is no systemd user session|cannot open sd-bus"
        r"|systemd cgroup flag passed, but systemd support .*is not available|cannot use systemd cgroups manager",
        "podman believes that systemd runs here",
        "mount no hostPath at /run; PODMAN_AGENT_CGROUP_MANAGER=cgroupfs",
        "https://github.com/containers/common/blob/v0.62.3/pkg/config/config.go",
    ),
    Explanation(
        "Error: cannot run top on container abc as it did not create a cgroup",
        r"this container does not have a cgroup|cannot run top on container \S+ as it did not create a cgroup",
        "containers run without cgroups here, which top, stats and pause ask for",
        "securityContext.privileged: true gives them cgroups",
        "https://github.com/containers/podman/blob/v5.4.2/libpod/container_top_linux.go",
    ),
    Explanation(
        "crun: invalid file system type on `/sys/fs/cgroup`",
        r"invalid file system type on ['\"`]?/sys/fs/cgroup",
        "no cgroup file system is mounted at /sys/fs/cgroup",
        "PODMAN_AGENT_CGROUPS=disabled PODMAN_AGENT_ISOLATION=chroot",
        PODMAN + "22264",
    ),
    Explanation(
        "failed to get journal cursor: failed to get cursor: cannot assign requested address",
        r"[Uu]nable to write \w+ event.*journal|failed to get journal cursor|write unixgram.*journal/socket",
        "events are sent to a journal, and a container has none",
        "PODMAN_AGENT_EVENTS=file",
        PODMAN + "4325",
    ),
    Explanation(
        "using --follow with the journald --log-driver but without the journald --events-backend (file) is not"
        " supported",
        r"follow with journald .*not supported|using --follow with the journald --log-driver",
        "the log driver is journald, and a container has no journal",
        "PODMAN_AGENT_LOG_DRIVER=k8s-file",
        PODMAN + "26910",
    ),
    Explanation(
        "Error: crun: setrlimit `RLIMIT_NOFILE`: Operation not permitted: OCI permission denied",
        r"setrlimit `?RLIMIT_\w+`?: Operation not permitted"
        r"|setting \"RLIMIT_\w+\" limit to .*: operation not permitted",
        "limits above the pod's hard limits are asked for, by --ulimit or podman's defaults, without CAP_SYS_RESOURCE",
        "a --ulimit within `ulimit -H`, or capabilities.add: [SYS_RESOURCE]; the docker and podman on PATH set fitting"
        " default_ulimits",
        PODMAN + "18555",
    ),
    Explanation(
        "Error: crun: mount `proc` to `proc`: Operation not permitted: OCI permission denied",
        r"mount `?proc`? to `?proc`?: Operation not permitted",
        "the kubelet masks parts of /proc, so no fresh one can be mounted in a user namespace",
        "use the docker or podman on PATH (it binds the pod's /proc), or procMount: Unmasked with hostUsers: false",
        PODMAN + "20453",
    ),
    Explanation(
        "Error: crun: mount `mqueue` to `dev/mqueue`: Operation not permitted: OCI permission denied",
        r"mount `?mqueue`? to `?dev/mqueue`?: Operation not permitted",
        "the pod's IPC namespace is not this user namespace's",
        "drop --ipc=host",
        PODMAN + "20453",
    ),
    Explanation(
        "error setting supplemental groups list: operation not permitted",
        r"mount `?devpts`? to `?dev/pts`?: Invalid argument|error setting supplemental groups list",
        "only one user id is mapped here",
        "give the user ranges in /etc/subuid and /etc/subgid, with allowPrivilegeEscalation: true",
        PODMAN + "13360",
    ),
    Explanation(
        "Failed to open() /dev/net/tun: No such file or directory",
        r"Failed to open\(\) /dev/net/tun",
        "a network of a container's own needs /dev/net/tun, which this pod has not",
        "--network=host, which is what the docker and podman on PATH choose",
        "https://docs.podman.io/en/latest/markdown/podman-run.1.html#network-mode-net",
    ),
    Explanation(
        'error stat()ing intended root directory "/var/tmp/buildah1/mnt/rootfs": no such file or directory',
        r"error stat\(\)ing intended root directory",
        "buildah's chroot isolation cannot remount the pod's root",
        "BUILDAH_NOPIVOT=1, which the agent's plan sets (use the docker or podman on PATH)",
        "https://github.com/containers/buildah/blob/v1.39.3/chroot/run_linux.go",
    ),
    Explanation(
        "Error: OCI runtime error: crun: cgroups in hybrid mode not supported, drop all controllers from cgroupv2",
        r"cgroups in hybrid mode not supported",
        "the node mounts cgroup v1 and v2 side by side, which crun refuses",
        "PODMAN_AGENT_RUNTIME=runc, or nodes with cgroup v2",
        "https://github.com/containers/crun/issues/678",
    ),
    Explanation(
        "Error: requested OCI runtime runc is not compatible with NoCgroups: invalid argument",
        r"is not compatible with NoCgroups",
        "runc takes no container without cgroups, and they are disabled here",
        "PODMAN_AGENT_RUNTIME=crun, or PODMAN_AGENT_CGROUPS=enabled with securityContext.privileged: true",
        "https://github.com/containers/podman/blob/v5.4.2/libpod/container_validate.go",
    ),
    Explanation(
        "Error: containers not creating Cgroups must create a private PID namespace: invalid argument",
        r"not creating Cgroups must create a private PID namespace",
        "containers run without cgroups here, and such a container may not share a PID namespace",
        "drop --pid, or securityContext.privileged: true, which gives containers cgroups",
        "https://github.com/containers/podman/blob/v5.4.2/libpod/container_validate.go",
    ),
    Explanation(
        "opening file `memory.limit_in_bytes` for writing: Read-only file system",
        r"opening file `?(memory|cpu|cpuset|pids|blkio|io)\.\w[\w.]*`? for writing: ",
        "containers run without cgroups here, so that their limits cannot be changed",
        "securityContext.privileged: true gives them cgroups",
        "https://github.com/containers/crun/blob/1.21/src/libcrun/cgroup-resources.c",
    ),
    Explanation(
        "Resource limits are not supported and ignored on cgroups V1 rootless systems",
        r"Resource limits are not supported and ignored",
        "limits of memory and cpu need cgroups, which this pod may not make: podman leaves them out",
        "nothing: it is a warning; resources.limits of the pod itself hold",
        PODMAN + "22264",
    ),
    Explanation(
        "/usr/bin/newgidmap should have setuid or have filecaps setuid",
        r"new[ug]idmap: .*(Operation not permitted|Permission denied)"
        r"|new[ug]idmap\W.*should (have|be) set[ug]id or have filecaps",
        "newuidmap may not map ids: no file capabilities, or allowPrivilegeEscalation: false takes them away",
        "allowPrivilegeEscalation: true with capabilities SETUID and SETGID, or run the pod as root",
        BUILDAH + "4049",
    ),
    Explanation(
        "Error: cannot write uid_map: write /proc/25/uid_map: operation not permitted",
        r"cannot write [ug]id_map",
        "root in this pod lacks the capabilities to map ids",
        "capabilities.add: [SETUID, SETGID, SETFCAP]",
        BUILDAH + "2554",
    ),
    Explanation(
        "unpacking failed (error: exit status 1; output: after fallback to chroot: operation not permitted)",
        r"after fallback to chroot: operation not permitted",
        "the pod's seccomp profile refuses chroot, by which layers are unpacked",
        "capabilities.add: [SYS_CHROOT], or leave seccompProfile undefined",
        "https://github.com/containers/common/blob/main/pkg/seccomp/seccomp.json",
    ),
    Explanation(
        "cannot clone: Operation not permitted",
        r"cannot clone: Operation not permitted|unshare\(CLONE_NEWUSER\): Operation not permitted"
        r"|creating new mount namespace for .*: operation not permitted",
        "no user namespace can be made: seccompProfile RuntimeDefault, or AppArmor on Ubuntu nodes",
        f"{_SECCOMP}; on Ubuntu nodes appArmorProfile: {{type: Unconfined}}",
        BUILDAH + "4538",
    ),
    Explanation(
        "newuidmap: subuid overflow detected.",
        r"new[ug]idmap: ([ug]id range \[.*\) -> \[.*\) not allowed|sub[ug]id overflow detected)",
        "/etc/subuid and /etc/subgid do not give this user these ids, or the pod has not so many",
        "ranges that are in both files and in the pod: with hostUsers: false it has 65536 ids only",
        PODMAN + "13360",
    ),
    Explanation(
        'Error: cannot set up namespace using "/usr/bin/newuidmap": exit status 1',
        r"cannot set up namespace using ",
        "newuidmap refused the ids of /etc/subuid and /etc/subgid; the line before says why",
        "ranges inside of the pod's own ids, and allowPrivilegeEscalation: true with SETUID and SETGID",
        BUILDAH + "4049",
    ),
    Explanation(
        "Error: cannot re-exec process",
        r"cannot re-exec process",
        "podman could not make its user namespace; the line before says why",
        "podman-agent doctor --deep, which tries each part of it",
        "https://github.com/containers/podman/blob/v5.4.2/pkg/rootless/rootless_linux.go",
    ),
    Explanation(
        'cannot find UID/GID for user u: no subuid ranges found for user "u" in /etc/subuid',
        r"no sub[ug]id ranges found for user|potentially insufficient UIDs or GIDs available in user namespace",
        "this user has fewer ids than the image has owners of files",
        "a range for it in /etc/subuid and /etc/subgid, with allowPrivilegeEscalation: true; or run the pod as root",
        PODMAN + "13360",
    ),
    Explanation(
        "stat /.config: no such file or directory",
        r"^Error: (.*: )?cannot resolve (/\S*): lstat \2: no such file or directory"
        r"|\bstat /\.config: no such file or directory",
        "HOME does not exist or may not be written",
        "set HOME to a writable directory",
        "https://github.com/containers/storage/blob/v1.57.2/pkg/homedir/homedir_unix.go",
    ),
    Explanation(
        "Error: open /run/lock/netavark.lock: read-only file system",
        r"/run/lock/netavark\.lock: read-only file system|mkdir /var/cache/containers: read-only file system"
        r"|mkdir /run/(netns|containers|crun|runc|libpod|lock|podman|user)\b\S*: read-only file system"
        r"|short-name-aliases\.conf\.lock: read-only file system",
        "readOnlyRootFilesystem leaves podman no run directory, which docker run -p needs for its bridge",
        "mount an emptyDir at /run, and call podman by its name, not by its full path",
        "https://kubernetes.io/docs/tasks/configure-pod-container/security-context/",
    ),
)
