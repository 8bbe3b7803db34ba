"""The columns of ``docker top``."""

from __future__ import annotations

import os

import pytest
from podman_agent.docker import top


@pytest.mark.parametrize(
    ("options", "header"),
    [(["-eo", "pid,comm"], "PID COMMAND"), (["-o", "pid=P,args"], "P"), ([], "USER"), (["-eopid,ppid"], "PID PPID")],
)
def test_top_prints_the_columns_that_ps_options_ask_for(options: list[str], header: str) -> None:
    """On this very process, whose pid namespace is real."""
    text = top.table(top.columns(options), top.processes(os.getpid()))
    lines = text.splitlines()
    assert lines[0].split()[: len(header.split())] == header.split()
    assert any(str(os.getpid()) in line.split() for line in lines[1:])
