"""A job on a server, as the program that handed it in holds it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, Final

from limner.client.answers import JobDetail, JobEvent, JobInfo, RawGraph
from limner.client.async_result import AsyncResult
from limner.client.follow import follow
from limner.client.http import Http

PATIENCE_S: Final = 600.0
"""How long a server may be away before whoever follows a job is told."""


class AsyncJob:
    """A job by its id. Nothing is kept of it here, so any number of programs may hold the same one."""

    def __init__(self, http: Http, job_id: str) -> None:
        self._http = http
        self.id = job_id

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} on {self._http.address.url}>"

    async def detail(self) -> JobDetail:
        """How it stands, what its nodes did, and its files. Raises InputError where there is no such job."""
        return await self._http.ask(JobDetail, "GET", f"/v1/jobs/{self.id}")

    async def graph(self) -> Mapping[str, Any]:
        """The graph that it runs."""
        return (await self._http.ask(RawGraph, "GET", f"/v1/jobs/{self.id}/graph")).root

    def events(self, after: int = 0, *, patience_s: float = PATIENCE_S) -> AsyncGenerator[JobEvent, None]:
        """What happened to it after its event ``after``, and what happens, until it has ended.

        Where the line breaks or the server is started again it goes on where it was; RemoteError is raised when the
        server was away for ``patience_s``.
        """
        return follow(self._http, self.id, after, patience_s)

    async def wait(self, timeout_s: float | None = None) -> AsyncResult:
        """What it gave, once it has ended, failed or not. Raises TimeoutError where it has not in time: it goes on."""
        faults: tuple[Mapping[str, Any], ...] = ()
        try:
            async with asyncio.timeout(timeout_s):
                job = await self.detail()
                while True:
                    after = job.last_seq - 1 if job.is_over else job.last_seq
                    async with aclosing(self.events(after)) as events:
                        async for event in events:
                            if event.kind == "finished":
                                faults = tuple(event.body.get("faults") or ())
                    job = await self.detail()
                    if job.is_over:
                        return AsyncResult(self._http, job, faults)
        except TimeoutError:
            raise TimeoutError(f"job {self.id} has not ended within {timeout_s:g} s; it goes on") from None

    async def result(self) -> AsyncResult:
        """What there is of it by now: its files, and how far it is."""
        return AsyncResult(self._http, await self.detail())

    async def cancel(self) -> JobInfo:
        """End it: at once where it waits, after its step where it runs. Of one that has ended, nothing."""
        return await self._do("cancel")

    async def pause(self) -> JobInfo:
        """Hold it back; one that runs stops after its step."""
        return await self._do("pause")

    async def resume(self) -> JobInfo:
        """Let it wait for its turn again."""
        return await self._do("resume")

    async def retry(self) -> JobInfo:
        """Let it wait again after it failed or was cancelled. What it finished is not computed again."""
        return await self._http.ask(JobInfo, "POST", f"/v1/jobs/{self.id}/retry", {}, is_repeatable=False)

    async def move(self, index: int) -> JobInfo:
        """Give it another place, from 0, among the waiting jobs of its client."""
        return await self._do("move", {"index": index})

    async def set_priority(self, priority: int) -> JobInfo:
        """Give it another priority; above 0 needs the right ``admin``."""
        return await self._do("priority", {"priority": priority})

    async def _do(self, what: str, body: Mapping[str, Any] | None = None) -> JobInfo:
        return await self._http.ask(JobInfo, "POST", f"/v1/jobs/{self.id}/{what}", body or {})
