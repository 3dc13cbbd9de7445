"""Jobs of the protocol, handed in as its clients do, and the part of a worker that tests play."""

from __future__ import annotations

from typing import Any

from limner.server.comfy.kept import Kept
from limner.server.jobs.job import Claim, Job, NewJob

PROMPT = {"1": {"class_type": "SaveImage", "inputs": {}}}


async def accept(api: Any, client_id: str = "me", client: str = "local", **kept: Any) -> Job:
    """Queue a job as one of the protocol."""
    one = Kept(PROMPT, ["1"], client_id=client_id, **kept)
    new = NewJob("{}", client=client, labels=one.labels, notes=one.notes)
    job: Job = await api.service.change(lambda: api.service.store.queue.accept(new))
    return job


def record(api: Any, claim: Claim, **nodes: Any) -> None:
    """Tell of nodes."""
    api.service.store.leases.record(claim, [("nodes", nodes)])
