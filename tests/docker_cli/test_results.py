"""Results that docker gives and podman does not, without a word: what a registry, an archive, a container then hold."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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


@pytest.fixture(scope="module")
def container(own: Lab) -> Iterator[str]:
    """A running container."""
    out(own, "docker run -d --name results -u 77 busybox sleep 1000")
    yield "results"
    out(own, "docker rm -f results")


def listed(lab: Lab, container: str, path: str) -> list[str]:
    """What is below a path in the container, with owners."""
    return sorted(out(lab, f"docker exec {container} find {path} -type f -exec stat -c '%n %u:%g' {{}} +").splitlines())


@pytest.mark.parametrize("source", [".", "./", "./.", "$PWD/."])
def test_cp_of_a_dot_copies_what_is_in_the_directory_and_keeps_owners(own: Lab, container: str, source: str) -> None:
    out(
        own,
        f"mkdir src; cd src; mkdir sub; touch f sub/g; chown 5:6 f; docker exec -u 0 {container} rm -rf /old /new\n"
        f"docker exec -u 0 {container} mkdir /old\n"
        f"docker cp {source} {container}:/old; docker cp {source} {container}:/new",
    )
    assert listed(own, container, "/old") == ["/old/f 5:6", "/old/sub/g 0:0"]
    assert listed(own, container, "/new") == ["/new/f 5:6", "/new/sub/g 0:0"]


def test_cp_of_an_archive_keeps_owners(own: Lab, container: str) -> None:
    out(own, f"mkdir t; touch t/x; chown 5:6 t/x; tar c t | docker cp - {container}:/")
    assert listed(own, container, "/t") == ["/t/x 5:6"]


def test_a_paused_container_is_listed(own: Lab, container: str) -> None:
    listed = f"docker pause {container} >/dev/null; docker ps --format '{{{{.Names}}}} {{{{.State}}}}'"
    assert f"{container} paused" in out(own, listed).splitlines()
    assert out(own, f"docker ps -q --filter name={container}; docker unpause {container} >/dev/null").strip()


def test_names_leave_as_docker_writes_them(own: Lab) -> None:
    """An archive is for a docker elsewhere, and scripts compare what was loaded, removed and run."""
    tags = "python3 -c 'import json,sys; print(json.load(sys.stdin)[0][\"RepoTags\"])'"
    out(own, "docker tag busybox shipped:1; docker tag busybox team/shipped:2")
    assert out(own, f"docker save shipped:1 | tar xO manifest.json | {tags}") == "['shipped:1']\n"
    saved = out(own, f"docker save -o a.tar shipped:1 team/shipped:2; tar xOf a.tar manifest.json | {tags}")
    assert saved == "['shipped:1', 'team/shipped:2']\n"
    exported = "printf 'FROM busybox\\n' | docker buildx build -t ship2:1 --output type=docker,dest=b.tar - >&2"
    assert out(own, f"{exported}; tar xOf b.tar manifest.json | {tags}") == "['ship2:1']\n"
    assert out(own, "docker save -o a.tar shipped:1; docker load -q -i a.tar") == "Loaded image: shipped:1\n"
    assert out(own, "docker rmi team/shipped:2") == "Untagged: team/shipped:2\n"
    out(own, "docker create --name shipped shipped:1")
    assert out(own, "docker inspect -f '{{.Config.Image}}' shipped") == "shipped:1\n"
    assert out(own, "docker ps -a --filter name=shipped --format '{{.Image}} {{.Names}}'") == "shipped:1 shipped\n"
    assert out(own, "docker ps -a --filter name=shipped").splitlines()[1].split()[1] == "shipped:1"


TWO = "FROM busybox\\nRUN echo a >/one\\nRUN echo b >/two\\n"


def test_an_export_from_the_cache_has_the_files_of_the_last_step(own: Lab) -> None:
    said = out(
        own,
        f"printf '{TWO}' >Dockerfile; docker build -q -o first . >&2; docker build -o second . >&2\n"
        "cat second/one second/two\n"
        "docker build -o type=tar,dest=o.tar . >&2; tar xOf o.tar two; docker build -o - . | tar xO two",
    )
    assert said == "a\nb\nb\nb\n"


def test_small_habits(own: Lab) -> None:
    """Each is what a script reads."""
    assert out(own, "docker volume create habit; docker volume create habit; docker volume rm habit") == "habit\n" * 3
    assert out(own, "docker run --rm --cidfile cid busybox echo hi; grep -cE '^[0-9a-f]{64}$' cid") == "hi\n1\n"
    assert out(own, "[ $(docker run -d --rm --cidfile cid busybox true) = $(cat cid) ] && echo same") == "same\n"
    created = out(
        own, "docker network create habit; docker network inspect -f '{{.Id}}' habit; docker network rm habit"
    )
    one, two, _ = created.splitlines()
    assert one == two
    assert len(one) == 64


def test_detached_and_unwanted_terminals(own: Lab, container: str) -> None:
    assert out(own, f"docker exec -d {container} true") == ""
    for line in (f"exec -it {container} true", "run --rm -it busybox true"):
        done = own.pod.sh(f"docker {line}", check=False, shell="sh -e")
        assert (done.returncode, done.stderr) == (1, "the input device is not a TTY\n")
    out(own, "docker run -d --name deaf busybox sh -c 'trap : TERM; while :; do sleep 1; done'")
    done = own.pod.sh("docker stop -t 1 deaf; docker rm deaf", shell="sh -e", merge=True)
    assert done.stdout == "deaf\ndeaf\n"
