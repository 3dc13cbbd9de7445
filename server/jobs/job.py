"""What a job is, and what came of it: frozen values, read from the store."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

State = Literal["pending", "in_progress", "completed", "failed", "cancelled"]
FINAL: Final = ("completed", "failed", "cancelled")
NodeState = Literal["cached", "running", "finished", "failed", "skipped", "waiting"]
Wish = Literal["cancel", "pause"]
EventKind = Literal["queued", "started", "nodes", "progress", "warning", "gave", "finished"]


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job as a client hands it in. ``graph`` is a document's JSON text, known to be right."""

    graph: str
    name: str = ""
    client: str = ""
    priority: int = 0
    """Jobs of a higher one run first."""
    idempotency_key: str | None = None
    """The same key of the same client is the same job, however often it is handed in."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """The client's own, kept and given back as they are."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """By name, what the job is to be found by."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it stands. Times are seconds since 1970."""

    id: str
    client: str
    name: str
    state: State
    priority: int
    is_paused: bool
    wish: Wish | None
    """What was asked of the worker that has it."""
    worker: str | None
    attempts: int
    """How often a worker took it."""
    deaths: int
    """How often it took its worker down."""
    last_seq: int
    """The number of its latest event."""
    created: float
    started: float | None
    finished: float | None
    message: str | None
    """Why it failed, or what else is to be said of its end."""
    hint: str | None


@dataclass(frozen=True, slots=True)
class Claim:
    """A job in the hands of a worker. ``fence`` grows with every claim: writes with an older one are refused."""

    job_id: str
    fence: int
    graph: str
    waited_s: float | None = None
    """Since it was handed in; None where it was begun before."""


class NodeRun(NamedTuple):
    """What one node of a job did last."""

    node: str
    state: NodeState
    type: str | None = None
    lane: str | None = None
    started: float | None = None
    seconds: float | None = None
    step: int | None = None
    total: int | None = None
    message: str | None = None
    """Why it failed, was skipped, or what it warned of."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file that a job gave. ``sha256`` names its content."""

    name: str
    """A relative path, unique within the job."""
    sha256: str
    size_bytes: int
    node: str | None = None


@dataclass(frozen=True, slots=True)
class JobEvent:
    """Something that happened to a job, the ``seq``-th from 1."""

    seq: int
    time: float
    kind: EventKind
    text: str
    """Its body as JSON, which is passed on as it is."""

    @property
    def body(self) -> Mapping[str, Any]:
        """What is told."""
        found: Mapping[str, Any] = json.loads(self.text)
        return found
