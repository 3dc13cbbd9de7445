"""A run as a Chrome trace: open it in Perfetto or ``chrome://tracing`` to see what ran where and when."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from limner.engine import events as ev


def chrome_trace(events: Iterable[ev.Event]) -> str:
    """The trace as JSON text. Times are microseconds since the first event; each lane is a thread.

    Format: "Trace Event Format", Google, complete (X), instant (i) and metadata (M) events.
    """
    seen = list(events)
    began = seen[0].time if seen else 0.0
    lanes: dict[str, int] = {}
    running: dict[str, ev.NodeStarted] = {}
    out: list[dict[str, Any]] = []

    def at(event: ev.Event) -> float:
        return round((event.time - began) * 1e6, 1)

    for event in seen:
        if isinstance(event, ev.NodeStarted):
            lanes.setdefault(event.lane, len(lanes) + 1)
            running[event.node] = event
        elif isinstance(event, (ev.NodeFinished, ev.NodeFailed, ev.NodeSkipped)) and event.node in running:
            start = running.pop(event.node)
            span = {"name": event.node, "cat": start.type, "ph": "X", "ts": at(start), "dur": at(event) - at(start)}
            out.append(span | {"tid": lanes[start.lane], "args": ev.as_dict(event)})
        elif isinstance(event, ev.NodeProgress) and event.node in running:
            name = f"{event.node} {event.step}/{event.total}"
            out.append({"name": name, "ph": "i", "ts": at(event), "s": "t", "tid": lanes[running[event.node].lane]})
        elif isinstance(event, ev.ModelLoaded) and event.node in running:
            started = max(at(event) - event.seconds * 1e6, 0.0)
            span = {"name": f"load {event.model}", "cat": "load", "ph": "X", "ts": started, "dur": at(event) - started}
            out.append(span | {"tid": lanes[running[event.node].lane], "args": ev.as_dict(event)})
        elif isinstance(event, ev.NodeCached):
            out.append({"name": f"{event.node} (cached)", "ph": "i", "ts": at(event), "s": "p", "tid": 0})
    names = [{"name": "thread_name", "ph": "M", "tid": tid, "args": {"name": lane}} for lane, tid in lanes.items()]
    return json.dumps({"traceEvents": [{"pid": 1} | event for event in names + out], "displayTimeUnit": "ms"})
