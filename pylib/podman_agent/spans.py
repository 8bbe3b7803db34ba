"""OpenTelemetry spans of what takes long, when a collector is named; without one, nothing is imported and nothing kept.

Jenkins' OpenTelemetry plugin hands ``OTEL_EXPORTER_OTLP_ENDPOINT`` and ``TRACEPARENT`` to steps
(https://plugins.jenkins.io/opentelemetry/), so the spans stand below the step's own. Everything else is the SDK's to
read: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_P = ParamSpec("_P")
_R = TypeVar("_R")
_ENDPOINT = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


@contextlib.contextmanager
def span(name: str, **attributes: str) -> Iterator[None]:
    """A span around a block, with the exception that ends it; nothing where no collector is named.

    Args:
        name: Such as ``podman-agent.build``.
        attributes: Words about it; no secrets.
    """
    tracer = _tracer() if any(os.environ.get(variable) for variable in _ENDPOINT) else None
    if tracer is None:
        yield
        return
    parent = None
    from opentelemetry import trace  # noqa: PLC0415

    if not trace.get_current_span().get_span_context().is_valid:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

        parent = TraceContextTextMapPropagator().extract({"traceparent": os.environ.get("TRACEPARENT", "")})
    with tracer.start_as_current_span(name, context=parent, attributes=attributes):
        yield


def spanned(name: str) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """A decorator: every call of a method is a span, with its first argument when that is a name.

    Args:
        name: The span's name.
    """

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        @functools.wraps(function)
        def call(*args: _P.args, **named: _P.kwargs) -> _R:
            image = {"image": args[1]} if len(args) > 1 and isinstance(args[1], str) else {}
            with span(name, **image):
                return function(*args, **named)

        return call

    return decorate


@functools.cache
def _tracer() -> Any:
    """The SDK's, sending over HTTP; None, said once, where it is not installed."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError as error:
        print(f"podman-agent: no spans ({error}): pip install 'podman-agent[otel]'", file=sys.stderr)
        return None
    # the SDK's own ten seconds would be added to a step whose collector is gone
    os.environ.setdefault("OTEL_EXPORTER_OTLP_TIMEOUT", "3")
    provider = TracerProvider(resource=Resource.create({"service.name": "podman-agent"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider.get_tracer("podman-agent")
