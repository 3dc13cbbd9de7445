"""What happens to a job, line by line, until it has ended."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

from limner.terminal import FAILED, out, printable

if TYPE_CHECKING:
    from limner.server.jobs import JobEvent, JobStore

LOOK_S: Final = 0.2
_STYLES: Final = {"failed": "red", "completed": "green", "cancelled": "yellow", "skipped": "yellow"}


def follow(store: JobStore, job_id: str, *, as_json: bool) -> int:
    """Print what happened to a job, and what happens. Gives the exit code: 0 where it completed.

    Raises UnknownJobError, StoreError.
    """
    for event in _events(store, job_id):
        if as_json:
            print(json.dumps(asdict(event)), flush=True)
        else:
            for line in lines_of(event):
                out.print(line)
    return 0 if store.history.job(job_id).state == "completed" else FAILED


def _events(store: JobStore, job_id: str) -> Iterator[JobEvent]:
    """Events from the first on, until the job has ended and all were given."""
    seq = 0
    while True:
        job = store.history.job(job_id)
        for event in store.history.events(job_id, after=seq):
            yield event
            seq = event.seq
        if seq >= job.last_seq:
            if job.finished is not None:
                return
            time.sleep(LOOK_S)


def lines_of(event: JobEvent) -> Iterator[Text]:
    """An event for people; progress of a node is one line."""
    body = event.body
    match event.kind:
        case "queued":
            yield _line(event, f"waits: {body['why']}")
        case "started":
            yield _line(event, "begun" if body["attempt"] == 1 else f"begun, attempt {body['attempt']}")
        case "nodes":
            for node, change in body.items():
                yield from _of_node(event, node, change)
        case "progress":
            for node, done in body.get("nodes", {}).items():
                yield _line(event, f"step {done['step']}/{done['total']}", node)
        case "warning":
            yield _line(event, body["message"], body["node"], "yellow")
        case "finished":
            why = ": " + body["message"] if "message" in body else ""
            yield _line(event, f"{body['status']}{why}", style=_STYLES.get(body["status"], ""))


def _of_node(event: JobEvent, node: str, change: dict[str, Any]) -> Iterator[Text]:
    state = change.get("state")
    if state is None:
        yield _line(event, f"goes on from step {change['step']}", node)
        return
    took = f" in {change['seconds']:.1f} s" if "seconds" in change else ""
    why = f": {change['message']}" if "message" in change else ""
    yield _line(event, f"{state}{took}{why}", node, _STYLES.get(state, ""))


def _line(event: JobEvent, said: str, node: str | None = None, style: str = "") -> Text:
    clock = datetime.fromtimestamp(event.time).strftime("%H:%M:%S")  # local, for people
    about = [] if node is None else [(f"{printable(node, one_line=True)}: ", "cyan")]
    return Text.assemble((f"{clock} ", "dim"), *about, (printable(said, one_line=True), style))
