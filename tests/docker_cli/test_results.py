"""Results that docker gives and podman does not, without a word: what a registry, an archive, a container then hold."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    import outer
    from docker_cli.conftest import Lab

pytestmark = pytest.mark.nested


@pytest.fixture(scope="module", name="own")
def _own(lab: Callable[..., Lab]) -> Lab:
    return lab()


def out(lab: Lab, script: str, **env: str) -> str:
    """What a script prints on stdout, in a directory of its own."""
    done: str = lab.pod.sh(f"cd $(mktemp -d)\n{script}", env=lab.env | env, shell="sh -e").stdout
    return done


def built(lab: Lab, name: str) -> None:
    """An image of this name and no other's content."""
    out(lab, f"printf 'FROM busybox\\nRUN echo {name} >/x\\n' | docker build -q -t {name} - >/dev/null")


def test_a_push_says_the_registrys_digest_and_inspect_keeps_it(own: Lab) -> None:
    """cosign, helm and GitOps tools read it from there."""
    name = f"{own.registry.address}/results/app"
    built(own, f"{name}:1")
    assert out(own, f"docker inspect -f '{{{{json .RepoDigests}}}}' {name}:1").strip() == "[]"
    assert out(own, f"docker images --digests --format '{{{{.Digest}}}}' {name}").strip() == "<none>"
    said = out(own, f"docker push {name}:1").splitlines()
    digest = own.registry.digest("results/app", "1")
    manifest = own.registry.request("GET", f"/v2/results/app/manifests/{digest}")[2]
    assert said == [f"The push refers to repository [{name}]", f"1: digest: {digest} size: {len(manifest)}"]
    assert out(own, f"docker inspect -f '{{{{index .RepoDigests 0}}}}' {name}:1").strip() == f"{name}@{digest}"
    assert out(own, f"docker images --digests --format '{{{{.Digest}}}}' {name}").strip() == digest
    assert digest in out(own, f"docker images --digests {name}")
    out(own, f"docker pull -q {name}@{digest}")
    assert out(own, f"docker push -q {name}:1") == f"{name}:1\n"


def test_another_name_of_a_pushed_image_has_no_digest_before_its_own_push(own: Lab) -> None:
    name, other = f"{own.registry.address}/results/one", f"{own.registry.address}/results/two"
    built(own, name)
    out(own, f"docker push -q {name}; docker rmi {name}; docker pull -q {name}; docker tag {name} {other}")
    digest = own.registry.digest("results/one", "latest")
    assert json.loads(out(own, f"docker inspect {other}"))[0]["RepoDigests"] == [f"{name}@{digest}"]
    assert out(own, f"docker push {other} | tail -1").startswith("latest: digest: sha256:")
    second = own.registry.digest("results/two", "latest")
    assert json.loads(out(own, f"docker inspect {other}"))[0]["RepoDigests"] == [
        f"{name}@{digest}",
        f"{other}@{second}",
    ]


def test_a_build_that_pushes_keeps_the_digest_too(own: Lab) -> None:
    name = f"{own.registry.address}/results/built"
    out(own, f"printf 'FROM busybox\\nRUN echo b >/x\\n' | docker build -q -t {name} --push -")
    digest = own.registry.digest("results/built", "latest")
    assert json.loads(out(own, f"docker inspect {name}"))[0]["RepoDigests"] == [f"{name}@{digest}"]


def test_a_pull_says_where_from_and_which_digest(own: Lab, mirror: outer.Registry) -> None:
    digest = mirror.digest("library/busybox", "latest")
    head = "Using default tag: latest\nlatest: Pulling from library/busybox\n"
    tail = f"Digest: {digest}\nStatus: Image is up to date for busybox:latest\ndocker.io/library/busybox:latest\n"
    assert out(own, "docker pull busybox") == head + tail
    assert out(own, "docker pull -q busybox") == "docker.io/library/busybox:latest\n"


def test_a_short_name_is_docker_ios_and_comes_from_its_mirror(own: Lab, mirror: outer.Registry) -> None:
    """The distributions' table of short names sends this one to quay.io."""
    copy = "skopeo copy -q --src-tls-verify=false --dest-tls-verify=false"
    at = f"docker://{mirror.address}/library"
    out(own, f"{copy} {at}/busybox {at}/hello-world")
    assert out(own, "docker pull -q hello-world") == "docker.io/library/hello-world:latest\n"
    out(own, "printf 'FROM hello-world\\n' | docker build -q -")
