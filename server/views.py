"""What clients are told of jobs, as JSON: the answers of the API, from which its description is made too."""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from pydantic import BaseModel, Field

from limner.server.jobs.history import History, Page
from limner.server.jobs.job import Artifact, Job, NodeState, State, Wish

PICTURES: Final = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"}
"""What is shown; everything else is only ever saved."""


class JobView(BaseModel):
    """A job as lists show it. Times are seconds since 1970."""

    id: str
    name: str = Field(description="The name of its graph.")
    client: str
    state: State
    priority: int
    is_paused: bool
    wish: Wish | None = Field(default=None, description="What its worker was asked to do and has not done yet.")
    attempts: int = Field(description="How often a worker took it.")
    last_seq: int = Field(description="The number of its latest event.")
    created: float
    started: float | None = None
    finished: float | None = None
    message: str | None = Field(default=None, description="Why it failed, or what else is to be said of its end.")
    hint: str | None = Field(default=None, description="What to try.")


class NodeRunView(BaseModel):
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


class ArtifactView(BaseModel):
    """A file that a job gave."""

    name: str
    node: str | None = None
    sha256: str
    size_bytes: int
    media_type: str
    url: str


class JobDetail(JobView):
    """A job with all that came of it."""

    template: str | None = Field(default=None, description="What it was made from, where that was a template.")
    parameters: dict[str, Any] = Field(default={}, description="The values that it was handed in with.")
    nodes: list[NodeRunView]
    artifacts: list[ArtifactView]


class JobPage(BaseModel):
    """Some jobs."""

    jobs: list[JobView]
    next: str | None = Field(default=None, description="What to give as ``after`` for those that follow.")


class QueueView(JobPage):
    """Waiting jobs, in the order in which they will run."""

    is_paused: bool = Field(description="Whether no job may begin.")


def job_view(job: Job) -> JobView:
    """A job for lists."""
    return JobView.model_validate(job, from_attributes=True)


def job_page(page: Page) -> JobPage:
    """A page of jobs."""
    return JobPage(jobs=[job_view(job) for job in page.jobs], next=page.next)


def job_detail(history: History, job_id: str, client: str | None) -> JobDetail:
    """All of a job. Raises UnknownJobError."""
    job = history.job(job_id, client)
    notes: Mapping[str, Any] = history.notes(job_id)
    return JobDetail(
        **job_view(job).model_dump(),
        template=notes.get("template"),
        parameters=notes.get("parameters", {}),
        nodes=[NodeRunView.model_validate(run, from_attributes=True) for run in history.node_runs(job_id)],
        artifacts=[artifact_view(artifact) for artifact in history.artifacts(job_id)],
    )


def artifact_view(artifact: Artifact) -> ArtifactView:
    """A file, with where it is."""
    return ArtifactView(
        name=artifact.name,
        node=artifact.node,
        sha256=artifact.sha256,
        size_bytes=artifact.size_bytes,
        media_type=media_type(artifact.name),
        url=artifact_url(artifact.sha256),
    )


def artifact_url(sha256: str) -> str:
    """Where a file is."""
    return f"/v1/artifacts/{sha256}"


def job_url(job_id: str) -> str:
    """Where a job is."""
    return f"/v1/jobs/{job_id}"


def media_type(name: str) -> str:
    """The media type of a file, by its ending."""
    suffix = PurePosixPath(name).suffix.lower()
    return PICTURES.get(suffix) or mimetypes.types_map.get(suffix, "application/octet-stream")
