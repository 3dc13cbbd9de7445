"""The queue as a whole."""

from __future__ import annotations

from http import HTTPStatus

from pydantic import BaseModel, ConfigDict, Field

from limner.server.clients import Client
from limner.server.jobs.history import MAX_PAGE
from limner.server.route import Routes
from limner.server.routes.jobs import whose_jobs
from limner.server.service import Service
from limner.server.views import QueueView, job_page

routes = Routes()


class QueueQuery(BaseModel):
    """Which waiting jobs."""

    model_config = ConfigDict(extra="forbid")

    paused: bool = Field(default=False, description="Those that are held back, instead.")
    client: str | None = Field(default=None, max_length=64, description="Those of one; of another needs ``admin``.")
    after: str | None = Field(default=None, pattern="^[0-9a-f]{32}$", description="``next`` of the page before.")
    limit: int = Field(default=100, ge=1, le=MAX_PAGE)


@routes.add("GET", "/v1/queue", refusals=[HTTPStatus.FORBIDDEN])
async def get_queue(service: Service, client: Client, query: QueueQuery) -> QueueView:
    """Waiting jobs in the order in which they will run; of an admin those of all clients."""
    history, whose = service.store.history, whose_jobs(client, query.client)

    def work() -> QueueView:
        page = history.waiting(client=whose, is_paused=query.paused, after=query.after, limit=query.limit)
        return QueueView(**job_page(page).model_dump(), is_paused=history.is_paused())

    return await service.aside(work)


@routes.add("POST", "/v1/queue/pause", needs_admin=True)
async def pause_queue(service: Service) -> None:
    """Let no job begin. Those that run go on."""
    await service.aside(service.store.queue.pause_all)
    service.feed.wake()


@routes.add("POST", "/v1/queue/resume", needs_admin=True)
async def resume_queue(service: Service) -> None:
    """Let jobs begin again."""
    await service.aside(service.store.queue.resume_all)
    service.feed.wake()
    service.crew.ensure()
