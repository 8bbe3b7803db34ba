"""`docker build --ssh`: the agent's socket reaches the step, and the key does not reach the image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from docker_cli.conftest import Lab

SCRIPT = """mkdir /tmp/ssh; cd /tmp/ssh
eval "$(ssh-agent)" >/dev/null
trap 'kill $SSH_AGENT_PID' EXIT
ssh-keygen -q -t ed25519 -N '' -C the-key-of-the-test -f key
ssh-add -q key
printf 'FROM busybox\\nRUN --mount=type=ssh test -S "$SSH_AUTH_SOCK" && echo socket > /found\\n' > Dockerfile
docker {verb} --ssh default -t sshed .
docker run --rm sshed cat /found
"""


@pytest.mark.nested
@pytest.mark.parametrize("verb", ["build", "buildx build"])
def test_a_step_reaches_the_ssh_agent(lab: Callable[..., Lab], verb: str) -> None:
    """As docs.docker.com/build/building/secrets/#ssh-mounts has it."""
    made = lab()
    done = made.pod.sh("rm -rf /tmp/ssh; " + SCRIPT.format(verb=verb), shell="sh -e")
    assert done.stdout.endswith("socket\n")
