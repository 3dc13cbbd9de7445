"""Jobs: handing them in, looking at them, steering them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from http import HTTPStatus
from typing import Annotated, Any, Final

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from limner.server.clients import Client
from limner.server.jobs.history import MAX_PAGE
from limner.server.jobs.job import Job, NewJob, State
from limner.server.jobs.queue import MAX_PRIORITY
from limner.server.jobs.spans import TRACEPARENT
from limner.server.problem import Refused
from limner.server.route import Routes, json_response
from limner.server.service import Service
from limner.server.submission import GraphRequest, Submission
from limner.server.views import JobDetail, JobPage, JobView, job_detail, job_page, job_url, job_view

routes = Routes()

_TRACEPARENT: Final = re.compile("[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


class JobRequest(GraphRequest):
    """A graph or a template to run, and how soon."""

    priority: int = Field(
        default=0,
        ge=-MAX_PRIORITY,
        le=MAX_PRIORITY,
        description="Higher ones run first. Above 0 needs the right admin.",
    )


class JobHeaders(BaseModel):
    """What may be said in headers."""

    idempotency_key: str | None = Field(
        default=None,
        alias="Idempotency-Key",
        pattern=r"^[\x21-\x7e]{1,200}$",
        description="The same key is the same job, however often it is sent.",
    )
    traceparent: str | None = Field(
        default=None, description="The span that the job's are below (W3C Trace Context). What is none is passed over."
    )


class JobsQuery(BaseModel):
    """Which jobs."""

    model_config = ConfigDict(extra="forbid")

    state: State | None = None
    client: str | None = Field(default=None, max_length=64, description="Those of one; of another needs ``admin``.")
    after: str | None = Field(default=None, pattern="^[0-9a-f]{32}$", description="``next`` of the page before.")
    limit: int = Field(default=100, ge=1, le=MAX_PAGE)


class PlaceRequest(BaseModel):
    """A place in the queue."""

    model_config = ConfigDict(extra="forbid", strict=True)

    index: int = Field(ge=0, le=1_000_000, description="From 0, among the client's waiting jobs of this priority.")


class PriorityRequest(BaseModel):
    """Another priority."""

    model_config = ConfigDict(extra="forbid", strict=True)

    priority: int = Field(ge=-MAX_PRIORITY, le=MAX_PRIORITY)


class Graph(BaseModel):
    """A graph in the format of graph files."""

    model_config = ConfigDict(extra="allow")

    limner: int
    name: str
    nodes: dict[str, Any]


@routes.add(
    "POST",
    "/v1/jobs",
    status=HTTPStatus.CREATED,
    refusals=[HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS],
)
async def submit_job(
    service: Service, client: Client, headers: JobHeaders, body: JobRequest
) -> Annotated[web.StreamResponse, JobView]:
    """Hand in a job. Its graph is checked at once, and every fault of it said; then the job outlives the server."""
    submission = traced(await service.compute(lambda: service.submissions.check(body)), headers)
    job = await accept(service, client, submission, body.priority, headers.idempotency_key)
    return json_response(job_view(job), HTTPStatus.CREATED, Location=job_url(job.id))


def traced(submission: Submission, headers: JobHeaders) -> Submission:
    """With the span of who hands it in, where it names one."""
    if headers.traceparent is None or not _TRACEPARENT.fullmatch(headers.traceparent):
        return submission
    return replace(submission, notes={**submission.notes, TRACEPARENT: headers.traceparent})


async def accept(service: Service, client: Client, submission: Submission, priority: int, key: str | None) -> Job:
    """Queue what was checked. Raises Refused."""
    if priority > 0 and not client.is_admin:
        raise Refused(HTTPStatus.FORBIDDEN, "a priority above 0 needs the right admin")
    document = await service.compute(lambda: submission.document)
    graph = await service.compute(document.to_json)
    new = NewJob(graph, document.name, client.name, priority, key, submission.notes, submission.labels)

    def work() -> Job:
        if service.store.history.count_waiting(client.name) >= service.limits.waiting:
            message = f"{service.limits.waiting} jobs of yours wait already"
            raise Refused(HTTPStatus.TOO_MANY_REQUESTS, message, headers={"Retry-After": "30"})
        job = service.store.queue.accept(new)
        if key is not None and json.loads(service.store.history.graph(job.id)) != json.loads(graph):
            hint = "take a new key for another job"
            raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, "this Idempotency-Key was used for another graph", hint=hint)
        return job

    return await service.change(work)


@routes.add("GET", "/v1/jobs", refusals=[HTTPStatus.FORBIDDEN])
async def list_jobs(service: Service, client: Client, query: JobsQuery) -> JobPage:
    """Jobs, the newest first; of an admin those of all clients."""
    history, whose = service.store.history, whose_jobs(client, query.client)
    page = await service.aside(
        lambda: history.page(state=query.state, client=whose, after=query.after, limit=query.limit)
    )
    return job_page(page)


def whose_jobs(client: Client, named: str | None) -> str | None:
    """Whose jobs a list has: None is everybody's. Raises Refused for those of another."""
    if named is not None and client.sees not in (None, named):
        raise Refused(HTTPStatus.FORBIDDEN, "the jobs of another client need the right admin")
    return client.sees if named is None else named


