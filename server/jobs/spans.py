"""Spans of OpenTelemetry: one for each attempt at a job, in it one for each node that ran.

They are made where ``OTEL_EXPORTER_OTLP_ENDPOINT`` says where to send them; what else the environment may say is
OpenTelemetry's own. Without that nothing of it is imported. Spans name ids and types, and nothing that users wrote.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from limner.engine import events as ev
from limner.server.jobs.job import Claim
from limner.server.jobs.tally import End

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, Tracer

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
TRACEPARENT: Final = "traceparent"
"""What the header is called, and where it is kept in a job's notes."""
FLUSH_MS: Final = 2000
"""How long a worker that ends waits for what takes its spans."""
_log = logging.getLogger("limner.server.jobs")


class Tracing:
    """Makes the spans of one process."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("limner", version("limner"))

    @contextmanager
    def attempt(self, claim: Claim, parent: str | None = None) -> Iterator[AttemptSpans]:
        """Within, a worker runs a job. ``parent`` is the ``traceparent`` of who handed it in."""
        spans = AttemptSpans(self._tracer, claim, parent)
        try:
            yield spans
        finally:
            spans.close()

    def flush(self) -> None:
        """Send what was not sent yet, if that is possible soon."""
        self._provider.force_flush(FLUSH_MS)


class AttemptSpans:
    """The span of one attempt at a job, and those of its nodes, made from the events of the run."""

    def __init__(self, tracer: Tracer, claim: Claim, parent: str | None) -> None:
        from opentelemetry.trace import set_span_in_context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._tracer = tracer
        above = None if parent is None else TraceContextTextMapPropagator().extract({TRACEPARENT: parent})
        self._span = tracer.start_span("job", above)
        self._span.set_attribute("limner.job.id", claim.job_id)
        self._span.set_attribute("limner.job.fence", claim.fence)
        self._context: Context = set_span_in_context(self._span)
        self._nodes: dict[str, Span] = {}

    def note(self, event: ev.Event) -> None:
        """Take an event of the run."""
        match event:
            case ev.NodeStarted(node=node, type=kind, lane=lane, time=time):
                about = {"limner.node.id": node, "limner.node.type": kind, "limner.node.lane": lane}
                self._nodes[node] = self._tracer.start_span(kind, self._context, attributes=about, start_time=_ns(time))
            case ev.ModelLoaded(node=node, model=model, device=device, time=time) if node in self._nodes:
                about = {"limner.model": model, "limner.device": device}
                self._nodes[node].add_event("model loaded", about, _ns(time))
            case ev.NodeFinished(node=node, time=time):
                self._nodes.pop(node).end(_ns(time))
            case ev.NodeFailed(node=node, time=time) if node in self._nodes:
                _mark_failed(self._nodes[node])
                self._nodes.pop(node).end(_ns(time))

    def ended(self, end: End) -> None:
        """Say what became of the attempt."""
        self._span.set_attribute("limner.job.end", end)
        if end in ("failed", "lost"):
            _mark_failed(self._span)

    def close(self) -> None:
        """End what has not ended: nodes that were stopped, and the attempt."""
        for span in (*self._nodes.values(), self._span):
            span.end()


def open_tracing() -> Tracing | None:
    """What the environment asks for: None where it names nobody to send spans to."""
    if not any(os.environ.get(name) for name in ENDPOINTS):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ModuleNotFoundError:
        _log.warning('no spans are sent: pip install "limner[telemetry]"')
        return None
    name = os.environ.get("OTEL_SERVICE_NAME") or "limner"
    provider = TracerProvider(resource=Resource.create({"service.name": name, "service.version": version("limner")}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracing(provider)


def _mark_failed(span: Span) -> None:
    from opentelemetry.trace import StatusCode

    span.set_status(StatusCode.ERROR)


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)
