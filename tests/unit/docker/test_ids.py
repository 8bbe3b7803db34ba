"""The agent's own user in a container."""

from __future__ import annotations

import pytest
from podman_agent.docker import run


@pytest.mark.parametrize(
    ("line", "uid", "env", "kept"),
    [
        ("-u 1000:1000 i", 1000, {}, True),
        ("-tdu 1000 i", 1000, {}, True),
        ("--user=1000 i", 1000, {}, True),
        ("-u 1000 i", 0, {}, False),
        ("-u 0 i", 1000, {}, False),
        ("-u 10001 i", 1000, {}, False),
        ("i", 1000, {}, False),
        ("-u 1000 --userns=host i", 1000, {}, False),
        ("-u 1000 i", 1000, {"PODMAN_USERNS": "host"}, False),
    ],
)
def test_the_agents_own_user_keeps_its_id_in_a_rootless_pod(
    line: str, uid: int, env: dict[str, str], *, kept: bool
) -> None:
    """The workspace is mounted, and must be writable."""
    argv = run.translate(line.split(), "run", env, lambda _: ("", ""), lambda _: None, uid=uid)
    assert ("--userns=keep-id" in " ".join(argv) or "--userns keep-id" in " ".join(argv)) == kept


def test_an_agent_without_a_name_is_its_containers_root() -> None:
    """The arbitrary uid of OpenShift: podman asks for a passwd entry to keep an id."""
    args = ["-u", "1000:0", "-t", "i"]
    argv = run.translate(args, "run", {}, lambda _: ("", ""), lambda _: None, uid=1000, named=False)
    assert argv[-1] == "i"
    assert not {"-u", "--user", "1000:0"} & set(argv)
