"""What becomes of a docker build's flags."""

from __future__ import annotations

import pytest
from podman_agent.docker.build import Archive, Export, translate
from podman_agent.errors import RefusalError


@pytest.mark.parametrize(
    ("args", "options"),
    [
        (["--provenance=false", "--sbom=false", "--attest=type=sbom,disabled=true", "."], []),
        (["--builder", "x", "--progress", "plain", "--allow=network.host", "--load", "."], []),
        (["--build-arg", "BUILDKIT_INLINE_CACHE=1", "--build-arg=A=b", "."], ["--build-arg=A=b"]),
        (["--pull", "."], ["--pull=always"]),
        (["--pull=false", "."], []),
        (["--isolation", "default", "."], []),
        (["--secret", "id=a,src=f", "."], ["--secret=id=a,src=f"]),
        (["--secret", "id=TOKEN", "."], ["--secret=id=TOKEN,type=env,env=TOKEN"]),
        (["--secret", "type=env,id=x,src=TOKEN", "."], ["--secret=id=x,type=env,env=TOKEN"]),
        (["--annotation", "index:k=v", "."], ["--annotation=k=v"]),
        (["--no-cache-filter", "base", "."], ["--no-cache"]),
        (["--cache-from", "type=registry,ref=r.example/a:cache", "."], ["--cache-from=r.example/a"]),
        (["--cache-from", "r.example:5000/a:latest", "."], ["--cache-from=r.example:5000/a"]),
        (["--cache-to=type=registry,ref=r.example/a:c,mode=max", "."], ["--cache-to=r.example/a"]),
        (["--cache-to", "type=inline", "."], []),
        (["--cache-from", "local-image:latest", "."], []),
        (["-o", "out", "--platform=a,b", "."], ["--output=type=local,dest=out"]),
        (["-fDockerfile.x", "-m", "1g", "."], ["--file=Dockerfile.x", "--memory=1g"]),
        (["--file=-", "--network", "host", "."], ["--file=-", "--network=host"]),
    ],
)
def test_flags_become_podmans(args: list[str], options: list[str]) -> None:
    plan = translate(args, {"TOKEN": "secret"})
    assert (plan.options, plan.context, plan.push) == (options, ".", [])


@pytest.mark.parametrize(
    ("args", "push"),
    [
        (["-t", "r/a:1", "-t", "r/a:2", "--push", "."], ["r/a:1", "r/a:2"]),
        (["-t", "r/a", "--output=type=registry", "."], ["r/a"]),
        (["-t", "r/a", "-o", "type=image,push=true", "."], ["r/a"]),
        (["-o", 'type=image,"name=r/a,r/b",push=true', "."], ["r/a", "r/b"]),
        (["-t", "r/a", "-o", "type=image,push=false", "."], []),
        (["-t", "r/a", "--load", "."], []),
    ],
)
def test_what_buildx_would_push_is_pushed(args: list[str], push: list[str]) -> None:
    """`--output=type=registry` on bare podman exits 0 and pushes nothing."""
    assert translate(args, {}).push == push


@pytest.mark.parametrize("args", [["--push", "."], ["--output", "type=registry", "."]])
def test_a_push_without_a_name_is_refused(args: list[str]) -> None:
    with pytest.raises(RefusalError, match="tag is needed"):
        translate(args, {})


@pytest.mark.parametrize(
    "args", [["--check", "."], ["--call=outline", "."], ["-o", "type=wasm", "."], ["--cache-to", "type=nonsense", "."]]
)
def test_what_podman_cannot_do_is_refused(args: list[str]) -> None:
    with pytest.raises(RefusalError):
        translate(args, {})


@pytest.mark.parametrize("kind", ["gha", "local,dest=d", "inline", "s3"])
def test_a_cache_that_cannot_be_had_is_told_of(kind: str) -> None:
    plan = translate(["--cache-to", f"type={kind}", "."], {})
    assert len(plan.notes) == 1
    assert plan.options == []


def test_a_local_cache_directory_is_there_for_the_step_that_moves_it() -> None:
    assert translate(["--cache-to", "type=local,dest=new", "."], {}).directories == ["new"]


def test_archives_name_podmans_formats() -> None:
    plan = translate(["-o", "type=oci,dest=a", "-o", "type=docker,dest=b", "-o", "type=docker", "."], {})
    assert plan.archives == [Archive("oci-archive", "a"), Archive("docker-archive", "b")]


def test_platforms_come_from_the_flag_or_the_variable() -> None:
    env = {"DOCKER_DEFAULT_PLATFORM": "linux/arm64"}
    assert translate(["--platform", "linux/amd64,linux/arm64", "."], env).platforms == ["linux/amd64", "linux/arm64"]
    assert translate(["."], env).platforms == ["linux/arm64"]
    assert translate(["."], {}).platforms == []


def test_asked_for_attestations_are_told_of() -> None:
    assert len(translate(["--provenance=mode=max", "--sbom=true", "."], {}).notes) == 2


@pytest.mark.parametrize(
    ("output", "export"),
    [("out", Export("local", "out")), ("-", Export("tar", "-")), ("type=tar,dest=o.tar", Export("tar", "o.tar"))],
)
def test_files_are_exported_after_the_build_and_not_by_podmans_own_flag(output: str, export: Export) -> None:
    """Podman's `--output` lacks what a last step from the cache has made."""
    plan = translate(["-o", output, "."], {})
    assert (plan.options, plan.exports, plan.steps_after) == ([], [export], True)
