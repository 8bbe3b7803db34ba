"""Dockerfiles built for real in one pod: the files of the image are what BuildKit would have made.

Expectations: BuildKit's own tests (frontend/dockerfile at 73ed682), named beside each where there is one, else the
code they test (``instructions/``, ``dockerfile2llb/``).
"""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, NamedTuple

import outer
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.nested


class Case(NamedTuple):
    """One build.

    Attributes:
        lines: The Dockerfile.
        look: What is run in the image.
        prints: What that prints.
        options: Of ``docker build``.
    """

    lines: str
    look: str
    prints: str
    options: str = ""


BUILDER = "FROM busybox AS Builder\nRUN echo hi >/x\nFROM busybox\n"
SECRET = "--secret id=s,src=../secret"
CASES = {
    # stage names: dockerfile_multistage_test.go testMultiStageCaseInsensitive
    "COPY --from, the stage in upper case": Case(BUILDER + "COPY --from=builder /x /y", "cat /y", "hi"),
    "COPY --from in upper case": Case(BUILDER.replace("B", "b") + "COPY --from=BUILDER /x /y", "cat /y", "hi"),
    "FROM a stage in another case": Case("FROM busybox AS Aa\nRUN echo hi >/x\nFROM aa", "cat /x", "hi"),
    "a mount from a stage": Case(
        BUILDER + "RUN --mount=from=builder,source=/x,target=/m cat /m >/y", "cat /y", "hi"
    ),
    "--target in another case": Case(BUILDER + "RUN false", "cat /x", "hi", "--target=BUILDER"),
    "an image of the same name": Case(
        "FROM busybox AS Busybox2\nRUN echo stage >/x\nFROM busybox\nCOPY --from=BusyBox2 /x /y", "cat /y", "stage"
    ),
    # dockerfile_copy_test.go testCopyLinkDotDestDir and the tests of --link beside it
    "COPY --link": Case("FROM busybox\nWORKDIR /w\nCOPY --link a .\nADD --link=true \\\n b c", "cat /w/a /w/c", "a\nb"),
    # dockerfile_copy_test.go testCopyChmod, testChmodNonOctal; dchapes-mode
    "--chmod for all alike": Case(
        "FROM busybox\nCOPY --chmod=u=rwx,go=rx a d /p/", "stat -c %a /p/a /p/k.txt", "755\n755"
    ),
    "--chmod of one file": Case("FROM busybox\nCOPY --chmod=a+x,go-r a /a", "stat -c %a /a", "711"),
    # dockerfile_secrets_test.go testSecretAsEnviron, testSecretAsEnvironWithFileMount, testSecretFileParams
    "a secret as a variable": Case(
        "FROM busybox\nUSER 1000\nRUN --mount=type=secret,id=s,env=T \\\n printf %s \"$T\" | od -An -c >/tmp/o",
        "cat /tmp/o", "   s   e   c  \\n  \\n", SECRET,
    ),
    "a secret as a variable of a heredoc": Case(
        'FROM busybox\nRUN --mount=type=secret,id=s,env=T <<E\nset -u\nprintf %s "$T" | wc -c >/o\nE',
        "cat /o", "5", SECRET,
    ),
    "a secret that is not there": Case(
        "FROM busybox\nRUN --mount=type=secret,id=no,env=T echo ${T-unset} >/o", "cat /o", "unset"
    ),
    "a secret by source": Case(
        "FROM busybox\nRUN --mount=type=secret,source=s,target=/q wc -c </q >/o", "cat /o", "5", SECRET
    ),
    "a secret by its target": Case(
        "FROM busybox\nRUN --mount=type=secret,target=/q/s wc -c </q/s >/o", "cat /o", "5", SECRET
    ),
    # dockerfile_mount_test.go testMountTmpfsSize
    "a tmpfs with a size": Case(
        "FROM busybox\nRUN --mount=type=tmpfs,target=/q,size=4m df -k /q | tail -n1 | awk '{print $2}' >/o",
        "cat /o", "4096",
    ),
    # dockerfile_runsecurity_test.go testRunSecuritySandbox, dockerfile_runnetwork_test.go testRunDefaultNetwork
    "the defaults of a step": Case(
        "FROM busybox\nRUN --security=sandbox --network=default echo hi >/o", "cat /o", "hi"
    ),
    "no network": Case("FROM busybox\nRUN --network=none ls /sys/class/net >/o", "cat /o", "lo"),
    # exclude_patterns_test.go testExcludedFilesOnCopy: patterns are matched below what is copied
    "--exclude below a directory": Case(
        "FROM busybox\nCOPY --exclude=*.txt --exclude=e/*.md d /p/", "find /p | sort", "/p\n/p/e\n/p/e/t.sh"
    ),
    "--exclude of the context": Case("FROM busybox\nCOPY --exclude=*/*.txt d* /p/", "ls /p", "e\nk.txt"),
    # dockerfile_parents_test.go testCopyParents
    "COPY --parents": Case(
        "FROM busybox\nCOPY --parents d/e/s.md ./d/./k.txt /p/",
        "cd /p; find . -type f | sort", "./d/e/s.md\n./k.txt",
    ),
    # parser/testfiles/escape-with-syntax
    "an escape directive behind syntax": Case(
        "# syntax=docker/dockerfile:1\n# escape=`\nFROM busybox\nRUN echo a >/o `\n # note\n && echo b >>/o",
        "cat /o", "a\nb",
    ),
    # dockerfile_heredoc_test.go testCopyHeredoc, testRunBasicHeredoc, testHeredocIndent
    "heredocs": Case(
        'FROM busybox\nARG V=v\nRUN <<E\necho r >/r\nE\nCOPY <<-A <<"B" /h/\n\t$V\n\tA\n$V\nB',
        "cat /r /h/A /h/B", "r\nv\n$V",
    ),
    # dockerfile_workdir_test.go testWorkdirUser
    "WORKDIR after USER": Case(
        "FROM busybox\nRUN true\nUSER 1000:1001\nWORKDIR /w/x\nCOPY a .\nWORKDIR /v\nUSER 0\nWORKDIR /u",
        "stat -c %u:%g /w /w/x /w/x/a /v /u", "1000:1001\n1000:1001\n0:0\n1000:1001\n0:0",
    ),
    # dockerfile_add_test.go testDockerfileAddArchive
    "ADD --unpack=false": Case("FROM busybox\nADD --unpack=false t.tar /p/", "ls /p", "t.tar"),
    "continuation with comments": Case("FROM busybox\nRUN echo a >/o \\\n   # c\n\n && echo b >>/o", "cat /o", "a\nb"),
}  # fmt: skip
CONTEXT = """mkdir -p /tmp/df/ctx/d/e; cd /tmp/df/ctx; umask 022; printf 'sec\\n\\n' >../secret
echo a >a; echo b >b; echo k >d/k.txt; echo s >d/e/s.md; echo t >d/e/t.sh; tar cf t.tar a; chmod 755 . d d/e
"""
ONE = """echo {mark}; printf %s {lines} >../Dockerfile
if docker build -q {options} -f ../Dockerfile -t df . >../log 2>&1; then docker run --rm df sh -c {look}
else tail -n5 ../log; fi
"""


