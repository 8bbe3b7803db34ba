"""The sealed store of a key: base images pulled once, linked into every store at its next claim.

A generation is built aside, proved, and renamed into place; it is never written again. Stores
hold hard links to its files, so that an old generation can go as soon as a newer one stands.
"""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from podman_agent import files
from podman_agent.errors import ConfigError, EngineError, EngineMissingError, MismatchError
from podman_agent.pod import variables
from podman_agent.store import layout
from podman_agent.store.content import image_names
from podman_agent.store.durable import syncfs
from podman_agent.store.merge import merge
from podman_agent.store.removal import remove
from podman_agent.store.settings import flavour
from podman_agent.store.verify import verify

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def warm(
    volume: Path, key: str | None, images: Sequence[str], env: Mapping[str, str], storage_conf: str
) -> tuple[int, int]:
    """Add images to the key's sealed store for pods of this kind by making its next generation.

    Images of the last generation stay; one named again is pulled again.

    Args:
        volume: The cache volume.
        key: The cache key; None for the default.
        images: Names as ``podman pull`` takes them.
        env: The environment of the engine.
        storage_conf: The storage.conf of this pod's plan.

    Returns:
        The generation's number and how many images it has.

    Raises:
        EngineMissingError: There is no buildah, or no podman.
        EngineError: An image cannot be pulled.
        MismatchError: What was pulled does not have its digests.
        ConfigError: A symbolic link stands where the sealed store belongs.
    """
    home = layout.key_directory(volume, layout.check_key(key)) / "sealed"
    if home.is_symlink():
        what = f"{home} is a symbolic link"
        raise ConfigError(what, "a cache key must not lead elsewhere", f"rm {home}")
    home.mkdir(exist_ok=True)
    lock = os.open(home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o660)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _next_generation(home, images, env, storage_conf)
    finally:
        os.close(lock)


def _next_generation(home: Path, images: Sequence[str], env: Mapping[str, str], storage_conf: str) -> tuple[int, int]:
    for leftover in home.glob(".new-*"):
        remove(leftover)
    ours = flavour(driver=variables.STORAGE_DRIVER.read(env))
    generations = layout.sealed_generations(home.parent, ours)
    number = max((n for n, _ in layout.sealed_generations(home.parent)), default=0) + 1
    new = home / f".new-{files.token()}"
    storage = new / "storage"
    storage.mkdir(parents=True)
    try:
        if generations:
            merge(generations[0][1], storage, new / "tmp", budget=3600)
        _pull(storage, images, env, storage_conf)
        _prove(storage)
        for path in (new / "tmp", new / "runroot", storage / "db.sql"):
            remove(path)
        (new / "flavour").write_text(ours, encoding="ascii")
        _flush(new)
        new.rename(home / str(number))
    except BaseException:
        remove(new)
        raise
    return number, len(image_names(home / str(number) / "storage"))


def _flush(directory: Path) -> None:
    """Have all of it on disk before it gets its name: stores that link it take it for proved (syncfs(2))."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        syncfs(fd)
    finally:
        os.close(fd)


def _prove(storage: Path) -> None:
    damage = verify(storage).damage
    if damage:
        what = f"image {', '.join(damage[0].images)} came damaged"
        raise MismatchError(what, damage[0].why, "try again")


def _pull(storage: Path, images: Sequence[str], env: Mapping[str, str], storage_conf: str) -> None:
    """Pull with the driver of this pod's plan; the engine knows short names, mirrors and logins.

    Buildah records no paths, but asks /etc/passwd for its user, which an arbitrary uid has no line in.
    """
    engine = "podman" if os.geteuid() else "buildah"
    with tempfile.TemporaryDirectory(prefix="podman-agent-warm-") as runroot:
        # not --root: with it the engine drops the driver's options, such as ignore_chown_errors
        places = {"graphroot": storage, "rootless_storage_path": storage, "runroot": runroot}
        conf = Path(runroot, "storage.conf")
        conf.write_text(
            re.sub(r'^(\w+) = ".*"$', lambda m: f'{m[1]} = "{places[m[1]]}"' if m[1] in places else m[0], storage_conf,
                   flags=re.MULTILINE), encoding="utf-8",
        )  # fmt: skip
        for image in images:
            try:
                done = subprocess.run(
                    [engine, "pull", "--quiet", image],
                    env={**env, "TMPDIR": str(storage.parent), "CONTAINERS_STORAGE_CONF": str(conf)},
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    text=True,
                    check=False,
                )
            except FileNotFoundError as error:
                what = "cannot warm the cache"
                raise EngineMissingError(what, f"there is no {engine}", "install it") from error
            if done.returncode:
                what = f"cannot pull {image}"
                last = (done.stderr.strip().splitlines() or [""])[-1]
                raise EngineError(what, last, returncode=done.returncode)
