"""The split of a Dockerfile, against BuildKit's own parser tests.

Expectations: ``frontend/dockerfile/parser`` of moby/buildkit 73ed682: parser_test.go, parser_heredoc_test.go,
directives_test.go and the testfiles named below.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podman_agent.build.dockerfile import UnsureError, parse


def split(text: str) -> list[tuple[str, list[str], str]]:
    """Keyword, flags and rest of each instruction."""
    return [(one.keyword, [flag.text for flag in one.flags], one.rest) for one in parse(text.encode()).instructions]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from a AS B\nrun  x y ", [("from", [], "a AS B"), ("run", [], "x y")]),
        ("RUN a \\\n  b\n", [("run", [], "a   b")]),
        ("RUN a \\\n# c\n   # d\n\n b", [("run", [], "a  b")]),  # testfiles/continueIndent, escape-after-comment
        ("# c\n\n  RUN a", [("run", [], "a")]),
        ("RUN a \\", [("run", [], "a")]),  # testfiles/continue-at-eof
        ("RUN a \\ \t\nb", [("run", [], "a b")]),
        ("RUN a \\\\\nRUN b", [("run", [], "a \\\\"), ("run", [], "b")]),  # directives: a doubled escape goes on not
        ("RUN a\r\nRUN b\\\r\nc", [("run", [], "a"), ("run", [], "bc")]),
        ("# escape=`\nRUN a `\nb \\\nRUN c", [("run", [], "a b \\"), ("run", [], "c")]),
        ("# syntax=x\n# escape = ` \nRUN a `\nb", [("run", [], "a b")]),  # testfiles/escape-with-syntax
        ("# c\n# escape=`\nRUN a `\nRUN b", [("run", [], "a `"), ("run", [], "b")]),
        ("# Escape=`\nRUN a `\nb", [("run", [], "a b")]),
        ("# syntax=x\nRUN a", [("run", [], "a")]),
        ("\ufeffFROM a", [("from", [], "a")]),
        ('RUN --a=1 --b="x y" c', [("run", ["--a=1", "--b=x y"], "c")]),  # testfiles/flags
        ("RUN --a=x\\ y c", [("run", ["--a=x y"], "c")]),
        ("COPY --link \\\n --chown=1 a b", [("copy", ["--link", "--chown=1"], "a b")]),
        ("RUN -- --a", [("run", [], "--a")]),
        ("RUN <<E\nFROM x\nE\nRUN b", [("run", [], "<<E"), ("run", [], "b")]),
        ("RUN <<-E\n\tx\n\tE\nRUN b", [("run", [], "<<-E"), ("run", [], "b")]),
        ("COPY <<A <<'B' /x\n1\nA\n2\nB\nRUN b", [("copy", [], "<<A <<'B' /x"), ("run", [], "b")]),
        ('RUN ["<<E"]\nRUN b', [("run", [], '["<<E"]'), ("run", [], "b")]),
        ("ONBUILD RUN <<E\nx\nE\nRUN b", [("onbuild", [], "RUN <<E"), ("run", [], "b")]),
        ("CMD <<E\nRUN b", [("cmd", [], "<<E"), ("run", [], "b")]),
        ("RUN a <<< b\nRUN c", [("run", [], "a <<< b"), ("run", [], "c")]),
        ('RUN echo "<<E"\nRUN c', [("run", [], 'echo "<<E"'), ("run", [], "c")]),
    ],
)
def test_instructions(text: str, expected: list[tuple[str, list[str], str]]) -> None:
    assert split(text) == expected


@pytest.mark.parametrize(
    "text", ["", "# only\n", "# escape=x\nRUN a", "RUN <<E\nx", "# escape=`\n# escape=`\nRUN a", "RUN <<'\nx\n"]
)
def test_what_is_refused_or_not_proven(text: str) -> None:
    with pytest.raises(UnsureError):
        parse(text.encode())


def test_a_heredoc_has_its_body() -> None:
    file = parse(b"RUN <<E\nx\ny\nE\n")
    (heredoc,) = file.instructions[0].heredocs
    assert file.source[slice(*heredoc.body)] == "x\ny\n"


LINES = st.sampled_from(
    ["FROM a", "RUN --mount=type=cache,target=/x \\", "  echo ä", "# note", "", "\t", "RUN <<E", "E", "# escape=`",
     "x `", "COPY --link \\", "--chown=1 a b", "\\", "RUN a \\ \r", "FROM B as C", 'COPY --from=c ["a", "b"]']
)  # fmt: skip


@given(st.lists(LINES, max_size=12).map("\n".join))
def test_every_part_is_where_it_says(text: str) -> None:
    """A flag's place in the source holds the flag, but for lines between."""
    try:
        file = parse(text.encode())
    except UnsureError:
        return
    for one in file.instructions:
        for at, char in enumerate(one.text):
            assert file.source[one.place(at)] == char
        assert file.source.split("\n")[one.line - 1].strip().lower().startswith((one.keyword, "\\", "`"))
