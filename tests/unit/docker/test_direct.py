"""What goes to podman at once."""

from __future__ import annotations

import pytest
from podman_agent.docker.direct import is_direct


@pytest.mark.parametrize(
    "line",
    [
        "run --rm busybox true", "run -t -d i cat", "exec -i c sh",
        "container exec c true", "inspect -f . c", "rm c", "exec c ls -a",
        "run -v /tmp:/x busybox true", "logs --tail 1 c",
    ],
)  # fmt: skip
def test_what_podman_does_alike_goes_to_it_at_once(line: str) -> None:
    assert is_direct(line.split(), {})


@pytest.mark.parametrize(
    "line",
    [
        "", "-v", "--context default ps", "build -t a .",
        "image build .", "build --push .", "run -p 1:1 i", "run -itp 1:1 i", "rm -f c",
        "inspect c", "inspect -f {{.Id}} i", "buildx build .", "run -v /var/run/docker.sock:/s i", "images",
        "run -v /no/such/directory:/x i", "ps --format json", "top c", "save a b", "swarm init", "volume prune",
        "-H x ps", "rm -vf c", "ps", "ps -q", "container ls", "cp a c:/", "image rm a", "rmi a", "tag a b", "push a",
        "pull a", "image push a",
        "load", "logs -n 1 c", "stop c", "exec -d c true", "run --rm --cidfile f i", "network create n",
        "inspect -f {{.State.Health.Status}} c", "ps --filter health=healthy",
        "container stats", "system prune", "container rm -f c",
    ],
)  # fmt: skip
def test_what_differs_does_not(line: str) -> None:
    assert not is_direct(line.split(), {})


@pytest.mark.parametrize("env", [{b"DOCKER_HOST": b"tcp://x"}, {b"DOCKER_DEFAULT_PLATFORM": b"linux/arm64"}])
def test_variables_of_docker_are_looked_at(env: dict[bytes, bytes]) -> None:
    assert not is_direct(["run", "i"], env)
    assert is_direct(["run", "i"], {b"DOCKER_HOST": b"unix:///var/run/docker.sock"})


@pytest.mark.parametrize("line", ["run -it i", "exec -ti c sh", "run --tty -i i"])
def test_a_terminal_is_asked_for_where_there_is_none(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Docker refuses that, podman goes on."""
    for terminal in (True, False):
        monkeypatch.setattr("posix.isatty", lambda _, terminal=terminal: terminal)
        assert is_direct(line.split(), {}) is terminal
