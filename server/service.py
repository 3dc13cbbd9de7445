"""The parts that answer requests, put together once and handed to every route."""

from __future__ import annotations

import asyncio
import json
import weakref
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from aiohttp import web

from limner.server.clients import Client
from limner.server.comfy.adapter import Adapter
from limner.server.feed import Feed
from limner.server.follower import Told
from limner.server.guard import Guard
from limner.server.jobs.job import Job
from limner.server.jobs.store import JobStore
from limner.server.limits import Limits
from limner.server.metrics import Metrics
from limner.server.readiness import Readiness
from limner.server.streams import Streams
from limner.server.submission import Submissions
from limner.server.uploads import Uploads

T = TypeVar("T")


class Crew(Protocol):
    """The workers, as a server sees them."""

    def ensure(self) -> None:
        """There is something to do: be there."""
        ...

    def watch(self, is_watched: bool) -> None:
        """Somebody wants to know of steps as they are made, or nobody any more."""
        ...

    def free_models(self) -> None:
        """Somebody wants the memory that models take, once no job needs them."""
        ...


@dataclass
class Service:
    """The state of a server. Used on the event loop only; what blocks goes ``aside``."""

    store: JobStore
    submissions: Submissions
    uploads: Uploads
    guard: Guard
    feed: Feed
    crew: Crew
    comfy: Adapter
    limits: Limits
    threads: Executor
    """For what waits for the store or a disk."""
    checkers: Executor
    """For checking graphs: few, so that others get the interpreter too."""
    planners: Executor
    """For planning, which may take long: nobody's graph waits for that of another to be planned."""
    streams: Streams
    readiness: Readiness
    metrics: Metrics = field(default_factory=Metrics)
    large: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(4))
    """Who sends much at a time."""
    models: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    """By worker, what it told of the models that are alive in it."""
    followers: int = 0
    """Connections that follow events."""
    sockets: weakref.WeakSet[web.WebSocketResponse] = field(default_factory=weakref.WeakSet)
    """Those of them that must be told when the server ends."""
    unheard: dict[web.RequestHandler, asyncio.TimerHandle] = field(default_factory=dict)
    """Connections that have asked nothing yet, with what cuts them."""

    def heard(self, request: web.Request) -> None:
        """A request has come whole, but for its body: its connection is not cut for saying nothing."""
        if (timer := self.unheard.pop(request.protocol, None)) is not None:
            timer.cancel()

    async def aside(self, work: Callable[[], T]) -> T:
        """What a method of the store gives."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, work)

    async def compute(self, work: Callable[[], T]) -> T:
        """What checking gives."""
        return await asyncio.get_running_loop().run_in_executor(self.checkers, work)

    async def plan(self, work: Callable[[], T]) -> T:
        """What planning gives."""
        return await asyncio.get_running_loop().run_in_executor(self.planners, work)

    def hear(self, worker: str, said: Mapping[str, Any], picture: bytes) -> None:
        """A worker told of a step, a preview, its models or what it counted; or is told of, because it died."""
        match said["kind"]:
            case "models":
                self.models[worker] = said["models"]
                if not said["models"]:
                    del self.models[worker]
                self.feed.wake()  # a job has just ended
            case "tally":
                self.metrics.attempted(said)
            case "death":
                self.metrics.worker_deaths += 1
            case _:
                self._tell_latest(said, picture)

    def _tell_latest(self, said: Mapping[str, Any], picture: bytes) -> None:
        body = json.dumps({name: value for name, value in said.items() if name not in ("kind", "job")})
        told = Told(said["kind"], said["job"], body, picture=picture or None)
        self.feed.tell_latest(told, said["node"])

    @contextmanager
    def following(self, client: Client) -> Iterator[None]:
        """Within, a client follows events. Raises Refused where too many do."""
        with self.streams.held(client):
            self.followers += 1
            if self.followers == 1:
                self.crew.watch(True)
            try:
                yield
            finally:
                self.followers -= 1
                if self.followers == 0:
                    self.crew.watch(False)

    async def change(self, work: Callable[[], Job]) -> Job:
        """A job as it is after a client changed it; whoever follows hears of it."""
        job = await self.aside(work)
        self.feed.change(job)
        if job.state == "pending" and not job.is_paused:
            self.crew.ensure()
        return job
