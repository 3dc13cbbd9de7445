"""Why a job failed, as the errors that a run on this machine raises."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from limner.client.answers import JobDetail
from limner.engine.errors import DeviceError, InputError, LimnerError, ModelError, NodeFailed, RemoteError

_CAUSES: Final[Mapping[str, type[LimnerError]]] = {
    kind.__name__: kind for kind in (InputError, ModelError, DeviceError)
}
"""Causes that are the user's to mend; any other is a RemoteError, whose message says what it was."""


def failures_of(job: JobDetail, faults: Iterable[Mapping[str, Any]]) -> dict[str, NodeFailed]:
    """By node, why it failed. ``faults`` are those of the job's last event, which name the kind of each cause."""
    told = {str(fault["path"][-1]): fault for fault in faults if fault.get("error") and fault.get("path")}
    return {
        run.node: _failure(run.node, run.type or "?", told.get(run.node, {"message": run.message or "failed"}))
        for run in job.nodes
        if run.state == "failed"
    }


def _failure(node: str, type_name: str, fault: Mapping[str, Any]) -> NodeFailed:
    said = str(fault["message"]).removeprefix(f"{node} ({type_name}) failed: ")
    return NodeFailed(node, type_name, _CAUSES.get(str(fault.get("error")), RemoteError)(said))
