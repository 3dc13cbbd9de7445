"""One socket of the protocol: what was told to it, and what is next, at the pace at which it reads.

One that comes back is told how its jobs stand. Nothing is queued for one that reads slowly: see ``server/feed.py``.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final

from aiohttp import WSMsgType, web

from limner.server.body import parse_json
from limner.server.comfy import messages as say
from limner.server.comfy.features import features
from limner.server.comfy.hub import Hub, remember
from limner.server.comfy.kept import CLIENT_ID, PREVIEWS, prompt_id
from limner.server.comfy.line import Line
from limner.server.comfy.telling import Reader, Telling
from limner.server.follower import Follower, Told
from limner.server.jobs.errors import UnknownJobError
from limner.server.problem import Refused
from limner.server.service import Service

HELLO_S: Final = 0.1
"""How long a client may take to say what it can read, before it is told of its jobs."""
STATUS_S: Final = 0.2
"""At most so often it is told how many jobs wait: editors read their lists again each time."""


class Listener:
    """One socket, and what was told to it."""

    def __init__(self, service: Service, hub: Hub, follower: Follower, sid: str, socket: web.WebSocketResponse) -> None:
        self._service = service
        self._hub = hub
        self._follower = follower
        self._client = follower.client
        self._sid = sid
        self._socket = socket
        self.line = Line(socket, self._picture)
        self._reader = Reader()
        self._has_spoken = asyncio.Event()
        self._has_changed = asyncio.Event()
        """Whether more or fewer jobs may wait than it was told."""
        self._tellings: dict[str, Telling] = {}
        self._over: OrderedDict[str, None] = OrderedDict()
        """Jobs that it was told of to their end."""
        self._since = time.time()

    async def hear(self) -> None:
        """Note what the client says that it can read, until it goes. Anything else that it says means nothing here."""
        async for message in self._socket:
            await self.line.hear(message)
            if message.type is WSMsgType.TEXT:
                with suppress(Refused):
                    await self._note_said(parse_json(message.data))
                self._has_spoken.set()

    async def _note_said(self, said: Any) -> None:
        if isinstance(said, dict) and said.get("type") == "feature_flags" and isinstance(said.get("data"), dict):
            flags = said["data"]
            self._reader.has_flags = True
            self._reader.has_metadata = flags.get("supports_preview_metadata") is True
            self._reader.has_text_metadata = flags.get("supports_progress_text_metadata") is True
            await self.line.send([say.message("feature_flags", **features(self._service.limits))])

    async def tell_status(self) -> None:
        """Tell how many jobs wait, at once and whenever that may have changed."""
        await self.line.send([say.status(await self._hub.waiting(self._client), self._sid)])
        while True:
            await self._has_changed.wait()
            self._has_changed.clear()
            await self.line.send([say.status(await self._hub.waiting(self._client))])
            await asyncio.sleep(STATUS_S)

    async def tell_jobs(self) -> None:
        """Tell of the client's jobs: first of those that it missed, then of what comes."""
        with suppress(TimeoutError):
            async with asyncio.timeout(HELLO_S):
                await self._has_spoken.wait()
        await self._catch_up()
        while True:
            await self._tell(await self._service.feed.next(self._follower))

    async def _catch_up(self) -> None:
        for job in await self._hub.own_jobs(self._client, self._sid, self._service.limits.followed):
            if self._is_news(job.id, job.finished):
                await self._follow(job.id)

    def _is_news(self, job_id: str, finished: float | None) -> bool:
        """Whether to tell of a job: it has not ended, or its end was not told."""
        if finished is None:
            return True
        if job_id in self._over:
            return False
        return finished >= self._since or self._hub.is_missed(self._client, self._sid, job_id, finished)

    async def _tell(self, news: Iterable[Told]) -> None:
        by_job: dict[str, list[Told]] = {}
        for told in news:
            match told.kind:
                case "job":
                    await self._note_job(json.loads(told.body))
                case "resync":
                    self._has_changed.set()
                    await self._catch_up()
                case "gone":
                    self._tellings.pop(told.job, None)
                case _:
                    by_job.setdefault(told.job, []).append(told)
        for job_id, of_job in by_job.items():
            if (telling := self._tellings.get(job_id)) is not None:
                await self.line.send(telling.tell(of_job))
                self._let_go_of(telling)

    async def _note_job(self, job: dict[str, Any]) -> None:
        """A job changed that the client sees: more or fewer wait, and it may be one of this socket's."""
        self._has_changed.set()
        is_known = job["id"] in self._tellings or job["client"] != self._client.name
        if is_known or (await self._hub.labels(job["id"])).get(CLIENT_ID) != self._sid:
            return
        has_room = job["state"] != "pending" or len(self._tellings) < self._service.limits.followed
        if has_room and self._is_news(job["id"], job.get("finished")):
            await self._follow(job["id"])

    async def _follow(self, job_id: str) -> None:
        """Tell of a job from its first event on."""
        if job_id in self._tellings:
            return
        labels = await self._hub.labels(job_id)
        self._tellings[job_id] = Telling(
            job_id,
            prompt_id(job_id, labels),
            self._reader,
            self._hub.class_name,
            wants_previews=PREVIEWS in labels,
        )
        try:
            await self._service.feed.follow(self._follower, job_id, 0)
        except UnknownJobError:  # it was forgotten since
            del self._tellings[job_id]

    def _let_go_of(self, telling: Telling) -> None:
        if telling.is_over:
            del self._tellings[telling.job_id]
            self._service.feed.unfollow(self._follower, telling.job_id)
            self._hub.note_end(self._client, self._sid, telling.job_id)
            remember(self._over, telling.job_id, None)

    async def _picture(self, sha256: str) -> bytes:
        """A picture of the store. Raises FileNotFoundError."""
        return await self._service.aside(self._service.store.blobs.path(sha256).read_bytes)