@pytest.fixture(scope="module", name="agent")
def _agent(agent_image: str, mirror: outer.Registry, disk: Path) -> Iterator[outer.Pod]:
    assert agent_image
    volume = disk / "dockerfiles"
    volume.mkdir()
    volume.chmod(0o755)
    env = {"PODMAN_AGENT_MIRRORS": f"docker.io={mirror.address}"}
    with outer.Pod(outer.ROOT / "jenkins/pods/privileged-hostpath.yaml", host_path=volume, env=env) as pod:
        pod.sh(CONTEXT)
        yield pod


@pytest.fixture(scope="module", name="printed")
def _printed(agent: outer.Pod) -> dict[str, str]:
    """What each image printed, all built in one go."""
    text = "cd /tmp/df/ctx\n"
    for name, case in CASES.items():
        mark, lines, look = shlex.quote(f"=== {name}"), shlex.quote(case.lines), shlex.quote(case.look)
        text += ONE.format(mark=mark, lines=lines, options=case.options, look=look)
    parts = agent.sh(text, shell="bash -e").stdout.split("=== ")[1:]
    return {name: body.rstrip("\n") for name, _, body in (part.partition("\n") for part in parts)}


@pytest.mark.parametrize("name", CASES)
def test_the_image_is_what_buildkit_would_have_made(printed: dict[str, str], name: str) -> None:
    assert printed[name] == CASES[name].prints


