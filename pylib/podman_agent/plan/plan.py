"""The plan as a value."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from podman_agent.plan.choices import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from podman_agent.pod.values import (
        BuildFormat,
        CgroupManager,
        Cgroups,
        CompressionLevel,
        Events,
        IdMode,
        Isolation,
        LockType,
        LogDriver,
        Network,
        Program,
        Runtime,
        StorageDriver,
        Uts,
    )


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything podman is told in this pod. Paths are absolute; an empty string means that it is not set."""

    podman: str
    programs: Mapping[Program, str]
    graphroot: str
    runroot: str
    additional_stores: tuple[str, ...]
    storage_driver: StorageDriver
    mount_program: str
    mount_options: str
    isolation: Isolation
    runtime: Runtime
    cgroups: Cgroups
    cgroup_manager: CgroupManager
    events: Events
    log_driver: LogDriver
    network: Network
    ulimits: tuple[str, ...]
    build_format: BuildFormat
    tmpdir: str
    mirrors: tuple[tuple[str, str], ...]
    insecure: tuple[str, ...]
    can_run: bool
    reasons: tuple[Reason, ...]
    id_mode: IdMode = "root"
    volumes: tuple[str, ...] = ()  # bound into every container
    lock_type: LockType = ""
    uts: Uts = "private"
    run_directory: str = ""  # for what podman and its runtime keep in /run
    runroot_in_memory: bool = False
    collector: tuple[str, ...] = ()  # variables of Go's garbage collector
    compression_level: CompressionLevel = ""  # of gzip, for layers that are pushed
    exec_monitor: str = ""  # what `docker exec` has for conmon
    watched: tuple[str, ...] = ()  # verbs whose failure the shim explains, at the price of a parent

    def to_json(self) -> str:
        """The plan as a JSON object."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Read a plan that `to_json` wrote."""
        loaded = json.loads(text)
        loaded = {name: tuple(value) if isinstance(value, list) else value for name, value in loaded.items()}
        loaded["reasons"] = tuple(Reason(**reason) for reason in loaded["reasons"])
        return cls(**loaded | {"mirrors": tuple((registry, mirror) for registry, mirror in loaded["mirrors"])})
