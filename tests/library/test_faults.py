"""Every misbehaviour of a registry: the right image arrives, or the exit code and the cause say why not.

The cases are the table in docs/reference/library.md, row by row; `python -m library.test_faults` prints it.
"""

from __future__ import annotations

import itertools
import re
import time
from dataclasses import dataclass, field
from typing import Any

import outer
import pytest
from library.conftest import PASSWORD, USER
from library.faultproxy import BLOB_GET, BLOB_START, BLOB_UPLOAD, MANIFEST_GET, MANIFEST_PUT, Fault
from podman_agent.registry.access import Access
from podman_agent.registry.client import Registry

DOCS = outer.ROOT / "docs/reference/library.md"
FOREVER = 10**6
PING = r"GET /v2/"
number = itertools.count(int(time.time() * 1000))


@dataclass
class Case:
    """One row: what the registry does, and what must come of it."""

    does: str
    faults: tuple[tuple[str, dict[str, Any]], ...]
    attempts: int = 2
    exit_code: int = 0
    cause: str = ""
    verb: str = "push"
    token_uses: int = 0
    env: dict[str, str] = field(default_factory=dict)

    def row(self) -> str:
        times = ("", "at the first attempt", "at the second attempt", "at the third attempt")[self.attempts]
        arrives = f"{self.verb} succeeds {times}"
        if self.exit_code:
            arrives = f"exit {self.exit_code} after {self.attempts} attempt" + "s" * (self.attempts > 1)
        return f"| {self.verb} | {self.does} | {arrives} | {self.cause.replace('|', ' ')} |"


def once(where: str, kind: str, **rest: Any) -> tuple[tuple[str, dict[str, Any]], ...]:
    return ((where, {"kind": kind, **rest}),)


def status(code: int, body: bytes = b"") -> Case:
    does = f"answers {code} to a layer upload, once" + (", in plain text" if body else "")
    return Case(does, once(BLOB_UPLOAD, "status", status=code, body=body), cause=str(code))


RETRY_AFTER = {"Retry-After": "7"}
CASES = [
    status(408, b"408 Request Timeout\n"),
    status(429),
    status(429, b"429 Too Many Requests\n"),
    status(500),
    status(503),
    Case(
        "answers 429 with Retry-After to the manifest, once",
        ((MANIFEST_PUT, {"kind": "status", "status": 429, "headers": RETRY_AFTER}),
         (PING, {"kind": "status", "status": 429, "headers": RETRY_AFTER, "skip": 1})),
        cause="429 Too Many Requests",
    ),
    Case("drops the connection within a layer, once", once(BLOB_UPLOAD, "drop"), cause="connection lost"),
    Case("drops the connection at the manifest, once", once(MANIFEST_PUT, "drop"), cause="connection lost"),
    Case("takes a second to answer", once(BLOB_UPLOAD, "delay", seconds=1), attempts=1),
    Case("does not answer within the attempt's time, once", once(BLOB_UPLOAD, "delay", seconds=6),
         cause="no end after 3 s", env={"PODMAN_AGENT_RETRY_TIMEOUT": "3"}),
    Case("receives a layer with a flipped bit, once", once(BLOB_UPLOAD, "corrupt"), cause="corrupted on the way"),
    Case("stores a manifest with a flipped bit", once(MANIFEST_PUT, "corrupt"), attempts=1, exit_code=76,
         cause="is not what the registry has"),
    Case("gives back a manifest with a flipped bit, once", once(MANIFEST_GET, "corrupt-answer"), attempts=1),
    Case("gives back a manifest with a flipped bit, always",
         once(MANIFEST_GET, "corrupt-answer", times=FOREVER), attempts=1, exit_code=76, cause="is damaged"),
    Case("answers 500 forever", once(".*/blobs/.*", "status", status=500, times=FOREVER), attempts=3,
         exit_code=75, cause="500 Internal Server Error"),
    Case("drops every connection", once(".*", "drop", times=FOREVER), attempts=3, exit_code=75, cause="EOF"),
    Case("refuses the login", once(BLOB_UPLOAD, "status", status=401, times=FOREVER), attempts=2, exit_code=125,
         cause="unauthorized"),
    Case("denies the push", once(BLOB_START, "status", status=403, times=FOREVER), attempts=1, exit_code=125,
         cause="denied"),
    Case("lets the token expire within the push", (), token_uses=6,
         cause="the token expired"),
    Case("answers 503 to a layer, once", once(BLOB_GET, "status", status=503), verb="pull", cause="503"),
    Case("ends the connection within a layer, once", once(BLOB_GET, "truncate"), verb="pull", attempts=1),
    Case("gives a manifest with a flipped bit, once", once(MANIFEST_GET, "corrupt-answer"), verb="pull",
         attempts=1, exit_code=125),
    Case("has no such image", once(MANIFEST_GET, "status", status=404, times=FOREVER,
         body=b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}'),
         verb="pull", attempts=1, exit_code=125, cause="manifest unknown"),
    Case("answers 500 to a layer, twice", once(BLOB_GET, "status", status=500, times=2), verb="docker pull", attempts=3,
         cause="500 Internal Server Error"),
    Case("answers 404 to a layer, once", once(BLOB_GET, "status", status=404, body=b"not here\n"), verb="docker pull",
         cause="a layer is not there"),
    Case("ends the connection within a layer, always at first", once(BLOB_GET, "truncate", times=3),
         verb="docker pull", cause="unexpected EOF"),
    Case("answers 503 to the manifest, twice", once(MANIFEST_GET, "status", status=503, times=2), verb="docker pull",
         attempts=3, cause="503 Service Unavailable"),
    Case("answers 503 to the manifest, once", once(MANIFEST_PUT, "status", status=503), verb="docker push",
         cause="503 Service Unavailable"),
    Case("answers 500 to a layer upload, once, in plain text",
         once(BLOB_UPLOAD, "status", status=500, body=b"500 Internal Server Error\n"), verb="docker push", cause="500"),
]  # fmt: skip


