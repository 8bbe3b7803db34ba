"""Which failed pulls and pushes are worth another attempt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from podman_agent.explain.catalogue import RULES
from podman_agent.explain.verdict import classify

if TYPE_CHECKING:
    from podman_agent.explain.explanation import Explanation

PING = "pinging container registry r.example:500: "
TRANSIENT = {
    PING + 'Get "http://r.example:500/v2/": dial tcp 10.0.0.1:500: connect: connection refused': ("connection refused"),
    "writing blob: Patch: read tcp 10.0.0.1:5->10.0.0.2:500: connection reset by peer": ("connection reset by peer"),
    "received unexpected HTTP status: 503 Service Unavailable": "503 Service Unavailable",
    "received unexpected HTTP status: 500 Internal Server Error": "500 Internal Server Error",
    "uploading layer chunked: StatusCode: 502, <html>": "502",
    "StatusCode: 504": "504",
    "StatusCode: 408, slow": "408",
    "StatusCode: 425, early": "425",
    "toomanyrequests: You have reached your pull rate limit": "429 Too Many Requests",
    "happened during read: unexpected EOF": "unexpected EOF",
    'Get "https://r/v2/": net/http: TLS handshake timeout': "TLS handshake",
    'Put "https://r/v2/x": EOF': "connection lost",
    "dial tcp: lookup r on 10.0.0.10:53: read udp: i/o timeout": "timeout",
    "context deadline exceeded (Client.Timeout exceeded while awaiting headers)": "timeout",
    "digest invalid: provided digest did not match uploaded content": "corrupted on the way",
}
TRANSIENT |= {
    f"reading blob sha256:{'0a' * 32}: fetching blob: blob unknown to registry": "a layer is not there",
    "reading blob sha256:1: fetching blob: received unexpected HTTP status: 404 Not Found": "a layer is not there",
}
NEVER = {
    "unauthorized: authentication required": "unauthorized",
    "checking push permissions: 403 Forbidden": "denied",
    "denied: requested access to the resource is denied": "denied",
    "reading manifest 1 in r.example/team/x: manifest unknown": "not found",
    'parsing reference "r/UP:1": repository name must be lowercase': "name invalid",
    'building at STEP "RUN curl x": while running runtime: exit status 22': ("the build's own command failed"),
    # The user's own command may well print a 503 or a refused connection.
    'building at STEP "RUN echo 503 connection refused; false": exit status 1': ("the build's own command failed"),
    "tls: failed to verify certificate: x509: certificate signed by unknown authority": ("certificate not trusted"),
    "dial tcp: lookup nosuch.invalid on 10.0.0.10:53: no such host": "unknown host",
    "write /var/lib/containers/x: no space left on device": "disk full",
    "blob sha256:4295035004295035000429503500 is strange": None,
}


@pytest.mark.parametrize(("message", "cause"), TRANSIENT.items())
def test_what_passes_by_itself_is_transient(message: str, cause: str) -> None:
    """And is named in a few words."""
    found = classify(message)
    assert (found.transient, found.cause) == (True, cause)


@pytest.mark.parametrize(("message", "cause"), NEVER.items())
def test_what_stays_wrong_is_not_tried_again(message: str, cause: str | None) -> None:
    """Whatever else stands in the message."""
    found = classify(message)
    assert (found.transient, found.cause) == (False, cause or message)


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.again is not None], ids=lambda rule: rule.text)
def test_every_text_of_a_transfer_is_judged_by_its_own_rule(rule: Explanation) -> None:
    """No other rule is before it."""
    found = classify(rule.text)
    assert (found.known, found.transient) == (rule, rule.again)
