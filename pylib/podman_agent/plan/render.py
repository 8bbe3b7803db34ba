"""A `Plan` as the files, the environment and the flags that podman, buildah, skopeo and podman-py read.

Pure: it returns texts; `podman_agent.prepare.state` is the one place that writes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from podman_agent.plan.plan import Plan
    from podman_agent.pod.values import Runtime

LOOPBACK = ("localhost", "127.0.0.1")
HEADER = "# Written by podman-agent for this container start; `podman-agent plan` says why.\n"


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _array(items: tuple[str, ...]) -> str:
    return "[" + ", ".join(_quote(item) for item in items) + "]"


def containers_conf(plan: Plan) -> str:
    """The containers.conf drop-in.

    Source: https://github.com/containers/common/blob/main/docs/containers.conf.5.md
    """
    lines = [
        "[containers]",
        f"cgroups = {_quote(plan.cgroups)}",
        f"log_driver = {_quote(plan.log_driver)}",
        f"netns = {_quote(plan.network)}",
        f"utsns = {_quote(plan.uts)}" if plan.uts != "private" else "",
        # labels and the kernel keyring belong to the node; docker-workflow asks for ":z" on every volume
        "label = false",
        "keyring = false",
        # net.ipv4.ping_group_range, podman's default, cannot be set in the pod's own network namespace
        "default_sysctls = []",
        f"default_ulimits = {_array(plan.ulimits)}" if plan.ulimits else "",
        f"volumes = {_array(plan.volumes)}" if plan.volumes else "",
        "",
        "[engine]",
        f"cgroup_manager = {_quote(plan.cgroup_manager)}",
        f"events_logger = {_quote(plan.events)}",
        f"runtime = {_quote(plan.runtime)}",
        f"lock_type = {_quote(plan.lock_type)}" if plan.lock_type else "",
        f"tmp_dir = {_quote(plan.run_directory + '/libpod')}" if plan.run_directory else "",
        'image_copy_tmp_dir = "storage"',
        f"compression_level = {plan.compression_level}" if plan.compression_level else "",
        "compose_warning_logs = false",
        # a variable that is set already wins over these: cmd/podman/root.go
        f"env = {_array(tuple(f'{k}={v}' for k, v in engine_environment(plan).items()))}",
    ]
    if plan.runtime == "podman-agent-chroot":
        lines += ["[engine.runtimes]", f"{plan.runtime} = {_array((plan.programs[plan.runtime],))}"]
        # it makes no cgroup, so it may be told to make none
        without: tuple[Runtime, ...] = ("crun", plan.runtime)
        lines.insert(lines.index("[engine]") + 1, f"runtime_supports_nocgroups = {_array(without)}")
    return HEADER + "\n".join(line for line in lines if line) + "\n"


def storage_conf(plan: Plan) -> str:
    """The whole storage.conf: before podman 6 it has no drop-ins.

    Source: https://github.com/containers/storage/blob/main/docs/containers-storage.conf.5.md
    """
    lines = [
        "[storage]",
        f"driver = {_quote(plan.storage_driver)}",
        f"graphroot = {_quote(plan.graphroot)}",
        f"rootless_storage_path = {_quote(plan.graphroot)}",
        f"runroot = {_quote(plan.runroot)}",
        "[storage.options]",
        f"additionalimagestores = {_array(plan.additional_stores)}",
    ]
    if plan.id_mode == "single":
        lines.append('ignore_chown_errors = "true"')
    if plan.storage_driver == "overlay":
        # no nodev, which the distributions ship: it would forbid /dev in a chroot to a podman nested in our containers
        lines.append("[storage.options.overlay]")
        if plan.mount_options:
            lines.append(f"mountopt = {_quote(plan.mount_options)}")
        if plan.mount_program:
            lines.append(f"mount_program = {_quote(plan.mount_program)}")
    return HEADER + "\n".join(lines) + "\n"


def registries_conf(plan: Plan) -> str:
    """The registries.conf drop-in: docker's own idea of a short name, and of registries on loopback.

    Source: https://github.com/containers/image/blob/main/docs/containers-registries.conf.5.md
    """
    lines = ['unqualified-search-registries = ["docker.io"]', 'short-name-mode = "permissive"']
    mirrors: dict[str, list[str]] = {}
    for registry, mirror in plan.mirrors:
        mirrors.setdefault(registry, []).append(mirror)
    # docker speaks plain HTTP to 127.0.0.0/8 unasked (https://docs.docker.com/reference/cli/dockerd/#insecure-registries)
    insecure = dict.fromkeys((*LOOPBACK, *plan.insecure))
    for location in dict.fromkeys((*insecure, *mirrors)):
        lines += ["", "[[registry]]", f"location = {_quote(location)}"]
        if location in insecure:
            lines.append("insecure = true")
        for mirror in mirrors.get(location, []):
            lines += ["[[registry.mirror]]", f"location = {_quote(mirror)}"]
            if mirror.split("/")[0].split(":")[0] in insecure or mirror.split("/")[0] in insecure:
                lines.append("insecure = true")
    return HEADER + "\n".join(lines) + "\n"


def engine_environment(plan: Plan) -> dict[str, str]:
    """Variables that decide what has no key in a configuration file."""
    environment = {
        "BUILDAH_ISOLATION": plan.isolation,
        "BUILDAH_FORMAT": plan.build_format,
        "TMPDIR": plan.tmpdir,
        "PODMAN_IGNORE_CGROUPSV1_WARNING": "1",
    }
    environment |= {name: value for name, _, value in (text.partition("=") for text in plan.collector)}
    if plan.isolation == "chroot":
        # after pivot_root buildah remounts the old root without its locked flags (nodev, noatime, as the node has
        # it), which a user namespace may not: `error stat()ing intended root directory` (chroot/run_linux.go)
        environment["BUILDAH_NOPIVOT"] = "1"
    if plan.run_directory:
        # for the runtime under buildah, and the login file
        environment["XDG_RUNTIME_DIR"] = plan.run_directory
    if plan.id_mode == "single":
        # podman looks $USER up in /etc/subuid, and fails where it finds ranges that newuidmap may not map
        environment["USER"] = "no-subordinate-ids"
    return environment


def flags(plan: Plan) -> tuple[str, ...]:
    """The global flags put right after argv[0], which hold even under a user's own containers.conf."""
    own = (f"--cgroup-manager={plan.cgroup_manager}", f"--events-backend={plan.events}")
    # not by XDG_RUNTIME_DIR, which podman hides from its runtime
    return (*own, f"--runtime-flag=root={plan.run_directory}/runtime") if plan.run_directory else own