@routes.add("GET", "/v1/jobs/{job_id}")
async def get_job(service: Service, client: Client, job_id: str) -> JobDetail:
    """A job, with what its nodes did and the files that it gave."""
    return await service.aside(lambda: job_detail(service.store.history, job_id, client.sees))


@routes.add("GET", "/v1/jobs/{job_id}/graph")
async def get_graph(service: Service, client: Client, job_id: str) -> Annotated[web.StreamResponse, Graph]:
    """The graph of a job, with the values that it was handed in with."""
    text = await service.aside(lambda: service.store.history.graph(job_id, client.sees))
    return web.Response(text=text, content_type="application/json")


@routes.add("POST", "/v1/jobs/{job_id}/cancel")
async def cancel_job(service: Service, client: Client, job_id: str) -> JobView:
    """End a job: at once where it waits, after its step where it runs. Of one that has ended, nothing."""
    return job_view(await service.change(lambda: service.store.queue.cancel(job_id, client.sees)))


@routes.add("POST", "/v1/jobs/{job_id}/pause", refusals=[HTTPStatus.CONFLICT])
async def pause_job(service: Service, client: Client, job_id: str) -> JobView:
    """Hold a job back. One that runs stops after its step, and goes on from there when it is resumed."""
    return job_view(await service.change(lambda: service.store.queue.pause(job_id, client.sees)))


@routes.add("POST", "/v1/jobs/{job_id}/resume", refusals=[HTTPStatus.CONFLICT])
async def resume_job(service: Service, client: Client, job_id: str) -> JobView:
    """Let a paused job wait for its turn again."""
    return job_view(await service.change(lambda: service.store.queue.resume(job_id, client.sees)))


@routes.add("POST", "/v1/jobs/{job_id}/retry", refusals=[HTTPStatus.CONFLICT])
async def retry_job(service: Service, client: Client, job_id: str) -> JobView:
    """Let a job that failed or was cancelled wait again. What it finished is not computed again."""
    return job_view(await service.change(lambda: service.store.queue.retry(job_id, client.sees)))


@routes.add("POST", "/v1/jobs/{job_id}/move", refusals=[HTTPStatus.CONFLICT])
async def move_job(service: Service, client: Client, job_id: str, body: PlaceRequest) -> JobView:
    """Give a waiting job another place among those of its client. Nobody else waits longer or less."""
    return job_view(await service.change(lambda: service.store.queue.move(job_id, body.index, client.sees)))


@routes.add("POST", "/v1/jobs/{job_id}/priority", refusals=[HTTPStatus.FORBIDDEN, HTTPStatus.CONFLICT])
async def set_priority(service: Service, client: Client, job_id: str, body: PriorityRequest) -> JobView:
    """Give a waiting job another priority."""
    if body.priority > 0 and not client.is_admin:
        raise Refused(HTTPStatus.FORBIDDEN, "a priority above 0 needs the right admin")
    return job_view(await service.change(lambda: service.store.queue.set_priority(job_id, body.priority, client.sees)))
