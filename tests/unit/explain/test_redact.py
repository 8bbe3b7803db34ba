"""No shape of credential survives."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from podman_agent.errors import ConfigError
from podman_agent.explain.redact import Redactor
from podman_agent.pod import variables

# what a URL in a message may have in it: it ends at a blank, a quote or a bracket
ANYTHING = st.text(st.characters(exclude_categories=("Cs", "Cc", "Z"), exclude_characters="\"'<>"), min_size=1)
NAME = ANYTHING.filter(lambda text: not set(text) & set("@:/"))


@pytest.mark.parametrize(
    "text",
    [
        "Get https://user:hunter2secret@r.example/v2/: EOF",
        "http://u:hunter2secret@ss@host/v2/",
        "http://u:p/hunter2secret@host:5000/v2/ and more",
        "http://hunter2secret@host/x@sha256:" + "0" * 64,
        'Get "https://hunter2secret@r.example/v2/": EOF',
        '{"mirrors": [["docker.io", "https://u:hunter2secret@m.example/@x"]]}',
        "Authorization: Basic aHVudGVyMnNlY3JldA==",
        "authorization: Bearer hunter2secret.x.y",
        "https://r/v2/?token=hunter2secret&x=1",
    ],
)
def test_every_usual_shape_is_masked(text: str) -> None:
    """Where nobody has told the redactor the value."""
    masked = Redactor()(text)
    assert "hunter2secret" not in masked
    assert "aHVudGVyMnNlY3JldA" not in masked
    assert "****" in masked


@pytest.mark.parametrize("text", ["login failed for hunter2secret", "-----KEY-----\nhunter2secret\n"])
def test_a_value_that_is_known_is_masked_line_by_line(text: str) -> None:
    """Whatever stands around it."""
    assert "hunter2secret" not in Redactor(["first line\nhunter2secret"])(text)


@given(user=NAME, password=ANYTHING)
@example(user="u", password="p@ss")
@example(user="u", password="p/w")
@example(user="u", password="80/@x")
@example(user="u", password="://@")
def test_no_login_in_a_url_survives(user: str, password: str) -> None:
    """Whatever characters it is made of."""
    url = f"https://{user}:{password}@r.example/team/x:1"
    said = Redactor()(f'Get "{url}": EOF, <{url}>')
    assert said == 'Get "https://****@r.example/team/x:1": EOF, <https://****@r.example/team/x:1>'


@given(token=NAME)
def test_no_token_in_a_url_survives(token: str) -> None:
    """A login without a password."""
    assert Redactor()(f"git+https://{token}@r.example/x") == "git+https://****@r.example/x"


@given(st.lists(ANYTHING.filter(lambda value: len(value.strip()) >= 4)), st.text())
def test_no_known_value_survives(values: list[str], text: str) -> None:
    """One may be a part of another."""
    masked = Redactor(values)(text + " ".join(values) + text)
    assert not [value for value in values if value in masked.replace("****", "") and "*" not in value]


@pytest.mark.parametrize(
    "text",
    [
        "STEP 1/2: FROM r.example/basic image@sha256:0123",
        "docker://r.example:5000/team/x:1@sha256:" + "0" * 64,
        "GET https://registry.npmjs.example/@scope/pkg 200",
        "https://proxy.example/github.com/x/y/@v/v1.0.info",
        "mail someone@example.com",
    ],
)
def test_ordinary_text_and_short_values_stay(text: str) -> None:
    """What a build prints is still readable."""
    assert Redactor(["", "a", "FRO"])(text) == text


@pytest.mark.parametrize("value", ["docker.io=u:s3cret@m.example", "docker.io=https://u:s,3cret@m.example/x"])
def test_a_mirror_with_a_login_is_refused_and_not_quoted(value: str) -> None:
    """Podman takes none there, and `plan --json` would show it."""
    with pytest.raises(ConfigError, match="MIRRORS has a login in it") as caught:
        variables.MIRRORS.parse(variables.MIRRORS.full_name, value)
    assert "3cret" not in str(caught.value)
