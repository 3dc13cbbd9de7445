"""What happens to a job, line by line, until it has ended."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from rich.text import Text

from limner.jobs_source import Happening, Jobs
from limner.terminal import FAILED, out, printable

_STYLES: Final = {"failed": "red", "completed": "green", "cancelled": "yellow", "skipped": "yellow"}


def follow(jobs: Jobs, job_id: str, *, as_json: bool) -> int:
    """Print what happened to a job, and what happens. Gives the exit code: 0 where it completed.

    Raises InputError where there is none; StoreError or RemoteError.
    """
    for event in jobs.follow(job_id):
        if as_json:
            print(json.dumps(asdict(event)), flush=True)
        else:
            for line in lines_of(event):
                out.print(line)
    return 0 if jobs.find(job_id).job.state == "completed" else FAILED


def lines_of(event: Happening) -> Iterator[Text]:
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


def _of_node(event: Happening, node: str, change: dict[str, Any]) -> Iterator[Text]:
    state = change.get("state")
    if state is None:
        yield _line(event, f"goes on from step {change['step']}", node)
        return
    took = f" in {change['seconds']:.1f} s" if "seconds" in change else ""
    why = f": {change['message']}" if "message" in change else ""
    yield _line(event, f"{state}{took}{why}", node, _STYLES.get(state, ""))


def _line(event: Happening, said: str, node: str | None = None, style: str = "") -> Text:
    clock = datetime.fromtimestamp(event.time).strftime("%H:%M:%S")  # local, for people
    about = [] if node is None else [(f"{printable(node, one_line=True)}: ", "cyan")]
    return Text.assemble((f"{clock} ", "dim"), *about, (printable(said, one_line=True), style))
