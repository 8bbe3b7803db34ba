"""Pods with `seccompProfile: RuntimeDefault`, under a real containerd with its own default seccomp profile."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from podman_agent.plan.users import CHROOT_CAPABILITIES
from pods.containerd import Containerd
from pods.shapes import DEFAULT, SECCOMP, SHAPES
from pods.test_shapes import DOCKERFILE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from subprocess import CompletedProcess

    import outer

pytestmark = pytest.mark.nested

PROJECT = """FROM busybox AS one
RUN mkdir -p /srv/app && echo made >/srv/app/made && chown -R 33:8 /srv && chmod 4755 /srv/app/made
FROM busybox
COPY --from=one /srv /srv
USER 33
WORKDIR /srv/app
RUN test -u made && test "$(stat -c %u:%g made)" = 33:8 && test "$(id -u)" = 33 && echo mine >mine
"""
ABORT = """rm -f /tmp/out
printf 'FROM busybox\\nRUN sleep 4711 & echo started; sleep 4712\\n' >/tmp/abort
docker build -f /tmp/abort /tmp/e >/tmp/out 2>&1 &
build=$!
until grep -qs ^started /tmp/out && test $(pgrep -fxc 'sleep 471[12]') = 2; do sleep 0.1; done
pgrep -fx 'sleep 471[12]' | wc -l
kill -s {signal} $build; wait $build; echo "code $?"
pgrep -fx 'sleep 471[12]' | wc -l
ls /run/podman-agent/nonamespace | wc -l"""


@pytest.fixture(scope="module")
def containerd(disk: Path, agent_image: str) -> Iterator[Containerd]:
    with Containerd(disk / "containerd", agent_image) as running:
        yield running


@pytest.fixture(scope="module")
def inside(
    containerd: Containerd, disk: Path, mirror: outer.Registry
) -> Iterator[Callable[..., CompletedProcess[str]]]:
    """Run a script in a pod with containerd's default profile and capabilities, and a volume.

    With allowPrivilegeEscalation: false, which is ctr's default and the stricter one.
    """
    (disk / "runtime-default").mkdir()
    env = [f"PODMAN_AGENT_MIRRORS=docker.io={mirror.address}"]
    with containerd.pod(volume=disk / "runtime-default", env=env) as name:
        containerd.sh(name, "mkdir -p /tmp/e").check_returncode()
        yield lambda script, **more: containerd.sh(name, script, **more)


def _choices(plan: str) -> tuple[str, ...]:
    keys = ("storage_driver", "isolation", "runtime", "cgroups", "id_mode")
    return tuple(json.loads(plan)[key] for key in keys)


def test_the_fixture_refuses_what_containerd_refuses(containerd: Containerd, disk: Path) -> None:
    """The fixture is a dump of containerd 1.6.20's profile; later ones refuse more."""
    (disk / "profile").mkdir()
    with containerd.pod(volume=disk / "profile") as name:
        real = containerd.spec(name)["linux"]["seccomp"]
    fixture = json.loads((SECCOMP / "containerd-default.json").read_text())

    def allowed(profile: dict[str, list[dict[str, list[str]]]]) -> set[str]:
        return {n for r in profile["syscalls"] for n in r["names"] if not r.get("args") and not r.get("errnoRet")}

    # all that podman asks for and does not get, and what answering for the kernel takes
    asked = {"mount", "umount2", "unshare", "setns", "pivot_root", "clone", "clone3", "ptrace", "chroot", "mknod"}
    assert real["defaultAction"] == fixture["defaultAction"] == "SCMP_ACT_ERRNO"
    assert asked & allowed(real) == asked & allowed(fixture) == {"ptrace", "chroot", "mknod"}
    assert allowed(real) <= allowed(fixture)


def test_the_plan_is_the_one_of_the_shape(inside: Callable[..., CompletedProcess[str]]) -> None:
    """The plan expected where podman starts the pod with the dumped profile."""
    assert _choices(inside("podman-agent plan --json").stdout) == SHAPES["runtime-default"].expect


def test_with_privilege_escalation_allowed(containerd: Containerd, disk: Path, mirror: outer.Registry) -> None:
    """The field left undefined: the same plan, and a build."""
    (disk / "escalation").mkdir()
    env = [f"PODMAN_AGENT_MIRRORS=docker.io={mirror.address}"]
    with containerd.pod("--allow-new-privs", volume=disk / "escalation", env=env) as name:
        plan = containerd.sh(name, "podman-agent plan --json").stdout
        build = containerd.sh(name, f"mkdir /tmp/e && printf '{DOCKERFILE}' | docker build -q -f - /tmp/e")
    assert _choices(plan) == SHAPES["runtime-default"].expect
    assert build.returncode == 0, build.stderr


