"""The variables that steer claims, and which pods can use each other's stores."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from podman_agent.errors import ConfigError, UsageError
from podman_agent.plan.reference import Reference
from podman_agent.pod import capabilities, idmode, ids, trials, variables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from podman_agent.pod.values import CacheLocks, StorageDriver, StoreKind


@dataclass(frozen=True)
class Settings:
    """What the variables of the cache say, and who asks."""

    limit: int
    wait: int
    locks: CacheLocks
    images: frozenset[str]
    job: str
    owner: str
    flavour: str
    budget: int | None = None  # bytes the stores of the key may add up to

    @classmethod
    def read(cls, env: Mapping[str, str]) -> Settings:
        """Read them.

        Raises:
            ConfigError: A value makes no sense.
        """
        return cls(
            budget=variables.CACHE_BUDGET.read(env),
            limit=variables.CACHE_STORES.value(env),
            wait=variables.CACHE_WAIT.value(env),
            locks=variables.CACHE_LOCKS.value(env),
            images=frozenset(full_name(n) for n in variables.CACHE_IMAGES.value(env)),
            job=env.get("JOB_NAME", ""),
            owner=env.get("POD_NAME") or env.get("HOSTNAME") or os.uname().nodename,
            flavour=flavour(driver=variables.STORAGE_DRIVER.read(env)),
        )


def full_name(name: str) -> str:
    """``busybox`` as podman stores it: ``docker.io/library/busybox:latest``.

    Raises:
        ConfigError: It is no image name.
    """
    try:
        return str(Reference.parse(name))
    except UsageError as error:
        what = f"{variables.CACHE_IMAGES.full_name}: {error.what}"
        raise ConfigError(what, fix=error.fix) from error


def flavour(
    proc: Path = Path("/proc/self"),
    *,
    user_namespace: Callable[[], str] = trials.user_namespace,
    driver: StorageDriver | None = None,
) -> str:
    """Which pods can use each other's stores.

    In a user namespace overlay keeps its marks in ``user.overlay.*`` attributes instead of
    ``trusted.overlay.*`` and files belong to shifted ids
    (https://docs.kernel.org/filesystems/overlayfs.html#permission-model), so a store written by a
    privileged pod is not the same thing to an unprivileged one. With one id all files are its own, and without
    any namespace the driver is another. The plan asks the same (`podman_agent.pod.idmode`), after there is a store.

    Args:
        proc: The process to tell it of.
        user_namespace: The trial.
        driver: The storage driver that is forced.
    """
    status = capabilities.status(proc)
    uid = int(status["Uid"].split()[1])
    nodes_own = idmode.is_nodes_own(trials.uid_map(proc / "uid_map"))
    mode = idmode.id_mode(
        uid,
        capabilities=capabilities.effective(proc),
        nodes_own=nodes_own,
        no_new_privs=status.get("NoNewPrivs") == "1",
        user_namespace=user_namespace,
        subordinate_ids=lambda: ids.subordinate_count(uid),
    )
    kind: StoreKind
    match mode:
        case "root":
            kind = "root" if nodes_own else "userns"
        case "mapped":
            kind = "rootless"
        case "single":
            kind = "single"
        case "none":
            kind = "bare"
        case _:
            assert_never(mode)
    name = kind if mode == "root" else f"{kind}-{uid}"
    return f"{name}-vfs" if driver == "vfs" else name
