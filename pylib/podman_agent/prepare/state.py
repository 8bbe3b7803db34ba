"""The plan, kept for this container start: made once, atomically, also under parallel first calls.

The one place that writes: state directory (facts.json, plan.json, the rendered files and `hot`, which the shim reads)
and, in our image, the drop-ins below /etc/containers, so that buildah, skopeo, podman-py and a podman called by its
full path are told the same.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from podman_agent import planfile
from podman_agent.errors import PodmanAgentError, VolumeError
from podman_agent.files import replace
from podman_agent.plan import render, speed
from podman_agent.plan.advice import volume_lost
from podman_agent.plan.decide import decide
from podman_agent.pod import facts as facts_module
from podman_agent.pod import trials, variables
from podman_agent.pod.home import replacement
from podman_agent.pod.volume import volume as volume_of_pod
from podman_agent.prepare.account import give_a_name
from podman_agent.store import claims

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from podman_agent.plan.plan import Plan
    from podman_agent.pod.facts import Facts
    from podman_agent.pod.values import Program
    from podman_agent.pod.variables import Forced

ETC = Path("/etc/containers")
DROP_IN = "50-podman-agent.conf"
SHIMMED: tuple[Program, ...] = ("podman", "buildah", "skopeo")


@dataclass(frozen=True, slots=True)
class Decision:
    """What was read, what was decided, where it is to be written, and what tells that the claim still holds."""

    facts: Facts
    plan: Plan
    directory: Path
    alive: str


def programs() -> Mapping[Program, str]:
    """The real programs behind our shims, for a call that goes without a plan."""
    return facts_module.find_programs(os.environ.get("PATH", os.defpath))


def _directory() -> Path:
    """Make the state directory: the first place this user may write.

    Raises:
        VolumeError: None of them can be written.
    """
    tried = []
    for place in planfile.state_directories():
        directory = Path(place)
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            if directory.stat().st_uid == os.geteuid() and os.access(directory, os.W_OK):
                return directory
            tried.append(f"{place}: not ours")
        except OSError as error:
            tried.append(f"{place}: {error.strerror}")
    msg = "the plan has nowhere to be kept"
    raise VolumeError(msg, ", ".join(tried), "mount an emptyDir at /run or /tmp")


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    with (directory / "lock").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _runroot(directory: Path) -> Path:
    """Podman's own place where it may be written, else below the state directory; never on the volume."""
    default = Path("/run/containers/storage")
    if str(directory) == planfile.ROOTS_OWN:
        return default
    return directory / "run"


def _mount_runroot(runroot: Path) -> None:
    """Put the run state into memory; its path stays, since a store's database holds it and refuses another.

    Where the mount is refused (AppArmor), or podman was here before us and has mounts there, it stays on the disk.
    """
    if os.path.ismount(runroot):
        return
    runroot.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.suppress(OSError):
        runroot.rmdir()  # fails unless it is empty
        runroot.mkdir(mode=0o700)
        trials.mount("tmpfs", str(runroot), "tmpfs", speed.RUNROOT_FLAGS, speed.RUNROOT_OPTIONS)


def look(directory: Path | None = None) -> Decision:
    """Claim a store, read this pod and decide; no plan is written.

    Raises:
        PodmanAgentError: As `podman_agent.plan.decide.decide` does.
    """
    directory = directory or _directory()
    forced = variables.forced(os.environ)
    volume = volume_of_pod(os.environ, os.geteuid())
    store, claim = _store(forced, volume, directory)
    _new_graphroot(store.graphroot)
    found = facts_module.read(os.environ, volume=volume, store=store, runroot=_runroot(directory), state=directory)
    plan = decide(found, os.environ)
    if lost := volume_lost(found):
        sys.stderr.write(f"podman-agent: {lost.problem}; {lost.better}\n")
    if claim and claim.message:
        sys.stderr.write(f"podman-agent: {claim.message}\n")
    return Decision(found, plan, directory, claim.alive if claim else "")


def _new_graphroot(directory: Path) -> None:
    """Make it, with this user's own group.

    A kubelet makes an emptyDir setgid to fsGroup, and what is made in it inherits a group that a user namespace of one
    id does not know: podman then ends in `failed to mount overlay ... permission denied`.
    """
    with contextlib.suppress(OSError):  # as `facts.read` says why
        directory.mkdir(parents=True, exist_ok=True, mode=0o711)
        if not any(directory.iterdir()):
            os.chown(directory, -1, os.getegid())
            directory.chmod(0o711)