def test_the_least_capabilities_build_and_end_an_aborted_build(
    containerd: Containerd, disk: Path, mirror: outer.Registry
) -> None:
    """What the plan asks for is enough: other owners, setuid, steps of another user, and these killed."""
    (disk / "least").mkdir()
    env = [f"PODMAN_AGENT_MIRRORS=docker.io={mirror.address}"]
    dropped = [f"--cap-drop=CAP_{name}" for name in sorted(set(DEFAULT) - set(CHROOT_CAPABILITIES))]
    with containerd.pod(*dropped, volume=disk / "least", env=env) as name:
        plan = containerd.sh(name, "mkdir /tmp/e; podman-agent plan --json").stdout
        build = containerd.sh(name, f"printf '%s' '{PROJECT}' | docker build -q -f - /tmp/e")
        # another user's shell has no /dev/null for what it puts in the background
        step = "USER 33\\nRUN echo started; sleep 4711 | sleep 4712"
        again = containerd.sh(
            name, ABORT.format(signal="TERM").replace("RUN sleep 4711 & echo started; sleep 4712", step)
        )
    assert _choices(plan) == SHAPES["runtime-default"].expect
    assert build.returncode == 0, build.stderr
    before, _, after, records = again.stdout.split("\n")[:4]
    assert (before, after, records) == ("2", "0", "0"), again.stdout


def test_a_project_builds_and_is_pushed(inside: Callable[..., CompletedProcess[str]], mirror: outer.Registry) -> None:
    """Two stages with RUN, owners and setuid bits kept; another build uses the first one's layers."""
    image = f"{mirror.address}/runtime-default/project:1"
    build = inside(f"printf '%s' '{PROJECT}' | docker build -t {image} -f - /tmp/e")
    assert build.returncode == 0, build.stderr
    again = inside(f"printf '%s' '{PROJECT}' | docker build -t {image} -f - /tmp/e")
    assert again.stdout.count("Using cache") >= 3, again.stdout
    push = inside(f"docker push -q {image}")
    assert push.returncode == 0, push.stderr
    assert mirror.digest("runtime-default/project", "1").startswith("sha256:")


def test_running_a_container_is_refused_in_one_line(inside: Callable[..., CompletedProcess[str]]) -> None:
    """With the pod field to change."""
    run = inside("docker run --rm busybox true")
    assert run.returncode == 77
    assert run.stderr.count("\n") == 1
    assert "seccompProfile" in run.stderr


def test_another_user_is_refused_in_one_line(inside: Callable[..., CompletedProcess[str]]) -> None:
    """`runAsUser: 1000` may not chroot."""
    build = inside("docker build -f - /tmp/e", user="1000:1000")
    assert build.returncode == 77
    assert build.stderr.count("\n") == 1
    assert "uid 1000 may not chroot" in build.stderr


@pytest.mark.parametrize(("step", "code"), [("exit 37", 37), ("no-such-command", 127), ("false || true", 0)])
def test_a_steps_exit_code_is_the_builds(inside: Callable[..., CompletedProcess[str]], step: str, code: int) -> None:
    """As in a pod with namespaces."""
    assert inside(f"printf 'FROM busybox\\nRUN {step}\\n' | docker build -f - /tmp/e").returncode == code


def test_a_step_reads_nothing_and_has_no_terminal(inside: Callable[..., CompletedProcess[str]]) -> None:
    """Its standard input is at its end, its outputs are the build's."""
    step = "cat && echo eof && ! test -t 0 && echo heard >&2"
    build = inside(f"printf 'FROM busybox\\nRUN {step}\\n' | docker build --no-cache -f - /tmp/e")
    assert build.returncode == 0, build.stderr
    assert "eof" in build.stdout.splitlines()
    assert "heard" in build.stderr.splitlines()


@pytest.mark.parametrize("signal", ["TERM", "HUP"])
def test_a_signal_ends_the_steps_processes_too(inside: Callable[..., CompletedProcess[str]], signal: str) -> None:
    """And leaves no record of the step. bash starts what it puts in the background with SIGINT ignored."""
    done = inside(ABORT.format(signal=signal))
    before, code, after, records = done.stdout.split("\n")[:4]
    assert before == "2"
    assert code != "code 0"
    assert (after, records) == ("0", "0"), done.stdout
