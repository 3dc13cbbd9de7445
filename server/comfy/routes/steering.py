"""Ending jobs: those that wait, the one that runs, some of the editor's list; and letting models go."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from limner.server.clients import Client
from limner.server.comfy.find import find_job
from limner.server.comfy.routes.lists import known_job
from limner.server.comfy.said import read_said, texts_in
from limner.server.jobs.job import FINAL, Job
from limner.server.jobs.search import Wanted
from limner.server.problem import Refused
from limner.server.route import Routes
from limner.server.service import Service

routes = Routes()


@routes.add("POST", "/queue", takes="application/json")
async def change_queue(service: Service, client: Client, request: web.Request) -> web.StreamResponse:
    """Take jobs out of the queue: all of the client's with ``clear``, or those of ``delete``. What runs goes on."""
    said = await read_said(service, request)
    if said.get("clear") is True:
        await service.aside(lambda: service.store.queue.cancel_waiting(client.name))
        service.feed.wake()
    for prompt_id in texts_in(said, "delete"):
        job = await _find(service, client, prompt_id)
        if job is not None and job.state == "pending":
            await _cancel(service, client, job)
    return web.Response()


@routes.add("POST", "/interrupt", takes="application/json")
async def interrupt(service: Service, client: Client, request: web.Request) -> web.StreamResponse:
    """End what runs: the job of ``prompt_id``, or without one whatever runs of the client's."""
    said = await read_said(service, request)
    if said:
        prompt_id = said.get("prompt_id")
        if not isinstance(prompt_id, str) or not prompt_id:
            raise Refused(HTTPStatus.BAD_REQUEST, "prompt_id is the id of a job; send {} to end whatever runs")
        found = await _find(service, client, prompt_id)
        running = [found] if found is not None and found.state == "in_progress" else []
    else:
        running = await service.aside(lambda: service.store.search.page(Wanted(client.name, ["in_progress"])))
    for job in running:
        await _cancel(service, client, job)
    return web.Response()


@routes.add("POST", "/free", takes="application/json")
async def free(service: Service, request: web.Request) -> web.StreamResponse:
    """Have the models leave that no job needs, once the one that runs has ended."""
    said = await read_said(service, request)
    if said.get("unload_models") is True or said.get("free_memory") is True:
        service.crew.free_models()
    return web.Response()


@routes.add("POST", "/jobs/{prompt_id}/cancel", takes="application/json")
async def cancel_editor_job(
    service: Service, client: Client, request: web.Request, prompt_id: str
) -> web.StreamResponse:
    """End a job, whether it waits or runs."""
    await read_said(service, request)
    job = await service.aside(lambda: known_job(service, client, prompt_id))
    return web.json_response({"cancelled": await _cancel(service, client, job)})


@routes.add("POST", "/jobs/cancel", takes="application/json")
async def cancel_editor_jobs(service: Service, client: Client, request: web.Request) -> web.StreamResponse:
    """End several jobs, whether they wait or run; those that are unknown are none."""
    ids = texts_in(await read_said(service, request), "job_ids")
    found = [await _find(service, client, prompt_id) for prompt_id in ids]
    done = [await _cancel(service, client, job) for job in found if job is not None]
    return web.json_response({"cancelled": any(done)})


async def _find(service: Service, client: Client, prompt_id: str) -> Job | None:
    return await service.aside(lambda: find_job(service.store, client, prompt_id))


async def _cancel(service: Service, client: Client, job: Job) -> bool:
    """End a job. Gives whether there was anything to end."""
    await service.change(lambda: service.store.queue.cancel(job.id, client.sees))
    return job.state not in FINAL
