"""``docker run`` and ``docker create``: the flags podman lacks, and what docker does unasked.

Reference: https://docs.docker.com/reference/cli/docker/container/run/
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from podman_agent.docker import attached
from podman_agent.docker.call import note
from podman_agent.docker.options import Option, Parsed, Spec, letters, parse, words

if TYPE_CHECKING:
    from collections.abc import Callable

    from podman_agent.docker.call import Call

_DOCKER_ONLY = "domainname health-start-interval isolation link link-local-ip storage-opt"
SPEC = Spec(
    values=words(
        _DOCKER_ONLY
        + """ volume-driver runtime kernel-memory io-maxbandwidth io-maxiops cpu-count
        cpu-percent net net-alias dns-opt add-host annotation arch attach authfile blkio-weight
        blkio-weight-device cap-add cap-drop cgroup-conf cgroup-parent cgroupns cgroups chrootdirs
        cidfile conmon-pidfile cpu-period cpu-quota cpu-rt-period cpu-rt-runtime cpu-shares cpus
        cpuset-cpus cpuset-mems decryption-key detach-keys device device-cgroup-rule device-read-bps
        device-read-iops device-write-bps device-write-iops dns dns-option dns-search entrypoint env
        env-file env-merge expose gidmap gpus group-add group-entry health-cmd health-interval
        health-log-destination health-max-log-count health-max-log-size health-on-failure
        health-retries health-start-period health-startup-cmd health-startup-interval
        health-startup-retries health-startup-success health-startup-timeout health-timeout hostname
        hosts-file hostuser image-volume init-path ip ip6 ipc label label-file log-driver log-opt
        mac-address memory memory-reservation memory-swap memory-swappiness mount name network
        network-alias oom-score-adj os passwd-entry personality pid pidfile pids-limit platform pod
        pod-id-file preserve-fd preserve-fds publish pull rdt-class requires restart retry
        retry-delay sdnotify seccomp-policy secret security-opt shm-size shm-size-systemd
        stop-signal stop-timeout subgidname subuidname sysctl systemd timeout tmpfs tz uidmap ulimit
        umask unsetenv user userns uts variant volume volumes-from workdir"""
    ),
    booleans=words("detach init interactive privileged publish-all quiet read-only rm sig-proxy"),
    short=letters(
        "a=attach c=cpu-shares d=detach e=env h=hostname i=interactive l=label m=memory p=publish "
        "P=publish-all q=quiet t=tty u=user v=volume w=workdir"
    ),
    interspersed=False,
)

# A pod's plan may default to the host's network, uts and ipc namespaces; docker's default is
# private ones, and these flags mean nothing without them.
_NEEDS_BRIDGE = ("publish", "publish-all", "network-alias", "net-alias", "ip", "ip6", "mac-address")
_LOG_DRIVERS = {"json-file", "journald", "none", "k8s-file", "passthrough", "passthrough-tty"}
_SILENT = {"isolation", "volume-driver", "link-local-ip", "disable-content-trust"}
_NOTED = {
    "health-start-interval": "podman checks at --health-interval from the start",
    "storage-opt": "podman sets no size limit per container on this storage",
}
SOCKET = "/var/run/docker.sock"


def run(call: Call, verb: str, args: list[str]) -> int:
    """Translate and become ``podman run`` or ``podman create``.

    Args:
        call: The docker call.
        verb: ``run`` or ``create``.
        args: What follows the verb.

    Returns:
        The exit code, where it does not become podman.
    """
    parsed = parse(args, SPEC)
    if verb == "run" and attached.refused(parsed):
        return 1
    wants_socket = any(SOCKET in arg or "--use-api-socket" in arg for arg in args)
    argv = translate(
        args, verb, call.env, lambda name: address(call, name), _make_directory, uid=os.geteuid(), named=_has_name()
    )
    if wants_socket:
        from podman_agent.docker import socket  # noqa: PLC0415

        socket.ensure(call)
    if not (verb == "run" and parsed.get("cidfile") and parsed.has("rm")):
        call.become(verb, *argv)
    return attached.keep_id(call, parse(argv, SPEC))


def translate(
    args: list[str],
    verb: str,
    env: dict[str, str],
    address_of: Callable[[str], tuple[str, str]],
    make_directory: Callable[[str], None],
    *,
    uid: int = 0,
    named: bool = True,
) -> list[str]:
    """Turn docker's arguments into podman's.

    Args:
        args: What follows ``run`` or ``create``.
        verb: Which of the two.
        env: For ``DOCKER_DEFAULT_PLATFORM``.
        address_of: Gives the IP address and the name of a running container, for ``--link``.
        make_directory: Makes the host directory of a bind mount, as dockerd does.
        uid: The agent's user id.
        named: Whether it has a name in /etc/passwd.

    Returns:
        Podman's arguments.
    """
    parsed = parse(args, SPEC)
    out: list[Option] = []
    for option in parsed.options:
        if option.name == "link":
            out += _link(option.value or "", address_of)
            continue
        if option.name == "volume":
            _ensure_source(option.value or "", make_directory)
        out += _option(option, verb, parsed)
    if not any(o.name == "log-driver" for o in out):
        out = [o for o in out if o.name != "log-opt" or (o.value or "").startswith("max-size")]
    out += _namespaces(out)
    if _is_agent(parsed, uid, env):
        # without a name podman cannot keep the id; the container's root is then who the agent is outside
        out = [*out, Option("userns", "keep-id")] if named else [o for o in out if o.name != "user"]
    if (platform := env.get("DOCKER_DEFAULT_PLATFORM")) and parsed.get("platform") is None:
        out.append(Option("platform", platform))
    tokens = [token for option in out for token in option.tokens()]
    return [*tokens, *(["--"] if parsed.operands[:1] == ["--"] else []), *parsed.operands]


def _option(option: Option, verb: str, parsed: Parsed) -> list[Option]:
    """What becomes of one flag that needs nothing but the command line."""
    name, value = option.name, option.value or ""
    hostname, domain = parsed.get("hostname"), parsed.get("domainname")
    if name in _SILENT or (name == "detach-keys" and verb == "create"):
        return []
    if name in _NOTED:
        note(f"--{name} is ignored: {_NOTED[name]}")
        return []
    if name == "log-driver" and value not in _LOG_DRIVERS:
        note(f"--log-driver {value} is ignored: podman has none; `docker logs` works")
        return []
    match name:
        case "hostname" if domain:
            return [Option("hostname", f"{hostname}.{domain}")]
        case "domainname":
            return [] if hostname else [Option("dns-search", value)]
        case "use-api-socket":
            return [Option("volume", f"{SOCKET}:{SOCKET}")]
        case "mount":
            kept = [part for part in value.split(",") if part != "volume-nocopy"]
            if not any(part.startswith("type=") for part in kept):
                kept.insert(0, "type=volume")
            return [Option("mount", ",".join(kept))]
        case "net-alias":
            return [Option("network-alias", value)]
        case "dns-opt":
            return [Option("dns-option", value)]
    return [option]


def _is_agent(parsed: Parsed, uid: int, env: dict[str, str]) -> bool:
    """Whether the container's user is to be the agent's own, asked for by its number.

    docker-workflow's ``-u UID:GID`` means the owner of the workspace. In the user namespace of a rootless podman
    that number is another user, or none (``chown /dev/pts/0: Invalid argument``).
    https://docs.podman.io/en/latest/markdown/podman-run.1.html#userns-mode
    """
    wanted = (parsed.get("user") or "").partition(":")[0]
    return bool(uid) and wanted == str(uid) and not parsed.get("userns") and "PODMAN_USERNS" not in env


def _has_name() -> bool:
    import pwd  # noqa: PLC0415 - NSS is slow to load

    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        return False
    return True


def _namespaces(options: list[Option]) -> list[Option]:
    """The private namespaces that docker's flags presuppose."""
    given = {option.name for option in options}
    out = []
    networked = given.intersection(_NEEDS_BRIDGE) or any(
        o.name == "sysctl" and (o.value or "").startswith("net.") for o in options
    )
    if networked and not given & {"network", "net", "pod"}:
        out.append(Option("network", "bridge"))
    if "hostname" in given and not given & {"uts", "pod"}:
        out.append(Option("uts", "private"))
    if "shm-size" in given and not given & {"ipc", "pod"}:
        out.append(Option("ipc", "private"))
    return out


