"""A registry that misbehaves on demand: a proxy in front of a real docker-registry.

Every byte is the real registry's except where a `Fault` says otherwise. Loopback only.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import secrets
import socket
import threading
import time
from base64 import b64decode
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BLOB_UPLOAD = r"(PATCH|PUT) .*/blobs/uploads/.*"
BLOB_START = r"POST .*/blobs/uploads/.*"
BLOB_GET = r"GET .*/blobs/.*"
MANIFEST_PUT = r"PUT .*/manifests/.*"
MANIFEST_GET = r"GET .*/manifests/.*"
HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "proxy-authorization"}
CHUNK = 16384
# https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes
CODES = {401: "UNAUTHORIZED", 403: "DENIED", 429: "TOOMANYREQUESTS", 503: "UNAVAILABLE"}


@dataclass
class Fault:
    """One misbehaviour.

    `where` is a pattern of `METHOD path`; it happens `times` times, after `skip` matching requests.
    """

    where: str
    kind: str  # status, drop, delay, corrupt, corrupt-answer, truncate
    times: int = 1
    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    skip: int = 0
    body: bytes = b""


class FaultProxy:
    """The proxy; `address` is host:port. With `users` it asks for a token as Docker Hub does."""

    def __init__(self, upstream: str, users: dict[str, str] | None = None) -> None:
        self.upstream, self.users = upstream, users
        self.faults: list[Fault] = []
        self.seen: list[str] = []  # METHOD path status
        self.authorizations: list[str] = []
        self.tokens: set[str] = set()
        self.token_uses = 10**9  # requests after which all tokens so far expire, once
        self.lock = threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.address = f"127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> FaultProxy:
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def reset(self, *faults: Fault, token_uses: int = 10**9) -> None:
        with self.lock:
            self.faults = list(faults)
            self.seen.clear()
            self.tokens.clear()
            self.token_uses = token_uses

    def take(self, line: str) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.times > 0 and re.fullmatch(fault.where, line):
                    if fault.skip > 0:
                        fault.skip -= 1
                        continue
                    fault.times -= 1
                    return fault
        return None

    def unused(self) -> list[Fault]:
        """Faults that never happened: a test that sees one proved nothing."""
        return [f for f in self.faults if f.skip > 0 or f.times > 0]

    def new_token(self) -> str:
        token = secrets.token_urlsafe(16)
        with self.lock:
            self.tokens.add(token)
        return token

    def admits(self, header: str) -> bool:
        with self.lock:
            self.authorizations.append(header)
            token = header.removeprefix("Bearer ")
            if token not in self.tokens:
                return False
            self.token_uses -= 1
            if self.token_uses == 0:
                self.tokens.clear()
        return True

    def _handler(proxy) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - the handler has its own self
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_: object) -> None:
                pass

            def handle_one_request(self) -> None:
                with contextlib.suppress(OSError, http.client.HTTPException):
                    super().handle_one_request()
                    return
                self.close_connection = True

            def relay(self) -> None:
                line = f"{self.command} {self.path}"
                fault = proxy.take(line)
                if self.path.startswith("/token"):
                    return self.token(fault)
                if proxy.users is not None and not proxy.admits(self.headers.get("Authorization", "")):
                    self.body()
                    realm = f'Bearer realm="http://{proxy.address}/token",service="faulty"'
                    if match := re.match(r"/v2/(.+)/(?:blobs|manifests|tags)/", self.path):
                        realm += f',scope="repository:{match[1]}:pull,push"'
                    return self.answer(401, {"WWW-Authenticate": realm}, _error(401))
                if fault and fault.kind == "delay":
                    time.sleep(fault.seconds)
                if fault and fault.kind == "status":
                    self.body()
                    return self.answer(fault.status, fault.headers, fault.body or _error(fault.status))
                if fault and fault.kind == "drop":
                    if {"Content-Length", "Transfer-Encoding"} & set(self.headers):
                        self.rfile.read1(CHUNK)
                    return self.drop(line)
                body = self.body()
                if fault and fault.kind == "corrupt" and body:
                    middle = len(body) // 2
                    body = body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]
                return self.forward(line, body, fault)

            def body(self) -> bytes:
                if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
                    found = b""
                    while size := int(self.rfile.readline().split(b";")[0], 16):
                        found += self.rfile.read(size)
                        self.rfile.readline()
                    self.rfile.readline()
                    return found
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))

            def forward(self, line: str, body: bytes, fault: Fault | None) -> None:
                upstream = http.client.HTTPConnection(proxy.upstream, timeout=60)
                # podman repeats Accept; one value lost and the registry converts the manifest
                headers = {k: ", ".join(self.headers.get_all(k, [])) for k in self.headers if k.lower() not in HOP}
                headers.pop("Content-Length", None)
                if proxy.users is not None:
                    headers.pop("Authorization", None)
                if body or self.command in {"POST", "PUT", "PATCH"}:
                    headers["Content-Length"] = str(len(body))
                upstream.request(self.command, self.path, body, headers)
                reply = upstream.getresponse()
                content = reply.read()
                upstream.close()
                if fault and fault.kind == "corrupt-answer" and content:
                    middle = len(content) // 2
                    content = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
                kept = {k: v for k, v in reply.getheaders() if k.lower() not in HOP}
                if fault and fault.kind == "truncate":
                    return self.drop(line, reply.status, kept, content[: len(content) // 2])
                return self.answer(reply.status, kept, content)

            def answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
                proxy.seen.append(f"{self.command} {self.path} {status}")
                self.send_response(status)
                if self.command != "HEAD":
                    headers = {k: v for k, v in headers.items() if k.lower() != "content-length"}
                    headers["Content-Length"] = str(len(content))
                for key, value in headers.items():
                    if key.lower() not in {"date", "server"}:
                        self.send_header(key, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            def drop(
                self,
                line: str,
                status: int = 0,
                headers: dict[str, str] | None = None,
                part: bytes = b"",
            ) -> None:
                """End the connection, after half an answer if there is one."""
                proxy.seen.append(f"{line} dropped")
                if status:
                    self.send_response(status)
                    for key, value in (headers or {}).items():
                        self.send_header(key, value)
                    self.end_headers()
                    self.wfile.write(part)
                    self.wfile.flush()
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True

            def token(self, fault: Fault | None) -> None:
                if fault and fault.kind == "status":
                    return self.answer(fault.status, fault.headers, b"{}")
                basic = self.headers.get("Authorization", "").removeprefix("Basic ")
                user, _, password = b64decode(basic).decode().partition(":")
                if (proxy.users or {}).get(user) != password or not user:
                    return self.answer(401, {}, _error(401))
                content = json.dumps({"token": proxy.new_token(), "expires_in": 300}).encode()
                return self.answer(200, {"Content-Type": "application/json"}, content)

        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
            setattr(Handler, f"do_{method}", Handler.relay)
        return Handler


def _error(status: int) -> bytes:
    code = CODES.get(status, "UNKNOWN")
    return json.dumps({"errors": [{"code": code, "message": "by the fault proxy"}]}).encode()
