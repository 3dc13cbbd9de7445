"""Finding the job that a client of the protocol means."""

from __future__ import annotations

from uuid import UUID

from limner.server.clients import Client
from limner.server.comfy.kept import MAX_LABEL, PROMPT_ID
from limner.server.jobs.job import Job
from limner.server.jobs.search import HIDDEN, Wanted
from limner.server.jobs.store import JobStore


def find_job(store: JobStore, client: Client, prompt_id: str) -> Job | None:
    """The job that a client knows by this id, the latest of several; None where it sees none, or hid it. Blocks.

    An admin's own come first: what others call their jobs is theirs to choose. Raises StoreError.
    """
    for whose in dict.fromkeys((client.name, client.sees)):
        if found := _labelled(store, whose, prompt_id) or _of_id(store, whose, prompt_id):
            return found
    return None


def _labelled(store: JobStore, whose: str | None, prompt_id: str) -> Job | None:
    named = Wanted(client=whose, label=(PROMPT_ID, prompt_id[:MAX_LABEL]))
    return next(iter(store.search.page(named, limit=1)), None)


def _of_id(store: JobStore, whose: str | None, prompt_id: str) -> Job | None:
    try:
        job_id = UUID(prompt_id).hex
    except ValueError:
        return None
    found = [job for job in store.history.some([job_id]) if whose in (None, job.client)]
    return found[0] if found and HIDDEN not in store.search.labels([job_id])[job_id] else None
