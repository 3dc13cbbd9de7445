"""Handing in a graph: it is checked first, and what is kept needs no other file to say what it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from limner.engine.errors import GraphError
from limner.engine.flat import flat_document
from limner.engine.output_folder import escapes
from limner.server.jobs.job import Job, NewJob
from limner.server.jobs.store import JobStore
from limner.session import GraphLike, Session


def submit(
    store: JobStore,
    session: Session,
    graph: GraphLike,
    values: Mapping[str, Any] | None = None,
    *,
    beside: str | None = None,
    client: str = "",
    priority: int = 0,
    idempotency_key: str | None = None,
    notes: Mapping[str, Any] | None = None,
) -> Job:
    """Check a graph and hand it in, as ``NewJob`` says. Graph nodes are replaced by what they stand for.

    Raises GraphError with every fault, among them paths that lead out of the job's folder; StoreError.
    """
    checked = session.check(graph, values, beside=beside)
    if faults := list(escapes(checked)):
        raise GraphError(faults)
    document = flat_document(checked)
    new = NewJob(document.to_json(), document.name, client, priority, idempotency_key, notes or {})
    return store.queue.accept(new)
