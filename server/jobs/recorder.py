"""What happens in a run, gathered into few writes: all that a node did since the last one is one change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

from limner.engine import events as ev
from limner.server.jobs.job import NodeRun
from limner.server.jobs.journal import Told
from limner.server.jobs.rows import storable

NODES_AN_EVENT: Final = 500
"""So that no event of a large graph is large."""


class Recorder:
    """Takes the events of a run; gives, from time to time, what is new as events of the job and rows of its nodes.

    ``nodes`` events say what became of nodes, each as a change: only what is new of it. ``progress`` says how far they
    are, and what becomes of models; it is the kind that is forgotten. A warning is an event of its own.
    """

    def __init__(self) -> None:
        self._runs: dict[str, dict[str, Any]] = {}
        """By node, the fields of its row. One that has ended leaves once it is written."""
        self._changed: dict[str, dict[str, Any]] = {}
        self._progress: dict[str, dict[str, Any]] = {}
        self._models: list[Mapping[str, Any]] = []
        self._run: Mapping[str, int] = {}
        self._warnings: list[Mapping[str, Any]] = []
        self._dirty: dict[str, dict[str, Any]] = {}

    def note(self, event: ev.Event) -> None:
        """Take an event of the run."""
        match event:
            case ev.RunStarted(nodes=nodes, todo=todo):
                self._run = {"nodes": nodes, "todo": todo}
            case ev.NodeCached(node=node):
                self._change(node, {"state": "cached"})
            case ev.NodeStarted(node=node, type=kind, lane=lane, time=now):
                self._change(node, {"state": "running", "type": kind, "lane": lane, "started": now})
            case ev.NodeResumed(node=node, step=step):
                self._change(node, {"step": step})
            case ev.NodeProgress(node=node, step=step, total=total):
                self._progress[node] = {"step": step, "total": total}
                self._row(node, {"step": step, "total": total})
            case ev.NodeFinished(node=node, seconds=seconds):
                self._change(node, {"state": "finished", "seconds": seconds})
            case ev.NodeFailed(node=node, message=message, hint=hint):
                self._change(node, {"state": "failed", "message": message})
                if hint is not None:
                    self._changed[node]["hint"] = hint
            case ev.NodeSkipped(node=node, because=because):
                self._change(node, {"state": "skipped", "message": because})
            case ev.NodeWarned(node=node, message=message):
                self._warnings.append({"node": node, "message": message})
                self._row(node, {"message": message})
            case ev.ModelFetching() | ev.ModelLoading() | ev.ModelLoaded() | ev.ModelDropped():
                self._note_model(event)

    def take(self) -> tuple[list[Told], list[NodeRun]]:
        """What is new since the last time."""
        told: list[Told] = [("progress", {"run": self._run})] if self._run else []
        told += [("nodes", part) for part in parts(self._changed)]
        told += [("warning", warning) for warning in self._warnings]
        progress = {"nodes": self._progress, "models": self._models}
        if any(progress.values()):
            told.append(("progress", {name: value for name, value in progress.items() if value}))
        rows = [NodeRun(**fields) for fields in self._dirty.values()]
        for row in rows:
            if row.state != "running":
                self._runs.pop(row.node, None)
        self._changed, self._progress, self._models, self._warnings, self._dirty = {}, {}, [], [], {}
        self._run = {}
        return told, rows

    def _change(self, node: str, values: dict[str, Any]) -> None:
        self._row(node, values)
        if (changed := self._changed.get(node)) is None:
            self._changed[node] = values
        else:
            changed.update(values)
        if self._progress and values.get("state") not in (None, "running"):
            self._progress.pop(node, None)  # its end says all

    def _row(self, node: str, values: Mapping[str, Any]) -> None:
        if (row := self._runs.get(node)) is None:
            row = self._runs[node] = {"node": node, "state": "running"}
        row.update(values)
        if "message" in values:
            row["message"] = storable(values["message"])
        self._dirty[node] = row

    def _note_model(self, event: ev.ModelFetching | ev.ModelLoading | ev.ModelLoaded | ev.ModelDropped) -> None:
        said = {name: value for name, value in ev.as_dict(event).items() if name not in ("seq", "time")}
        last = self._models[-1] if self._models else {}
        if isinstance(event, ev.ModelFetching) and (last.get("event"), last.get("model")) == (
            said["event"],
            event.model,
        ):
            self._models.pop()
        self._models.append(said)


def parts(changed: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What is told of nodes, some at a time."""
    waiting = iter(changed.items())
    while part := dict(islice(waiting, NODES_AN_EVENT)):
        yield part