def _link(value: str, address_of: Callable[[str], tuple[str, str]]) -> list[Option]:
    """``--link db:alias`` becomes host entries, which is what is left of it in docker itself.

    Source: https://docs.docker.com/engine/network/links/ (a legacy feature; Jenkins' own handbook
    uses it for ``inside("--link ${c.id}:db")``).
    """
    target, _, alias = value.partition(":")
    address, name = address_of(target)
    return [Option("add-host", f"{host}:{address}") for host in dict.fromkeys((alias or name, name))]


def address(call: Call, container: str) -> tuple[str, str]:
    """Where a running container answers, seen from this pod, and its name.

    Args:
        call: The docker call.
        container: Name or id.

    Returns:
        IP address and name; 127.0.0.1 for a container on the pod's own network.
    """
    form = "{{.Name}} {{.NetworkSettings.IPAddress}} {{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
    code, text = call.read("container", "inspect", "--format", form, container)
    if code:
        raise SystemExit(code)
    name, *addresses = text.split()
    return (addresses or ["127.0.0.1"])[0], name


def _ensure_source(volume: str, make_directory: Callable[[str], None]) -> None:
    source, _, rest = volume.partition(":")
    if rest and source.startswith(("/", "./", "../")) and source != SOCKET:
        make_directory(source)


def _make_directory(path: str) -> None:
    """Dockerd makes a missing bind source; what hinders it is podman's to report."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError:
        return
