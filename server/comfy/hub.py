"""What all sockets of the protocol share: whose job is whose, how many wait, and what was told to its end."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, TypeVar

from aiohttp import web

from limner.server.clients import Client
from limner.server.comfy.kept import CLIENT_ID
from limner.server.jobs.job import FINAL, Job
from limner.server.jobs.search import Wanted
from limner.server.service import Service

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

GATHER_S: Final = 0.02
"""How long sockets that ask the same are gathered."""
MISSED_S: Final = 60.0
"""How long after its end a job is told to a client that comes back and was not told."""
_REMEMBERED: Final = 4096
"""Jobs whose labels, and whose ends, are remembered."""


class Hub:
    """Asks the store once for all sockets. Used on the event loop only."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._labels: OrderedDict[str, dict[str, str]] = OrderedDict()
        self._ended: OrderedDict[tuple[str, str, str], None] = OrderedDict()
        self._counts: dict[str | None, asyncio.Future[int]] = {}

    def class_name(self, node_type: str) -> str:
        """What the protocol calls a node type."""
        return self._service.comfy.classes.names.classes.get(node_type, node_type)

    async def labels(self, job_id: str) -> dict[str, str]:
        """The labels of a job, which never change while it runs."""
        if (found := self._labels.get(job_id)) is None:
            search = self._service.store.search
            found = (await self._service.aside(lambda: search.labels([job_id])))[job_id]
            remember(self._labels, job_id, found)
        return found

    async def waiting(self, client: Client) -> int:
        """How many jobs that a client sees wait or run, counted after this was asked."""
        if (counting := self._counts.get(client.sees)) is None:
            counting = self._counts[client.sees] = asyncio.ensure_future(self._count(client.sees))
            counting.add_done_callback(_heed)
        return await asyncio.shield(counting)

    async def _count(self, client: str | None) -> int:
        await asyncio.sleep(GATHER_S)
        del self._counts[client]  # whoever asks from now on may know of a later change
        wanted = Wanted(client=client, states=("pending", "in_progress"))
        return await self._service.aside(lambda: self._service.store.search.count(wanted))

    async def own_jobs(self, client: Client, sid: str, limit: int) -> list[Job]:
        """The jobs of a socket: the last that ended, those that run and those that wait; the oldest first."""
        label, search = (CLIENT_ID, sid), self._service.store.search

        def read() -> list[Job]:
            ended = search.page(Wanted(client.name, FINAL, label), limit=limit)
            running = search.page(Wanted(client.name, ["in_progress"], label), limit=limit)
            waiting = search.page(Wanted(client.name, ["pending"], label, is_descending=False), limit=limit)
            return [*ended[::-1], *running, *waiting]

        return await self._service.aside(read)

    def is_missed(self, client: Client, sid: str, job_id: str, finished: float) -> bool:
        """Whether a job has just ended, and no socket of this id was told so."""
        return finished > time.time() - MISSED_S and (client.name, sid, job_id) not in self._ended

    def note_end(self, client: Client, sid: str, job_id: str) -> None:
        """A socket was told of a job to its end."""
        remember(self._ended, (client.name, sid, job_id), None)


HUB: Final = web.AppKey("comfy", Hub)


def _heed(counting: asyncio.Future[int]) -> None:
    """Whoever asked may be gone when counting fails, as it does when the server ends."""
    if not counting.cancelled():
        counting.exception()


def remember(known: OrderedDict[K, V], key: K, value: V) -> None:
    """Keep the latest few."""
    known[key] = value
    known.move_to_end(key)
    if len(known) > _REMEMBERED:
        known.popitem(last=False)
