"""A real multi-stage project gives the same image in an unprivileged pod as in a privileged one."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import outer
import pytest
import yaml
from pods.shapes import NO_NEW_PRIVS, NO_SECCOMP, SHAPES, capabilities
from pods.test_shapes import IMAGE

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.nested

BASE = "localhost/jenkins-podman-agent-base:debian-13"
PROJECT = """FROM {base} AS build
RUN printf '#!/bin/sh\\necho made\\n' >/made && chmod 4755 /made && chown 33:33 /made
FROM {base}
RUN apt-get -q update && apt-get -q -y install --no-install-recommends hello && rm -rf /var/lib/apt/lists
RUN useradd --uid 4321 --create-home app && install -d -o app -g app -m 2750 /srv/app && ln -s made /usr/local/bin/m
COPY --from=build --chown=app:app /made /usr/local/bin/made
RUN chgrp 8 /usr/local/bin/made && chmod 4711 /usr/local/bin/made
ENV WORD=word
LABEL who=us
USER app
WORKDIR /srv/app
RUN touch mine && chmod 600 mine && hello
ENTRYPOINT ["made"]
"""
# every file's name, kind, mode, owner, link and contents; logs and caches hold the time of day. Device nodes of
# the base cannot be made in a user namespace: c/storage leaves them out of its copy, the base's own layer keeps them.
LIST = r"""
import hashlib, sys, tarfile
with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as tar:
    for m in tar:
        if not m.name.lstrip("./").startswith(("dev/", "var/log", "var/cache", "run", "etc/hostname", "etc/hosts")):
            data = hashlib.sha256(tar.extractfile(m).read()).hexdigest() if m.isfile() else ""
            print(m.name, m.type, oct(m.mode), m.uid, m.gid, m.linkname, data)
"""


def _template() -> tuple[str, ...]:
    """What jenkins/pods/unprivileged.yaml gives its container."""
    pod = yaml.safe_load((outer.ROOT / "jenkins/pods/unprivileged.yaml").read_text())
    context = pod["spec"]["containers"][0]["securityContext"]
    assert context["capabilities"]["drop"] == ["ALL"]
    assert context["allowPrivilegeEscalation"] is False
    return (*capabilities(*context["capabilities"]["add"]), NO_SECCOMP, NO_NEW_PRIVS)


def _build(shape: str, options: tuple[str, ...], disk: Path, mirror: outer.Registry) -> tuple[list[str], str]:
    volume = disk / f"same-{shape}"
    volume.mkdir(mode=0o755)
    name = f"{outer.NAME}-same-{secrets.token_hex(3)}"
    (volume / "project").mkdir()
    (volume / "project/Dockerfile").write_text(PROJECT.format(base="docker.io/library/base"))
    (volume / "list.py").write_text(LIST)
    outer.podman(
        *("run", "--detach", "--rm", "--name", name, "--network=host", "--entrypoint=/bin/cat", "--interactive"),
        *("--env", f"PODMAN_AGENT_MIRRORS=docker.io={mirror.address}", *options),
        *(f"--volume={volume}:/var/lib/containers", IMAGE),
    )
    try:
        inside = ("exec", name, "bash", "-o", "pipefail", "-c")
        outer.podman(*inside, "docker build -q -t same /var/lib/containers/project")
        files = outer.podman(*inside, "podman export $(podman create same) | python3 /var/lib/containers/list.py")
        config = outer.podman(*inside, "podman image inspect --format '{{json .Config}}' same")
    finally:
        outer.podman("rm", "--force", "--time=0", name)
    return sorted(files.stdout.splitlines()), config.stdout


def test_unprivileged_build_makes_the_same_files_and_config(disk: Path, mirror: outer.Registry) -> None:
    """Names, kinds, modes, owners and contents of all files, and the config; not times."""
    outer.podman("push", "-q", BASE, f"{mirror.address}/library/base:latest")
    files, config = _build("privileged", SHAPES["privileged-volume"].options, disk, mirror)
    assert any("usr/local/bin/made" in line and "0o4711 4321 8" in line for line in files)
    pods = {"least-capabilities": SHAPES["least-capabilities"].options, "template": _template()}
    for name, options in pods.items():
        there, config_there = _build(name, options, disk, mirror)
        assert sorted(set(files) ^ set(there)) == []
        assert config == config_there
