"""No shape of credential survives."""

import pytest
from podman_agent.engine.redact import Redactor


@pytest.mark.parametrize(
    "text",
    [
        "Get https://user:hunter2secret@r.example/v2/: EOF",
        "Authorization: Basic aHVudGVyMnNlY3JldA==",
        "authorization: Bearer hunter2secret.x.y",
        "https://r/v2/?token=hunter2secret&x=1",
        "login failed for hunter2secret",
        "-----KEY-----\nhunter2secret\n",
    ],
)
def test_secrets_are_masked(text):
    masked = Redactor(["first line\nhunter2secret"])(text)
    assert "hunter2secret" not in masked
    assert "aHVudGVyMnNlY3JldA" not in masked
    assert "****" in masked


def test_ordinary_text_and_short_values_stay():
    text = "STEP 1/2: FROM r.example/basic image@sha256:0123"
    assert Redactor(["", "a", "FRO"])(text) == text