def table() -> str:
    head = "| verb | the registry … | what comes of it | said |\n|---|---|---|---|\n"
    return head + "".join(f"{case.row()}\n" for case in CASES)


def test_the_table_in_the_documentation_is_this_one() -> None:
    assert table() in DOCS.read_text(), "python -m library.test_faults prints the table"


@pytest.mark.nested
@pytest.mark.parametrize("case", CASES, ids=[f"{c.verb}: {c.does}" for c in CASES])
def test_the_right_image_arrives_or_the_cause_is_said(
    agent: Any, upstream: Any, proxy: Any, token_proxy: Any, case: Any
) -> None:
    front = token_proxy if case.token_uses else proxy
    repository = f"faults/x{next(number)}"
    name = f"{front.address}/{repository}:1"
    setup = f"printf 'FROM busybox\\nRUN echo {name} > /x; head -c 100000 /dev/urandom >> /x\\n' > Containerfile\n"
    setup += f"image=sha256:$(podman build -q -t {name} .)\n"
    if case.verb.endswith("pull"):
        setup += f"podman push -q {name} >&2; podman rmi {name} >&2\n"
    login = f'echo "$PASSWORD" | podman-agent login -u {USER} --password-stdin {front.address}\n'
    setup += login if case.token_uses else ""
    image_id = agent.sh(setup + 'echo "$image"', env={"PASSWORD": PASSWORD}).stdout.strip().splitlines()[-1]

    front.reset(*(Fault(where, **rest) for where, rest in case.faults), token_uses=case.token_uses or FOREVER)
    done = agent.sh(
        f"{'' if case.verb.startswith('docker') else 'podman-agent '}{case.verb} {name}", check=False, env=case.env
    )
    unused = [f for f in front.unused() if f.times < FOREVER - 1000 or f.skip]
    expired = front.token_uses < 0
    front.reset()

    assert expired or not case.token_uses
    assert done.returncode == case.exit_code, done.stderr
    assert not unused, "the fault never happened: nothing was shown"
    failures = re.findall(r"attempt (\d) of 3 failed: ([^;]*)", done.stderr)
    assert len(failures) + 1 == case.attempts, done.stderr
    if case.exit_code:
        last = done.stderr.strip().splitlines()[-1]
        assert last.startswith("podman-agent: ")
        assert case.cause in last
        assert done.stdout == ""
        return
    assert all(case.cause in cause for _, cause in failures), done.stderr
    if case.verb == "pull":
        assert done.stdout.strip() == image_id
    if case.verb.endswith("pull"):
        assert agent.sh(f"podman inspect --format {{{{.Id}}}} {name}").stdout.strip() == image_id.removeprefix(
            "sha256:"
        )
        return
    there = Registry(upstream.address, Access(insecure=True)).manifest(repository, "1")
    assert there is not None
    assert done.stdout.strip() == f"{name}@{there.digest}" or case.verb == "docker push"
    assert there.config_digest == image_id


if __name__ == "__main__":
    print(table(), end="")
