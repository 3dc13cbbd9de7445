"""What waits and runs, and what has ended: the queue, the history, and the list of jobs that the editor shows."""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, Literal, get_args

from aiohttp import web
from pydantic import BaseModel, Field

from limner.server.clients import Client
from limner.server.comfy.entries import Entries
from limner.server.comfy.find import find_job
from limner.server.comfy.kept import MAX_LABEL, WORKFLOW_ID
from limner.server.comfy.said import read_said, texts_in
from limner.server.jobs.history import MAX_PAGE
from limner.server.jobs.job import FINAL, Job, State
from limner.server.jobs.search import Wanted
from limner.server.problem import Refused
from limner.server.route import Routes
from limner.server.service import Service

routes = Routes()

MAX_QUEUE: Final = 200
"""Jobs that the queue lists: each with its whole graph. ``/prompt`` says how many there are."""
MAX_ENTRIES: Final = 200
"""Jobs of the history, where a client does not say how many it wants."""


class HistoryQuery(BaseModel):
    """Which part of the history. Its first job is the oldest; without an offset the latest are meant."""

    max_items: int | None = Field(default=None, ge=0)
    offset: int = Field(default=-1, lt=2**31)


class JobsQuery(BaseModel):
    """Which jobs, and in which order."""

    status: str = ""
    workflow_id: str | None = Field(default=None, max_length=MAX_LABEL)
    sort_by: Literal["created_at", "execution_duration"] = "created_at"
    sort_order: Literal["asc", "desc"] = "desc"
    limit: int = Field(default=MAX_ENTRIES, ge=1)
    offset: int = Field(default=0, ge=0, lt=2**31)


@routes.add("GET", "/queue")
async def list_queue(service: Service, client: Client) -> web.StreamResponse:
    """What runs and what waits, in order."""
    classes, store = service.comfy.classes, service.store

    def read() -> dict[str, Any]:
        running = store.search.page(Wanted(client.sees, ["in_progress"], is_descending=False))
        waiting = store.history.waiting(client=client.sees, limit=MAX_QUEUE).jobs
        return {
            "queue_running": Entries(store, running, classes).queued(),
            "queue_pending": Entries(store, waiting, classes).queued(),
        }

    return await _answer(service, read)


@routes.add("GET", "/history")
async def list_history(service: Service, client: Client, query: HistoryQuery) -> web.StreamResponse:
    """What has ended, the last to end last."""
    classes, search = service.comfy.classes, service.store.search
    limit = min(MAX_ENTRIES if query.max_items is None else query.max_items, MAX_PAGE)

    def read() -> dict[str, Any]:
        if query.offset < 0:
            found = search.page(Wanted(client.sees, FINAL, sort_by="finished"), limit=limit)[::-1]
        else:
            ended = Wanted(client.sees, FINAL, sort_by="finished", is_descending=False)
            found = search.page(ended, query.offset, limit)
        return Entries(service.store, found, classes).history()

    return await _answer(service, read)


@routes.add("GET", "/history/{prompt_id}")
async def get_history(service: Service, client: Client, prompt_id: str) -> web.StreamResponse:
    """A job that has ended; of one that has not, nothing yet."""
    classes = service.comfy.classes

    def read() -> dict[str, Any]:
        job = find_job(service.store, client, prompt_id)
        return Entries(service.store, [job] if job is not None and job.state in FINAL else [], classes).history()

    return await _answer(service, read)


@routes.add("POST", "/history", takes="application/json")
async def change_history(service: Service, client: Client, request: web.Request) -> web.StreamResponse:
    """Take jobs off the lists: all of the client's with ``clear``, or those of ``delete``. Their files stay."""
    said = await read_said(service, request)
    ids, search = texts_in(said, "delete"), service.store.search

    def change() -> None:
        if said.get("clear") is True:
            search.hide(client.name)
        found = (find_job(service.store, client, prompt_id) for prompt_id in ids)
        search.hide(client.sees, [job.id for job in found if job is not None])

    await service.aside(change)
    return web.Response()


@routes.add("GET", "/jobs")
async def list_editor_jobs(service: Service, client: Client, query: JobsQuery) -> web.StreamResponse:
    """Jobs in pages, without their graphs."""
    wanted = Wanted(
        client.sees,
        _states(query.status),
        None if query.workflow_id is None else (WORKFLOW_ID, query.workflow_id),
        "duration" if query.sort_by == "execution_duration" else "created",
        query.sort_order == "desc",
    )
    limit, classes = min(query.limit, MAX_PAGE), service.comfy.classes

    def read() -> dict[str, Any]:
        search = service.store.search
        total, found = search.count(wanted), search.page(wanted, query.offset, limit)
        more = query.offset + len(found) < total
        pages = {"offset": query.offset, "limit": limit, "total": total, "has_more": more}
        return {"jobs": Entries(service.store, found, classes).listed(), "pagination": pages}

    return await _answer(service, read)


@routes.add("GET", "/jobs/{prompt_id}")
async def get_editor_job(service: Service, client: Client, prompt_id: str) -> web.StreamResponse:
    """A job with its graph and all that its nodes show."""
    classes = service.comfy.classes

    def read() -> dict[str, Any]:
        job = known_job(service, client, prompt_id)
        return Entries(service.store, [job], classes).detailed()[0]

    return await _answer(service, read)


def _states(text: str) -> list[State]:
    """The states that a client lists; none is any. Raises Refused where none of them is known."""
    found = [state for state in get_args(State) if state in text.split(",")]
    if text and not found:
        raise Refused(HTTPStatus.BAD_REQUEST, f"status is some of {', '.join(get_args(State))}")
    return found


def known_job(service: Service, client: Client, prompt_id: str) -> Job:
    """The job that a client means. Blocks; raises Refused where it sees none."""
    job = find_job(service.store, client, prompt_id)
    if job is None:
        raise Refused(HTTPStatus.NOT_FOUND, f"there is no job {prompt_id[:MAX_LABEL]}")
    return job


async def _answer(service: Service, read: Callable[[], dict[str, Any]]) -> web.Response:
    """What was read, as JSON. Graphs of others may be large: few are written at a time."""
    text = await service.compute(lambda: as_text(read()))
    return web.Response(text=text, content_type="application/json")


def as_text(found: Any, levels: int = 2) -> str:
    """As JSON, part by part: while one part is written, which is one call, no other thread runs."""
    if levels and isinstance(found, dict):
        return f"{{{','.join(f'{json.dumps(name)}:{as_text(one, levels - 1)}' for name, one in found.items())}}}"
    if levels and isinstance(found, list):
        return f"[{','.join(as_text(one, levels - 1) for one in found)}]"
    return json.dumps(found)
