"""Spans reach a collector of the test's own, below the step's; without a collector nothing is imported."""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PULL = """import sys
from podman_agent.engine import Engine
try:
    print(Engine().pull("r.example/a:1").digest)
finally:
    print(any(name.startswith("opentelemetry") for name in sys.modules))
"""
TRACE, STEP = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Collector(http.server.BaseHTTPRequestHandler):
    """Keeps what it is sent."""

    got: list[ExportTraceServiceRequest]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.got.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def collector() -> Iterator[tuple[str, list[ExportTraceServiceRequest]]]:
    """Its address, and what it was sent."""
    got: list[ExportTraceServiceRequest] = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Ours", (Collector,), {"got": got})) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", got
        server.shutdown()


def run(tmp_path: Path, podman: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Pull by a podman that is this script."""
    fake = tmp_path / "podman"
    fake.write_text(f"#!/bin/sh\n{podman}\n")
    fake.chmod(0o755)
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "TRACEPARENT", "NO_PROXY"))}
    return subprocess.run(
        [sys.executable, "-c", PULL],
        env={**clean, "PATH": f"{tmp_path}:{os.environ['PATH']}", "NO_PROXY": "127.0.0.1", **env},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


WORKS = """case "$*" in
--version) echo podman version 5.4.2 ;;
*inspect*) echo '[{"Digest": "sha256:d"}]' ;;
*) echo 1234 ;;
esac"""


def test_a_pull_is_a_span_below_the_steps(
    tmp_path: Path, collector: tuple[str, list[ExportTraceServiceRequest]]
) -> None:
    url, got = collector
    done = run(tmp_path, WORKS, OTEL_EXPORTER_OTLP_ENDPOINT=url, TRACEPARENT=f"00-{TRACE}-{STEP}-01")
    assert done.stdout.splitlines() == ["sha256:d", "True"], done.stderr
    [span] = [span for sent in got for r in sent.resource_spans for s in r.scope_spans for span in s.spans]
    assert (span.name, span.trace_id.hex(), span.parent_span_id.hex()) == ("podman-agent.pull", TRACE, STEP)
    assert {a.key: a.value.string_value for a in span.attributes} == {"image": "r.example/a:1"}
    assert span.end_time_unix_nano > span.start_time_unix_nano


def test_a_failure_is_in_its_span(tmp_path: Path, collector: tuple[str, list[ExportTraceServiceRequest]]) -> None:
    url, got = collector
    fails = 'case "$1" in --version) echo podman version 5.4.2;; *) echo "Error: no such image" >&2; exit 125;; esac'
    assert run(tmp_path, fails, OTEL_EXPORTER_OTLP_ENDPOINT=url).returncode != 0
    [span] = [span for sent in got for r in sent.resource_spans for s in r.scope_spans for span in s.spans]
    assert span.status.code == 2
    assert [event.name for event in span.events] == ["exception"]


def test_without_a_collector_nothing_is_imported(tmp_path: Path) -> None:
    assert run(tmp_path, WORKS).stdout.splitlines() == ["sha256:d", "False"]


def test_a_collector_that_is_gone_costs_no_pull_and_seconds_at_most(tmp_path: Path) -> None:
    done = run(tmp_path, WORKS, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "sha256:d")
