"""What docker looks at before it attaches."""

from __future__ import annotations

import pytest
from podman_agent.docker import attached
from podman_agent.docker.options import parse
from podman_agent.docker.run import SPEC


@pytest.mark.parametrize(
    ("line", "refused"),
    [("-it i", True), ("-t i", False), ("-i i", False), ("-dit i", False), ("-t -a STDIN i", True), ("i -it", False)],
)
def test_stdin_that_is_no_terminal_is_refused_where_it_is_attached_as_one(
    line: str, *, refused: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.isatty", lambda _: False)
    assert attached.refused(parse(line.split(), SPEC)) is refused
    assert capsys.readouterr().err == ("the input device is not a TTY\n" if refused else "")
    monkeypatch.setattr("os.isatty", lambda _: True)
    assert attached.refused(parse(line.split(), SPEC)) is False
