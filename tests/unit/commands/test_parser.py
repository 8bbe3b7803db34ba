"""Help reads as docker's does."""

from __future__ import annotations

import pytest
from podman_agent import cli


def helped(capsys: pytest.CaptureFixture[str], *argv: str) -> list[str]:
    with pytest.raises(SystemExit) as ended:
        cli.main([*argv, "--help"])
    assert ended.value.code == 0
    return capsys.readouterr().out.splitlines()


def test_commands_stand_in_groups_one_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    lines = helped(capsys)
    assert lines[0] == "Usage:  podman-agent COMMAND [OPTIONS]"
    assert [line[:-1] for line in lines if line.endswith(":")] == list(cli.GROUPS)
    assert [line.split()[0] for line in lines if line.startswith("  ")] == list(cli.COMMANDS)
    assert max(map(len, lines)) <= 90
    assert len(lines) <= 36


@pytest.mark.parametrize("command", [*cli.COMMANDS, "cache ls", "cache rm"])
def test_every_command_says_how_it_is_used_and_what_for(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = helped(capsys, *command.split())
    assert lines[0].startswith(f"Usage:  podman-agent {command} ")
    assert lines[0].count("sage:") == 1
    assert lines[0].endswith("[OPTIONS]")
    assert any(line == "Options:" for line in lines)
    assert not any(line.endswith("arguments:") for line in lines)


def test_a_needed_option_is_in_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert helped(capsys, "login")[0] == "Usage:  podman-agent login -u USERNAME HOST[:PORT] [OPTIONS]"
