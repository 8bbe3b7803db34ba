"""Command lines as pflag reads them."""

from __future__ import annotations

from podman_agent.docker.options import Option, Spec, letters, parse, words


def test_pflags_forms_are_read() -> None:
    spec = Spec(words("tag file"), words("quiet"), letters("t=tag f=file q=quiet"))
    parsed = parse(["-qtname", "--file", "F", "-f=G", ".", "--quiet=false", "--new", "--other=1"], spec)
    assert parsed.operands == ["."]
    assert parsed.options == [
        Option("quiet", None), Option("tag", "name"), Option("file", "F"), Option("file", "G"),
        Option("quiet", "false"), Option("new", None), Option("other", "1"),
    ]  # fmt: skip
