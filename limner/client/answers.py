"""What a server answers, as values. What a newer one says besides is passed over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

State = Literal["pending", "in_progress", "completed", "failed", "cancelled"]


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class JobInfo(_Answer):
    """A job as lists show it. Times are seconds since 1970."""

    id: str = Field(pattern="^[0-9a-f]{32}$")
    name: str
    client: str
    state: State
    priority: int
    is_paused: bool
    wish: Literal["cancel", "pause"] | None = None
    attempts: int
    last_seq: int
    created: float
    started: float | None = None
    finished: float | None = None
    message: str | None = None
    hint: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it, unless it is tried again."""
        return self.state not in ("pending", "in_progress")


class NodeRun(_Answer):
    """What one node of a job did last."""

    node: str
    state: Literal["cached", "running", "finished", "failed", "skipped", "waiting"]
    type: str | None = None
    lane: str | None = None
    started: float | None = None
    seconds: float | None = None
    step: int | None = None
    total: int | None = None
    message: str | None = None


class File(_Answer):
    """A file that a job gave. ``name`` is a relative path; ``sha256`` names the content."""

    name: str
    node: str | None = None
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    size_bytes: int = Field(ge=0)
    media_type: str = "application/octet-stream"


class JobDetail(JobInfo):
    """A job with all that came of it."""

    template: str | None = None
    parameters: Mapping[str, Any] = {}
    nodes: tuple[NodeRun, ...] = ()
    artifacts: tuple[File, ...] = ()


class JobEvent(_Answer):
    """Something that happened to a job, the ``seq``-th from 1. What the kinds mean is in docs/jobs.md.

    A ``step`` is told as it is made and kept nowhere: it has no number.
    """

    seq: int | None = None
    time: float | None = None
    kind: str
    body: Mapping[str, Any] = {}


class JobPage(_Answer):
    """Some jobs, and what to ask for those that follow."""

    jobs: tuple[JobInfo, ...]
    next: str | None = None
    is_paused: bool = False


class RawGraph(RootModel[dict[str, Any]]):
    """A graph, in the format of graph files."""


class FaultInfo(_Answer):
    """One thing that is wrong."""

    message: str
    path: tuple[str | int, ...] = ()
    hint: str | None = None


class Problem(_Answer):
    """Why a request was refused, or failed."""

    detail: str
    hint: str | None = None
    faults: tuple[FaultInfo, ...] = ()


class Template(_Answer):
    """A graph with a name, and the JSON schemas of its parameters."""

    name: str
    description: str
    is_own: bool
    parameters: Mapping[str, Mapping[str, Any]]
    faults: tuple[FaultInfo, ...] = ()


class TemplateDetail(Template):
    """A template with its graph."""

    graph: Mapping[str, Any]


class TemplateList(_Answer):
    """All templates."""

    templates: tuple[Template, ...]


class NodeInfo(_Answer):
    """A node type. ``settings`` has JSON schemas by name."""

    name: str
    category: str
    version: int
    description: str
    inputs: Mapping[str, Mapping[str, Any]]
    outputs: Mapping[str, Mapping[str, Any]]
    settings: Mapping[str, Mapping[str, Any]]


class NodeList(_Answer):
    """All node types."""

    nodes: tuple[NodeInfo, ...]


class Verdict(_Answer):
    """Whether a graph can run."""

    is_right: bool
    nodes: int
    faults: tuple[FaultInfo, ...] = ()


class PlanInfo(_Answer):
    """Where each node would run, and what it would take. See ``limner plan --json``."""

    graph: str
    steps: tuple[Mapping[str, Any], ...]
    memory: Mapping[str, Any] | None = None

    @property
    def fits(self) -> bool:
        """Whether it fits, as far as is known."""
        return self.memory is None or bool(self.memory.get("fits", True))


class ModelInfo(_Answer):
    """A model whose weights are in a worker's memory."""

    model: str
    device: str
    size_bytes: int
    budget_bytes: int | None = None
    worker: str


class ModelList(_Answer):
    """All that are alive."""

    models: tuple[ModelInfo, ...]


class Upload(_Answer):
    """A picture that the server has. ``file`` is what a graph calls it."""

    file: str
    sha256: str
    size_bytes: int
    width: int
    height: int