def test_docker_s_own_files_come_first(agent: outer.Pod) -> None:
    """Both through docker; podman keeps its order."""
    script = """mkdir -p /tmp/which; cd /tmp/which; touch a b
printf 'FROM busybox\\nCOPY . /c/\\n' >dockerfile; printf 'FROM scratch\\nCOPY a /\\n' >Containerfile
echo a >.dockerignore; echo b >.containerignore
docker build -q -t w . >/dev/null; docker run --rm w ls /c
printf 'FROM busybox\\nRUN echo upper >/which\\n' >Dockerfile
docker buildx build -q -t w . >/dev/null; docker run --rm w cat /which
mkdir d; touch x.md d/y.md; echo '**.md' >.dockerignore; printf 'FROM busybox\\nCOPY . /c/\\n' >Dockerfile
docker build -q -t w . >/dev/null; docker run --rm w find /c -name '*.md'"""
    assert agent.sh(script, shell="bash -e").stdout == "Containerfile\nb\ndockerfile\nupper\n"


@pytest.mark.parametrize("output", ["-o -", "--output type=tar", "--output type=tar,dest=-"])
def test_only_the_tar_is_on_stdout(agent: outer.Pod, output: str) -> None:
    lines = "FROM scratch\\nCOPY a /\\n"
    script = f"cd /tmp/df/ctx; printf '{lines}' | docker build {output} -f - . 2>../err | tar t; cat ../err"
    out = agent.sh(script, shell="bash -e -o pipefail").stdout
    assert out.startswith("a\nSTEP 1/2")


def test_no_network_is_never_the_pods_where_steps_only_chroot(agent: outer.Pod) -> None:
    lines = "FROM busybox\\nRUN --network=none true\\n"
    script = f"cd /tmp/df/ctx; printf '{lines}' >../N; docker build --isolation=chroot -f ../N ."
    done = agent.sh(script, shell="bash -e", check=False)
    assert (done.returncode, done.stderr.count("\n")) == (125, 1)
    assert "../N:2: RUN --network=none: " in done.stderr


def test_a_bake_file_builds_what_it_prints(agent: outer.Pod) -> None:
    """Twenty targets: each has what `--print` says it has."""
    hcl = """variable "LIST" { default = ["a", "b"] }
target "_base" { args = { FROM = "busybox" } labels = { base = "yes" } }
target "app" {
  matrix = { tgt = LIST, n = [1, 2, 3, 4, 5] }
  name = "app-${tgt}-${n}"
  inherits = ["_base"]
  args = { V = upper("${tgt}${n}") }
  tags = ["app/${tgt}:${n}"]
  dockerfile-inline = "ARG FROM\\nFROM $FROM AS Main\\nARG V\\nRUN echo $V >/v"
  target = "main"
}
target "plus" {
  matrix = { n = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] }
  name = "plus-${n}"
  inherits = ["_base"]
  args = { V = "${n > 5 ? "big" : "small"}-${n * 2}" }
  tags = ["plus:${n}", "plus:again-${n}"]
  dockerfile-inline = "FROM busybox AS X\\nARG V\\nRUN echo $V >/x\\nFROM busybox\\nCOPY --link --from=x /x /v"
}
group "default" { targets = ["app", "plus"] }
"""
    agent.sh("mkdir -p /tmp/bake; cd /tmp/bake; cat >docker-bake.hcl", stdin=hcl)
    shown = json.loads(agent.sh("cd /tmp/bake; docker buildx bake --print", shell="bash -e").stdout)["target"]
    assert len(shown) == 20
    agent.sh("cd /tmp/bake; docker buildx bake >log 2>&1 || { tail -n20 log; exit 1; }", shell="bash -e")
    tags = [(target["tags"][-1], target) for target in shown.values()]
    look = "".join(
        f"docker image inspect -f '{{{{index .Config.Labels \"base\"}}}}' {tag}; docker run --rm {tag} cat /v\n"
        for tag, _ in tags
    )
    lines = agent.sh(look, shell="bash -e").stdout.splitlines()
    assert lines == [line for _, target in tags for line in (target["labels"]["base"], target["args"]["V"])]
