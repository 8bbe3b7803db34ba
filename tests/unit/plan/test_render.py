"""What podman is given to read."""

from __future__ import annotations

import tomllib
from dataclasses import replace

from podman_agent.plan import render
from podman_agent.plan.decide import decide
from unit.plan.test_decide import facts


def test_all_three_files_are_toml() -> None:
    """Quotes and backslashes in paths included."""
    plan = replace(decide(facts(), {}), graphroot='/a "b\\c')
    for text in (render.containers_conf(plan), render.storage_conf(plan), render.registries_conf(plan)):
        tomllib.loads(text)
    assert tomllib.loads(render.storage_conf(plan))["storage"]["graphroot"] == '/a "b\\c'


def test_a_short_name_means_docker_io() -> None:
    """RHEL's list would ask registry.access.redhat.com first, and prompt where there is no terminal."""
    conf = tomllib.loads(render.registries_conf(decide(facts(), {})))
    assert conf["unqualified-search-registries"] == ["docker.io"]
    assert conf["short-name-mode"] == "permissive"


def test_registries_on_loopback_may_speak_http_as_with_docker() -> None:
    """And no others do."""
    conf = tomllib.loads(render.registries_conf(decide(facts(), {})))
    assert {r["location"] for r in conf["registry"] if r.get("insecure")} == {"localhost", "127.0.0.1"}


def test_mirrors_and_insecure_registries_come_from_the_pod_template() -> None:
    """A mirror is insecure only when its registry is."""
    env = {
        "PODMAN_AGENT_MIRRORS": "docker.io=127.0.0.1:5000, docker.io=mirror.example.com/docker",
        "PODMAN_AGENT_INSECURE_REGISTRIES": "plain.example.com:5000",
    }
    conf = tomllib.loads(render.registries_conf(decide(facts(), env)))
    by_location = {r["location"]: r for r in conf["registry"]}
    assert by_location["plain.example.com:5000"]["insecure"] is True
    assert by_location["docker.io"] == {
        "location": "docker.io",
        "mirror": [
            {"location": "127.0.0.1:5000", "insecure": True},
            {"location": "mirror.example.com/docker"},
        ],
    }


def test_fuse_overlayfs_skips_fsync_and_the_kernel_does_not() -> None:
    """fsync=0 is an option of fuse-overlayfs alone."""
    native = tomllib.loads(render.storage_conf(decide(facts(), {})))["storage"]["options"]["overlay"]
    fuse = tomllib.loads(render.storage_conf(decide(facts("default-fuse"), {})))["storage"]["options"]["overlay"]
    assert native == {}
    assert fuse == {"mountopt": "fsync=0", "mount_program": "/usr/bin/fuse-overlayfs"}


def test_isolation_and_format_reach_a_podman_called_without_the_shim() -> None:
    """By engine.env, which podman sets where the caller has not."""
    conf = tomllib.loads(render.containers_conf(decide(facts("default-volume"), {})))
    assert "BUILDAH_ISOLATION=chroot" in conf["engine"]["env"]
    assert "BUILDAH_FORMAT=docker" in conf["engine"]["env"]
