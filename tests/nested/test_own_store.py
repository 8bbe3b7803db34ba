"""What builds and prunes of one pod do to each other in its store, and what callers with closed streams get."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    import outer

pytestmark = pytest.mark.nested

BESIDE = r"""
docker pull -q busybox
for i in 1 2 3 4; do mkdir -p /tmp/b/$i
  { echo FROM busybox; for s in 1 2 3 4; do echo "RUN echo $i $s >/f$s"; done; } >/tmp/b/$i/Dockerfile; done
for i in 1 2 3 4; do
  (docker build --no-cache -q -t b$i /tmp/b/$i || echo "build $i failed") & pids="$pids $!"
done
for round in 1 2 3 4; do docker image prune -f; docker builder prune -af; done >/dev/null
wait $pids
"""


def test_no_prune_takes_a_layer_from_under_a_build(pod: Callable[..., outer.Pod]) -> None:
    """5 of 35 builds failed with `layer not known` beside prunes."""
    with pod() as agent:
        done = agent.sh(BESIDE, shell="bash -e", merge=True).stdout
        assert "failed" not in done, done
        assert "layer not known" not in done


KILLED = """mkdir -p /tmp/gate; mkfifo /tmp/gate/fifo; docker pull -q busybox
printf 'FROM busybox\nRUN echo at work >/gate/fifo; sleep 543\n' >/tmp/gate/Dockerfile
docker build -v /tmp/gate:/gate /tmp/gate >/tmp/log 2>&1 & read at </tmp/gate/fifo
kill -9 $! $(pidof podman buildah crun conmon runc) || :
while pidof podman >/dev/null; do sleep 0.1; done
count() { podman ps --all --external --quiet | wc -l; }
count; docker {verb} prune --force >/dev/null; count
"""


@pytest.mark.parametrize("verb", ["system", "builder"])
def test_a_prune_finds_what_killed_builds_left(pod: Callable[..., outer.Pod], verb: str) -> None:
    with pod() as agent:
        said = agent.sh(KILLED.replace("{verb}", verb), shell="bash -e").stdout
        assert said.split()[-2:] == ["1", "0"]


CLOSED = r"""
docker create --name c busybox true >/dev/null
while read verb; do
  for closed in '<&-' '>&-' '2>&-' '<&- >&- 2>&-' '>/dev/full'; do
    eval "$verb $closed" </dev/null 2>&1 | grep -a Traceback && echo "$verb $closed" || :
  done
done <<EOF
podman-agent doctor
docker images
docker ps -a
docker version
docker info
docker inspect c
docker history busybox
docker system df
docker stats --no-stream
docker top c
docker volume ls
docker network ls
docker buildx ls
docker buildx du
docker context ls
docker manifest inspect busybox
docker rm nobody
docker build -q /nowhere
docker bake --print
docker compose version
docker login --help
EOF
"""


def test_no_verb_ends_in_a_traceback_where_a_stream_is_closed(pod: Callable[..., outer.Pod]) -> None:
    """`docker images >&-` did."""
    with pod() as agent:
        agent.sh("docker pull -q busybox")
        assert agent.sh(CLOSED, shell="bash -e", merge=True).stdout == ""
