"""Spans of OpenTelemetry, held by an exporter in memory; and what a worker counts and logs."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from crew import NODES, accept, graph, node

from limner.engine.registry import Registry
from limner.server.jobs.attempt import Attempt
from limner.server.jobs.spans import ENDPOINTS, TRACEPARENT, Tracing, open_tracing
from limner.server.jobs.store import JobStore
from limner.session import Session

SECRET = "words of a user"


def attempt(
    folder: Path, document: str, tracing: Tracing | None = None, notes: Mapping[str, Any] | None = None
) -> tuple[str, Attempt]:
    """Run one job here. Gives its id."""
    registry = Registry.installed()
    registry.add_file(NODES)
    with JobStore(folder) as store, Session(registry=registry, device="cpu") as session:
        job = accept(store, document, notes=notes or {})
        claim = store.leases.claim("worker")
        assert claim is not None
        made = Attempt(store, session, claim, threading.Event(), tracing=tracing)
        made.run()
        return job.id, made


def test_a_job_is_a_span_of_its_nodes(tmp_path: Path) -> None:
    """Each node that ran is a span in that of its job, from its beginning to its end; one that failed says so."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    document = graph({"steps": node("Steps", count=2), "fail": node("Fail", {"value": "steps"})})
    job, _ = attempt(tmp_path, document, Tracing(provider))
    steps, fail, whole = exporter.get_finished_spans()
    assert [span.name for span in (steps, fail, whole)] == ["Steps", "Fail", "job"]
    assert whole.attributes == {"limner.job.id": job, "limner.job.fence": 1, "limner.job.end": "failed"}
    assert steps.attributes is not None
    assert (steps.attributes["limner.node.id"], steps.attributes["limner.node.type"]) == ("steps", "Steps")
    assert {span.parent.span_id for span in (steps, fail) if span.parent} == {whole.context.span_id}
    assert [span.status.is_ok for span in (steps, fail, whole)] == [True, False, False]
    assert (steps.start_time or 0) <= (steps.end_time or 0) <= (fail.end_time or 0) <= (whole.end_time or 0)


def test_a_job_is_below_the_span_of_who_handed_it_in(tmp_path: Path) -> None:
    """The trace of a request goes on in the worker; what is no span of anybody's begins a trace."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    for number, parent in enumerate((f"00-{7:032x}-{8:016x}-01", f"00-{0:032x}-{0:016x}-01")):
        exporter, provider = InMemorySpanExporter(), TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        document = graph({"steps": node("Steps", count=1)})
        attempt(tmp_path / str(number), document, Tracing(provider), {TRACEPARENT: parent})
        steps, whole = exporter.get_finished_spans()
        above = None if whole.parent is None else (whole.parent.trace_id, whole.parent.span_id)
        assert above == ((7, 8) if number == 0 else None)
        assert steps.context.trace_id == whole.context.trace_id


def test_without_an_endpoint_nothing_is_imported() -> None:
    """Who asks for no spans pays nothing for them, and needs none of their packages."""
    look = (
        "import sys, limner.server.jobs.worker as w; w.open_tracing(); print(any('opentele' in m for m in sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


def test_an_extra_that_is_missing_is_said(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Spans that were asked for and cannot be sent cost a warning, and no job."""
    monkeypatch.setenv(ENDPOINTS[0], "http://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter", None)
    assert open_tracing() is None
    assert "limner[telemetry]" in caplog.text


def test_a_run_is_counted(tmp_path: Path) -> None:
    """How long the job waited, which nodes ran and which failed, by type."""
    document = graph({"steps": node("Steps"), "more": node("Numbers", {"value": "steps"}), "fail": node("Fail")})
    _, made = attempt(tmp_path, document)
    counted = json.loads(json.dumps(made.tally.as_data()))
    assert counted["end"] == "failed"
    assert counted["waited_s"] >= 0
    assert counted["node_runs"] == {"Steps": 1, "Numbers": 1}
    assert counted["node_failures"] == {"Fail": 1}


def test_what_users_wrote_is_logged_at_debug_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Prompts are in graphs, and messages may quote them: neither is in the log from info on."""
    caplog.set_level("DEBUG", "limner")
    nodes = {"steps": node("Steps"), "write": node("Write", {"value": "steps"}, path=SECRET), "fail": node("Fail")}
    job, _ = attempt(tmp_path, graph(nodes))
    quoting = [record for record in caplog.records if SECRET in str(vars(record))]
    assert {record.levelno for record in quoting} == {logging.DEBUG}
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO]
    assert said == ["job begun", "node failed", "job failed"]
    assert all(getattr(record, "job", None) == job for record in caplog.records)
