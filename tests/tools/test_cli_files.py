"""The manual pages and the completion in the image are those of the command line as it is."""

from __future__ import annotations

import subprocess

import cli_files
import pytest

FILES = cli_files.files()


@pytest.mark.parametrize("name", sorted(FILES))
def test_each_file_is_made_of_the_parsers_of_today(name: str) -> None:
    assert (cli_files.SHARE / name).read_text() == FILES[name], "make cli-files"


def test_no_page_is_left_of_a_command_that_went() -> None:
    there = {str(path.relative_to(cli_files.SHARE)) for path in cli_files.SHARE.rglob("*/*") if path.is_file()}
    assert there == set(FILES)


@pytest.mark.parametrize(("words", "expected"), [("podman-agent do", "doctor"), ("podman-agent cache v", "verify")])
def test_bash_completes_podman_agent(words: str, expected: str) -> None:
    script = """. "$1"; COMP_WORDS=($2); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMP_LINE=$2; COMP_POINT=${#2}
    "$(complete -p podman-agent | sed 's/.*-F \\([^ ]*\\) .*/\\1/')" podman-agent "${COMP_WORDS[COMP_CWORD]}" x
    echo "${COMPREPLY[@]}"
    """
    done = subprocess.run(
        ["bash", "-c", script, "bash", cli_files.SHARE / "bash-completion/podman-agent", words],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.split() == [expected], done.stderr
