"""The client of ``limner serve``, for programs that are asynchronous themselves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from uuid import uuid4

from pydantic import SecretStr

from limner.client.address import find_address
from limner.client.answers import (
    JobInfo,
    JobPage,
    ModelInfo,
    ModelList,
    NodeInfo,
    NodeList,
    PlanInfo,
    State,
    Template,
    TemplateDetail,
    TemplateList,
    Upload,
    Verdict,
)
from limner.client.async_job import AsyncJob
from limner.client.async_result import AsyncResult
from limner.client.http import Http
from limner.client.outgoing import Outgoing
from limner.client.refusal import faults_of
from limner.engine.errors import GraphError
from limner.nodes._user_pictures import content_of
from limner.session import GraphLike

PAGE: Final = 100
_LETTING_GO_S: Final = 10.0


class AsyncClient:
    """A server, as ``limner.Session`` is this machine.

    ``url`` is ``LIMNER_SERVER`` otherwise, or this machine. The token is ``token``, what ``token_file`` holds, or
    ``LIMNER_TOKEN``; over plain http it goes to this machine only. A request may take ``timeout_s`` with all its tries,
    of which there are ``1 + retries``. Raises InputError where these are wrong; methods raise the errors of local runs,
    and RemoteError where the server is not there or answers what it should not.

    Graphs are what ``limner.run`` takes: a name is that of a template of the server, or else of one that is here; a
    path, a picture, a document and a composed graph are sent. Pictures that their settings name go along.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | SecretStr | None = None,
        token_file: str | Path | None = None,
        timeout_s: float = 300.0,
        retries: int = 4,
    ) -> None:
        self._http = Http(find_address(url, token, token_file), timeout_s=timeout_s, retries=retries)
        self._outgoing = Outgoing(self._http)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.url}>"

    @property
    def url(self) -> str:
        """Where the server is."""
        return self._http.address.url

    async def close(self) -> None:
        """Let the connections go. Jobs go on."""
        await self._http.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def run(self, graph: GraphLike, /, **values: Any) -> AsyncResult:
        """Run a graph to its end; keyword arguments set its parameters. Who stops waiting cancels the job.

        Raises GraphError where the graph is wrong, NodeFailed where a node failed, Cancelled.
        """
        job = await self.submit(graph, values)
        try:
            result = await job.wait()
        except asyncio.CancelledError:
            async with asyncio.timeout(_LETTING_GO_S):
                await job.cancel()
            raise
        result.raise_for_failures()
        return result

    async def submit(
        self, graph: GraphLike, values: Mapping[str, Any] | None = None, *, priority: int = 0, key: str | None = None
    ) -> AsyncJob:
        """Hand in a job and come back. Raises GraphError with every fault of the graph and the values.

        A lost answer is asked for again, and never makes a second job. With ``key``, the same key is the same job also
        for another program, or when this one begins anew.
        """
        key = key if key is not None else uuid4().hex
        made = await self._outgoing.ask(JobInfo, "/v1/jobs", graph, values, {"priority": priority}, key=key)
        return AsyncJob(self._http, made.id)

    def job(self, job_id: str) -> AsyncJob:
        """A job by its id; whether there is one is seen when it is asked."""
        return AsyncJob(self._http, job_id)

    def jobs(self, state: State | None = None) -> AsyncGenerator[JobInfo, None]:
        """All jobs, the newest first, read from the server as they are asked for."""
        return self._pages("/v1/jobs", {} if state is None else {"state": state})

    def queue(self) -> AsyncGenerator[JobInfo, None]:
        """The jobs that wait, in the order in which they will run."""
        return self._pages("/v1/queue", {})

    async def jobs_page(
        self, state: State | None = None, *, client: str | None = None, after: str | None = None, limit: int = PAGE
    ) -> JobPage:
        """Some jobs: those that follow the job ``after``. Of ``pending`` ones, in the order in which they will run.

        ``client`` narrows them to those of one; another's need the right ``admin``.
        """
        narrowed = {"client": client, "after": after}
        query = {"limit": str(limit)} | {name: value for name, value in narrowed.items() if value is not None}
        if state == "pending":
            return await self._http.ask(JobPage, "GET", "/v1/queue", query=query)
        return await self._http.ask(JobPage, "GET", "/v1/jobs", query=query | ({"state": state} if state else {}))

    async def _pages(self, path: str, query: Mapping[str, str]) -> AsyncGenerator[JobInfo, None]:
        after: dict[str, str] = {}
        while True:
            page = await self._http.ask(JobPage, "GET", path, query={**query, **after, "limit": str(PAGE)})
            for job in page.jobs:
                yield job
            if page.next is None:
                return
            after = {"after": page.next}

    async def pause_queue(self) -> None:
        """Let no job begin. Needs the right ``admin``."""
        await self._http.tell("/v1/queue/pause")

    async def resume_queue(self) -> None:
        """Let jobs begin again. Needs the right ``admin``."""
        await self._http.tell("/v1/queue/resume")

    async def templates(self) -> tuple[Template, ...]:
        """What there is to run, with the schema of each parameter."""
        return (await self._http.ask(TemplateList, "GET", "/v1/templates")).templates

    async def template(self, name: str) -> TemplateDetail:
        """One template, with its graph. Raises InputError where there is none."""
        return await self._outgoing.template(name)

    async def nodes(self) -> tuple[NodeInfo, ...]:
        """The node types of the server."""
        return (await self._http.ask(NodeList, "GET", "/v1/nodes")).nodes

    async def models(self) -> tuple[ModelInfo, ...]:
        """The models that are alive in the workers."""
        return (await self._http.ask(ModelList, "GET", "/v1/models")).models

    async def check(self, graph: GraphLike, /, **values: Any) -> int:
        """How many nodes a graph has. Raises GraphError with every fault."""
        verdict = await self._outgoing.ask(Verdict, "/v1/validate", graph, values)
        if not verdict.is_right:
            raise GraphError(self._outgoing.said_here(faults_of(verdict.faults)))
        return verdict.nodes

    async def plan(self, graph: GraphLike, /, **values: Any) -> PlanInfo:
        """Where each node would run on the server, and what it would take. Raises GraphError."""
        return await self._outgoing.ask(PlanInfo, "/v1/plan", graph, values)

    async def upload(self, picture: str | Path | bytes) -> Upload:
        """Bring a picture, by its path or content; ``file`` of what comes back is what a graph calls it."""
        content = picture if isinstance(picture, bytes) else await asyncio.to_thread(content_of, str(picture))
        return await self._outgoing.upload(content)
