"""``make demo``: an existing docker pipeline builds, is served from cache and pushes, inside our agent container.

The job's script is what a Jenkins ``sh`` step would run, unchanged from a world with Docker. It ends with a table, and
with an exit code other than zero at the first thing that is not as it should be.
"""

from __future__ import annotations

import secrets
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

import host
import outer
import runs

if TYPE_CHECKING:
    from pathlib import Path

JOB = r"""
printf 'FROM busybox\nRUN echo "hello world"\n' | docker build -t $REGISTRY/team/myimage:latest -
docker images | grep team/myimage
echo "$PASSWORD" | docker login -u "$USER" --password-stdin $REGISTRY
docker push $REGISTRY/team/myimage:latest
"""
USER = "demo"


class Row(NamedTuple):
    """One line of the table."""

    step: str
    seconds: float
    cached: str


class DemoError(Exception):
    """What was not so."""


def check(condition: object, what: str, output: str = "") -> None:
    """Stop the demo unless `condition` holds."""
    if not condition:
        raise DemoError(f"{what}\n{output}" if output else what)


def job(step: str, pod: outer.Pod, registry: outer.Registry, *, cached: bool) -> Row:
    """Run the job in a new pod and check that it did what the pipeline wants of it."""
    print(f"== {step}", flush=True)
    start = time.monotonic()
    with pod:
        env = {"REGISTRY": registry.address, "USER": USER, "PASSWORD": registry.password}
        done = pod.sh(JOB, env=env, check=False, merge=True)
        seconds = time.monotonic() - start
        output = done.stdout.replace(registry.password, "****")
        print(output, end="", flush=True)
        check(done.returncode == 0, f"the job failed with {done.returncode}")
        from_cache = "Using cache" in output
        check("hello world" in done.stdout, "the build did not run its step", output)
        check(from_cache == cached, f"expected {'a cached' if cached else 'an uncached'} build", output)
        check("Login Succeeded" in output, "the login was not reported", output)
        return Row(step, seconds, "cached" if from_cache else "built")


def pull_and_run(volume: Path, registry: outer.Registry, env: dict[str, str]) -> Row:
    """Pull the pushed image into an empty store, run it, and compare the three digests."""
    step = "pull into an empty store, run"
    print(f"== {step}", flush=True)
    name = f"{registry.address}/team/myimage:latest"
    login = f'echo "$PASSWORD" | docker login -u {USER} --password-stdin {registry.address}\n'
    start = time.monotonic()
    with outer.Pod(outer.ROOT / "jenkins/pods/privileged-hostpath.yaml", host_path=volume, env=env) as pod:
        secret = {"PASSWORD": registry.password}
        empty = pod.sh("docker images -q").stdout
        check(not empty.strip(), "the store is not empty", empty)
        pod.sh(login + f"docker pull {name}", env=secret)
        said = pod.sh(f"docker run --rm {name} echo it runs").stdout
        check(said == "it runs\n", "the image does not run", said)
        seconds = time.monotonic() - start
        pulled = pod.sh(f"docker image inspect --format '{{{{.Digest}}}}' {name}").stdout.strip()
        pod.sh(f"docker push --digestfile /tmp/digest {name}")
        pushed = pod.sh("cat /tmp/digest").stdout.strip()
    served = registry.digest("team/myimage", "latest")
    print(f"digests: registry {served}, pull {pulled}, push {pushed}")
    check(served and served == pulled == pushed, "the digests differ")
    return Row(step, seconds, "-")


def demo() -> list[Row]:
    """Run all of it; gives the table's rows."""
    host.ensure("podman", "docker-registry", "htpasswd", "busybox")
    start = time.monotonic()
    outer.ensure_image()
    rows = [Row("make image", time.monotonic() - start, "-")]
    pods = outer.ROOT / "jenkins/pods"
    with outer.scratch("demo") as work:
        login = outer.Registry(work / "registry", USER, secrets.token_urlsafe(12))
        with outer.Registry(work / "mirror") as mirror, login as registry:
            outer.push_busybox(mirror)
            env = {"PODMAN_AGENT_MIRRORS": f"docker.io={mirror.address}"}
            template = pods / "privileged-hostpath.yaml"
            for step, cached in (("hostPath, first pod", False), ("hostPath, a new pod", True)):
                pod = outer.Pod(template, host_path=work / "volume", env=env)
                rows.append(job(step, pod, registry, cached=cached))
            with outer.volume(f"{outer.NAME}-demo-{secrets.token_hex(4)}") as claim:
                template = pods / "privileged-pvc.yaml"
                for step, cached in (("PVC, first pod", False), ("PVC, a new pod", True)):
                    rows.append(job(step, outer.Pod(template, claim=claim, env=env), registry, cached=cached))
            rows.append(pull_and_run(work / "empty", registry, env))
    return rows


def main() -> int:
    """Print the table; 1 when something was not so, 130 when interrupted."""
    try:
        with runs.signals_as_exceptions():
            rows = demo()
    except (DemoError, outer.OuterError, host.HostError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as interrupt:
        print(f"demo: interrupted {interrupt}", file=sys.stderr)
        return 130
    finally:
        outer.unmount_home()
    width = max(len(row.step) for row in rows)
    print(f"\n{'step':<{width}}  seconds  cached\n{'-' * width}  -------  ------")
    for row in rows:
        print(f"{row.step:<{width}}  {row.seconds:7.1f}  {row.cached}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
