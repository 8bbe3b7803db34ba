"""The variables that steer claims, and which pods can use each other's stores."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from podman_agent.errors import ConfigError, UsageError
from podman_agent.plan.reference import Reference
from podman_agent.pod import idmode, ids, trials
from podman_agent.store import units

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LIMIT = 8
# capabilities(7)
_CAP_SYS_ADMIN = 1 << 21
_CAP_SETIDS = 1 << 6 | 1 << 7  # CAP_SETGID and CAP_SETUID


@dataclass(frozen=True)
class Settings:
    """What the variables of the cache say, and who asks."""

    limit: int
    wait: float
    locks: str
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
        lock_setting = env.get("PODMAN_AGENT_CACHE_LOCKS") or "auto"
        if lock_setting not in ("auto", "trust", "never"):
            what = f"PODMAN_AGENT_CACHE_LOCKS={lock_setting!r} is none of auto, trust, never"
            raise ConfigError(what)
        budget = env.get("PODMAN_AGENT_CACHE_BUDGET")
        if budget and units.size_from(budget) is None:
            what = f"PODMAN_AGENT_CACHE_BUDGET={budget!r} is not a size"
            raise ConfigError(what, fix="write 40G, 500Mi or a number of bytes")
        return cls(
            budget=units.size_from(budget) if budget else None,
            limit=number_from(env, "PODMAN_AGENT_CACHE_STORES"),
            wait=number_from(env, "PODMAN_AGENT_CACHE_WAIT"),
            locks=lock_setting,
            images=frozenset(full_name(n) for n in env.get("PODMAN_AGENT_CACHE_IMAGES", "").split()),
            job=env.get("JOB_NAME", ""),
            owner=env.get("POD_NAME") or env.get("HOSTNAME") or os.uname().nodename,
            flavour=flavour(driver=env.get("PODMAN_AGENT_STORAGE_DRIVER", "")),
        )


def number_from(env: Mapping[str, str], name: str) -> int:
    """The value of PODMAN_AGENT_CACHE_STORES or _WAIT, or its default.

    Raises:
        ConfigError: It is no whole number, or too small.
    """
    default, least = {"PODMAN_AGENT_CACHE_STORES": (LIMIT, 1), "PODMAN_AGENT_CACHE_WAIT": (0, 0)}[name]
    text = env.get(name) or str(default)
    if not (text.isascii() and text.isdigit()) or int(text) < least:
        what = f"{name}={text!r} is not a whole number of {least} or more"
        raise ConfigError(what)
    return int(text)


def full_name(name: str) -> str:
    """``busybox`` as podman stores it: ``docker.io/library/busybox:latest``.

    Raises:
        ConfigError: It is no image name.
    """
    try:
        return str(Reference.parse(name))
    except UsageError as error:
        what = f"PODMAN_AGENT_CACHE_IMAGES: {error.what}"
        raise ConfigError(what, fix=error.fix) from error


def flavour(
    proc: Path = Path("/proc/self"), *, user_namespace: Callable[[], str] = trials.user_namespace, driver: str = ""
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
        driver: PODMAN_AGENT_STORAGE_DRIVER.
    """
    status = dict(
        line.partition(":")[::2]
        for line in (proc / "status").read_text(encoding="ascii", errors="replace").splitlines()
    )
    capabilities = int(status["CapEff"], 16)
    uid = int(status["Uid"].split()[1])
    nodes_own = idmode.is_nodes_own(trials.uid_map(proc / "uid_map"))
    mode = idmode.id_mode(
        uid,
        sys_admin=bool(capabilities & _CAP_SYS_ADMIN),
        set_ids=capabilities & _CAP_SETIDS == _CAP_SETIDS,
        nodes_own=nodes_own,
        no_new_privs=status.get("NoNewPrivs", "").strip() == "1",
        user_namespace=user_namespace,
        subordinate_ids=lambda: sum(count for _, count in ids.subordinate("/etc/subuid", uid)),
    )
    kinds = {"none": f"bare-{uid}", "mapped": f"rootless-{uid}", "single": f"single-{uid}"}
    kind = kinds.get(mode, "root" if nodes_own else "userns")
    return f"{kind}-vfs" if driver == "vfs" else kind
