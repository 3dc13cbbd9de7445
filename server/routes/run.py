"""A template and a prompt in, a picture out: all that a script needs."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from http import HTTPStatus
from typing import Annotated, Any, Final

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, RootModel

from limner.server.clients import Client
from limner.server.jobs.job import Job
from limner.server.problem import Refused
from limner.server.route import Routes, json_response
from limner.server.routes.artifacts import artifact_response
from limner.server.routes.jobs import JobHeaders, accept, traced
from limner.server.service import Service
from limner.server.submission import GraphRequest
from limner.server.views import PICTURES, ArtifactView, JobDetail, JobView, job_detail, job_url, job_view, media_type

routes = Routes()

MAX_WAIT_S: Final = 3600.0


class Parameters(RootModel[dict[str, Any]]):
    """Values for the template's parameters, by name."""


class RunQuery(BaseModel):
    """How to answer."""

    model_config = ConfigDict(extra="forbid")

    wait: bool = Field(default=False, description="Answer when the job has ended.")
    timeout_s: float = Field(default=600.0, gt=0, le=MAX_WAIT_S, description="How long to wait at most.")


@routes.add(
    "POST",
    "/v1/run/{template}",
    status=HTTPStatus.ACCEPTED,
    produces={HTTPStatus.OK: "image/*"},
    also={HTTPStatus.OK: JobDetail},
    refusals=[HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.CONFLICT],
)
async def run_template(
    service: Service,
    client: Client,
    request: web.Request,
    template: str,
    query: RunQuery,
    headers: JobHeaders,
    body: Parameters,
) -> Annotated[web.StreamResponse, JobView]:
    """Run a template. With ``wait`` the answer is the picture itself, or the job where JSON is what is accepted.

    A job that is not waited for, or takes longer, is answered with 202 and where it is. It goes on when the
    client goes.
    """
    if template not in await service.compute(service.submissions.session.library.names):
        raise Refused(HTTPStatus.NOT_FOUND, f"there is no template {template!r}", hint="GET /v1/templates lists them")
    asked = GraphRequest(template=template, parameters=body.root)
    submission = traced(await service.compute(lambda: service.submissions.check(asked)), headers)
    with service.streams.held(client) if query.wait else nullcontext():  # refused before the job is there
        job = await accept(service, client, submission, 0, headers.idempotency_key)
        ended = await _wait_for(service, job, query.timeout_s) if query.wait else None
    if ended is None:
        return json_response(job_view(job), HTTPStatus.ACCEPTED, Location=job_url(job.id))
    detail = await service.aside(lambda: job_detail(service.store.history, ended.id, None))
    return await _answer(service, request, detail)


async def _wait_for(service: Service, job: Job, timeout_s: float) -> Job | None:
    try:
        async with asyncio.timeout(timeout_s):
            return await service.feed.until_final(job.id)
    except TimeoutError:
        return None


async def _answer(service: Service, request: web.Request, job: JobDetail) -> web.StreamResponse:
    """The first picture of a job that has ended, or what became of it."""
    if not wants_picture(request.headers.get("Accept", "*/*")):
        return json_response(job, Location=job_url(job.id))
    if job.state == "cancelled":
        raise Refused(HTTPStatus.CONFLICT, "the job was cancelled", headers={"Location": job_url(job.id)})
    if job.state == "failed":
        message = job.message or "the job failed"
        raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, message, hint=job.hint, headers={"Location": job_url(job.id)})
    picture = _first_picture(job.artifacts)
    if picture is None:
        return json_response(job, Location=job_url(job.id))
    answer = await artifact_response(service, request, picture.name, picture.sha256)
    answer.headers["Location"] = job_url(job.id)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _first_picture(artifacts: list[ArtifactView]) -> ArtifactView | None:
    return next((artifact for artifact in artifacts if media_type(artifact.name) in PICTURES.values()), None)


def wants_picture(accept: str) -> bool:
    """Whether a picture is what a client would rather have than JSON.

    >>> [wants_picture(accept) for accept in ("*/*", "application/json", "image/png, application/json;q=0.5")]
    [True, False, True]
    """
    picture = _weight(accept, "image")
    return picture > 0 and picture >= _weight(accept, "application/json")


def _weight(accept: str, wanted: str) -> float:
    """How much a client wants a media type, or a kind of them: the weight of the range that names it best."""
    best = (-1, 0.0)
    for part in accept.split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        kind = wanted.partition("/")[0]
        rank = (
            2 if name == wanted or (wanted == kind and name.startswith(f"{kind}/")) else 1 if name == f"{kind}/*" else 0
        )
        if rank == 0 and name != "*/*":
            continue
        quality = next((piece[2:] for piece in parameters if piece.startswith("q=")), "1")
        try:
            best = max(best, (rank, float(quality)))
        except ValueError:
            continue
    return best[1]
