"""``docker run``'s flags become podman's."""

from __future__ import annotations

import pytest
from podman_agent.docker import run


def translated(*args: str, verb: str = "run", made: list[str] | None = None, **env: str) -> list[str]:
    return run.translate(
        list(args), verb, env, lambda name: ("10.0.0.2", f"{name}-name"), (made if made is not None else []).append
    )


@pytest.mark.parametrize(
    ("args", "wanted"),
    [
        (["-p", "80:80", "img"], ["--publish=80:80", "--network=bridge", "img"]),
        (["-P", "--net", "n", "img"], ["--publish-all", "--net=n", "img"]),
        (["-h", "web", "img"], ["--hostname=web", "--uts=private", "img"]),
        (["--hostname=web", "--domainname=x.org", "img"], ["--hostname=web.x.org", "--uts=private", "img"]),
        (["--shm-size", "1g", "img"], ["--shm-size=1g", "--ipc=private", "img"]),
        (["--shm-size", "1g", "--ipc=host", "img"], ["--shm-size=1g", "--ipc=host", "img"]),
        (["--sysctl", "net.core.x=1", "img"], ["--sysctl=net.core.x=1", "--network=bridge", "img"]),
        (["--link", "db:alias", "img"], ["--add-host=alias:10.0.0.2", "--add-host=db-name:10.0.0.2", "img"]),
        (["--volume-driver", "local", "--isolation=default", "img"], ["img"]),
        (["--mount", "source=v,target=/d,volume-nocopy", "img"], ["--mount=type=volume,source=v,target=/d", "img"]),
        (["--log-driver=awslogs", "--log-opt", "awslogs-group=x", "img"], ["img"]),
        (["--log-driver=none", "--log-opt=max-size=1m", "i"], ["--log-driver=none", "--log-opt=max-size=1m", "i"]),
        (["-it", "img", "sh", "-c", "-p"], ["--interactive", "--tty", "img", "sh", "-c", "-p"]),
        (["img", "--", "-p", ""], ["img", "--", "-p", ""]),
    ],
)  # fmt: skip
def test_run_flags_become_podmans(args: list[str], wanted: list[str]) -> None:
    assert translated(*args) == wanted


def test_missing_sources_of_bind_mounts_are_made_and_volumes_left_alone() -> None:
    made: list[str] = []
    translated("-v", "/a/b:/b:rw", "-v", "named:/c", "-v", "/anonymous", "img", made=made)
    assert made == ["/a/b"]
