"""The client of ``limner serve``: what ``AsyncClient`` does, for programs that wait for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import SecretStr

from limner.client.answers import File, JobDetail
from limner.client.async_client import AsyncClient
from limner.client.async_job import AsyncJob
from limner.client.async_result import AsyncResult
from limner.client.blocking import Blocking, LoopThread, blocking, iterating
from limner.engine.errors import NodeFailed
from limner.engine.events import Status
from limner.session import GraphLike


class Result(Blocking[AsyncResult]):
    """What a job gave, as ``limner.run`` gives it; files are fetched when they are asked for."""

    read = blocking(AsyncResult.read)
    images = blocking(AsyncResult.images)
    values = blocking(AsyncResult.values)
    save = blocking(AsyncResult.save)
    write = blocking(AsyncResult.write)

    @property
    def job(self) -> JobDetail:
        """The job, with what its nodes did."""
        return self._inner.job

    @property
    def status(self) -> Status:
        """How it ended."""
        return self._inner.status

    @property
    def files(self) -> tuple[File, ...]:
        """What there is to fetch."""
        return self._inner.files

    @property
    def seconds(self) -> float:
        """From its first start to its end."""
        return self._inner.seconds

    @property
    def failures(self) -> Mapping[str, NodeFailed]:
        """By node, why it failed."""
        return self._inner.failures

    def raise_for_failures(self) -> None:
        """Raise what a run here would have raised; nothing where it completed."""
        self._inner.raise_for_failures()


class Job(Blocking[AsyncJob]):
    """A job by its id. Nothing is kept of it here, so any number of programs may hold the same one."""

    detail = blocking(AsyncJob.detail)
    graph = blocking(AsyncJob.graph)
    events = iterating(AsyncJob.events)
    cancel = blocking(AsyncJob.cancel)
    pause = blocking(AsyncJob.pause)
    resume = blocking(AsyncJob.resume)
    retry = blocking(AsyncJob.retry)
    move = blocking(AsyncJob.move)
    set_priority = blocking(AsyncJob.set_priority)

    @property
    def id(self) -> str:
        """What it is known by."""
        return self._inner.id

    def result(self) -> Result:
        """What there is of it by now: its files, and how far it is."""
        return Result(self._loop.run(self._inner.result()), self._loop)

    def wait(self, timeout_s: float | None = None) -> Result:
        """What it gave, once it has ended, failed or not. Raises TimeoutError where it has not in time: it goes on."""
        return Result(self._loop.run(self._inner.wait(timeout_s)), self._loop)


class Client(Blocking[AsyncClient]):
    """A server, as ``limner.Session`` is this machine; any thread may use it. What it takes is in ``AsyncClient``.

    >>> with Client("https://limner.example.org", token_file="anna.token") as client:  # doctest: +SKIP
    ...     client.run("text_to_image", prompt="a blue star on a white background").images()[0].show()
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
        inner = AsyncClient(url, token=token, token_file=token_file, timeout_s=timeout_s, retries=retries)
        super().__init__(inner, LoopThread(inner.close))

    jobs = iterating(AsyncClient.jobs)
    queue = iterating(AsyncClient.queue)
    jobs_page = blocking(AsyncClient.jobs_page)
    pause_queue = blocking(AsyncClient.pause_queue)
    resume_queue = blocking(AsyncClient.resume_queue)
    templates = blocking(AsyncClient.templates)
    template = blocking(AsyncClient.template)
    nodes = blocking(AsyncClient.nodes)
    models = blocking(AsyncClient.models)
    check = blocking(AsyncClient.check)
    plan = blocking(AsyncClient.plan)
    upload = blocking(AsyncClient.upload)

    @property
    def url(self) -> str:
        """Where the server is."""
        return self._inner.url

    def run(self, graph: GraphLike, /, **values: Any) -> Result:
        """Run a graph to its end; keyword arguments set its parameters. An interrupt cancels the job.

        Raises GraphError where the graph is wrong, NodeFailed where a node failed, Cancelled.
        """
        return Result(self._loop.run(self._inner.run(graph, **values)), self._loop)

    def submit(
        self, graph: GraphLike, values: Mapping[str, Any] | None = None, *, priority: int = 0, key: str | None = None
    ) -> Job:
        """Hand in a job and come back, as ``AsyncClient.submit``."""
        return Job(self._loop.run(self._inner.submit(graph, values, priority=priority, key=key)), self._loop)

    def job(self, job_id: str) -> Job:
        """A job by its id; whether there is one is seen when it is asked."""
        return Job(self._inner.job(job_id), self._loop)

    def close(self) -> None:
        """Let connections and the thread go. Jobs go on."""
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