def _store(forced: Forced, volume: Path, directory: Path) -> tuple[facts_module.Store, claims.Claim | None]:
    """Claim a store on the volume, unless the caller names a graphroot of its own."""
    if graphroot := forced.get(variables.GRAPHROOT):
        return facts_module.Store(Path(graphroot)), None
    claim = claims.claim(
        volume, key=forced.get(variables.CACHE_KEY), env=os.environ, legacy=volume / "storage", run=directory
    )
    return facts_module.Store(claim.graphroot, claim.additional, claim.tmp, claim.store, claim.note), claim


def _install(decision: Decision, files: dict[str, str]) -> bool:
    """Write the drop-ins below /etc/containers where the image has prepared them; tell whether that was so."""
    marker = ETC / "containers.conf.d" / DROP_IN
    if not (marker.exists() and os.access(marker, os.W_OK)):
        return False
    storage = ETC / "storage.conf"
    if decision.facts.podman_version >= (6,):  # 6 reads drop-ins, and would have rootless users read this file too
        storage = ETC / "storage.rootful.conf.d" / DROP_IN
    registries = ETC / "registries.conf.d" / DROP_IN
    try:
        for path in (storage, registries):
            path.parent.mkdir(parents=True, exist_ok=True)
        replace(marker, files["containers.conf"])
        replace(storage, files["storage.conf"])
        replace(registries, files["registries.conf"])
    except OSError:
        return False
    return True


def _environment(decision: Decision, *, installed: bool) -> dict[str, str]:
    environment = render.engine_environment(decision.plan)
    home = replacement(os.environ, decision.facts.uid) or os.environ.get("HOME", "")
    if decision.facts.uid and not os.access(home or "/", os.W_OK):
        # an arbitrary uid has `/` for its home, and podman stops where it can make no ~/.config
        for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
            environment[name] = str(decision.directory / name.lower())
            Path(environment[name]).mkdir(exist_ok=True)
    environment["CONTAINERS_STORAGE_CONF"] = str(decision.directory / "storage.conf")
    if not installed:
        # CONTAINERS_CONF_OVERRIDE came with podman 4.4; before, one file can only replace all
        new = decision.facts.podman_version >= (4, 4)
        name = "CONTAINERS_CONF_OVERRIDE" if new else "CONTAINERS_CONF"
        environment[name] = str(decision.directory / "containers.conf")
        environment["CONTAINERS_REGISTRIES_CONF"] = str(decision.directory / "registries.conf")
    return environment


def ensure() -> planfile.Hot:
    """Return the plan of this container start, making it if there is none that holds.

    Raises:
        PodmanAgentError: As `look` does, and VolumeError when the state cannot be written.
    """
    directory = _directory()
    with _locked(directory):
        hot = planfile.load()
        if hot is not None:
            return hot
        give_a_name(os.geteuid(), os.getegid(), replacement(os.environ, os.geteuid()) or os.environ.get("HOME", "/"))
        decision = look(directory)
        plan = decision.plan
        files = {
            "containers.conf": render.containers_conf(plan),
            "storage.conf": render.storage_conf(plan),
            "registries.conf": render.registries_conf(plan),
            "facts.json": decision.facts.to_json(),
            "plan.json": plan.to_json(),
        }
        try:
            Path(plan.tmpdir).mkdir(parents=True, exist_ok=True)
            if plan.runroot_in_memory:
                _mount_runroot(Path(plan.runroot))
            for name, text in files.items():
                replace(directory / name, text)
            environment = _environment(decision, installed=_install(decision, files))
            behind = {name: plan.programs[name] for name in SHIMMED if name in plan.programs}
            if plan.id_mode == "none":
                behind["podman"] = plan.programs["podman-without-namespaces"]
            hot = planfile.Hot(
                programs=behind,
                flags=render.flags(plan),
                environment=environment,
                alive=decision.alive,
                watched=plan.watched,
                exec_monitor=plan.exec_monitor,
                home=replacement({}, decision.facts.uid),  # for calls with another HOME than this one's
            )
            replace(directory / "hot", planfile.encode(hot))
        except OSError as error:
            what = f"cannot write {error.filename or directory}"
            raise VolumeError(what, error.strerror or "", "free space there, or mount an emptyDir") from error
        return hot


def volume_in_force() -> Path:
    """The cache volume that this container's plan uses; the one it would use where there is no plan yet."""
    with contextlib.suppress(PodmanAgentError, ValueError, KeyError):
        if planfile.load() is not None:
            return Path(json.loads(stored("facts.json"))["volume"])
    return volume_of_pod(os.environ, os.geteuid())


def stored(name: str) -> str:
    """A file of this container's state, as text: ``plan.json`` or ``facts.json``.

    Raises:
        VolumeError: There is none; `ensure` makes it.
    """
    for place in planfile.state_directories():
        with contextlib.suppress(OSError):
            return (Path(place) / name).read_text(encoding="utf-8")
    msg = f"there is no {name}"
    raise VolumeError(msg, "no plan was made in this container yet", "run podman-agent plan")
