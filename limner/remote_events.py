"""What a server tells of a job, as the events that a run on this machine has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from limner.engine import events as ev

if TYPE_CHECKING:
    from limner.client import JobEvent

_MODELS: Final[Mapping[str, Callable[..., ev.Event]]] = {
    "model_fetching": ev.ModelFetching,
    "model_loading": ev.ModelLoading,
    "model_loaded": ev.ModelLoaded,
    "model_dropped": ev.ModelDropped,
}
_OF_RUNNING: Final = ("model_fetching", "model_loading")
"""What is told late, when a node has ended already, is of no use."""


class RunEvents:
    """Turns the events of one job into those of a run. A node begins once, also where another worker takes it over."""

    def __init__(self, graph: str) -> None:
        self._graph = graph
        self._running: set[str] = set()
        self._seq = 0
        self._time = 0.0

    def of(self, event: JobEvent) -> Iterator[ev.Event]:
        """The events that one of the job stands for."""
        self._time = event.time or self._time
        body = event.body
        match event.kind:
            case "step":
                yield from self._progress(str(body["node"]), body)
            case "progress":
                if (run := body.get("run")) is not None:
                    yield self._event(ev.RunStarted, self._graph, run["nodes"], run["todo"])
                yield from self._models(body.get("models", ()))
                for node, progress in body.get("nodes", {}).items():
                    yield from self._progress(node, progress)
            case "nodes":
                for node, change in body.items():
                    yield from self._change(node, change)
            case "warning":
                yield self._event(ev.NodeWarned, body["node"], body["message"])
            case "finished":
                yield self._event(ev.RunFinished, body["status"], body.get("seconds") or 0.0)

    def _event(self, kind: Callable[..., ev.Event], *fields: Any) -> ev.Event:
        self._seq += 1
        return kind(self._seq, self._time, *fields)

    def _progress(self, node: str, progress: Mapping[str, Any]) -> Iterator[ev.Event]:
        if node in self._running:
            yield self._event(ev.NodeProgress, node, progress["step"], progress["total"])

    def _models(self, told: Iterator[Mapping[str, Any]]) -> Iterator[ev.Event]:
        for said in told:
            fields = dict(said)
            name = fields.pop("event")
            if name in _MODELS and (name not in _OF_RUNNING or fields["node"] in self._running):
                yield self._event(_MODELS[name], *fields.values())

    def _change(self, node: str, change: Mapping[str, Any]) -> Iterator[ev.Event]:
        state = change.get("state")
        if "type" in change and node not in self._running:
            self._running.add(node)
            yield self._event(ev.NodeStarted, node, change["type"], change.get("lane", ""))
        if "step" in change:
            yield self._event(ev.NodeResumed, node, change["step"])
        if state is not None and state != "running":
            self._running.discard(node)
        match state:
            case "cached":
                yield self._event(ev.NodeCached, node, "")
            case "finished":
                yield self._event(ev.NodeFinished, node, change.get("seconds") or 0.0)
            case "failed":
                yield self._event(ev.NodeFailed, node, change.get("message") or "", change.get("hint"))
            case "skipped":
                yield self._event(ev.NodeSkipped, node, change.get("message") or "")
