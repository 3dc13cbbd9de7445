"""A server in this process, without workers: tests play their part."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer

from limner.engine.user_path import CONFINE_ENV, LISTED_ENV, confine
from limner.server.app import make_app
from limner.server.clients import Clients
from limner.server.guard import Guard
from limner.server.jobs.worker import WorkerSettings
from limner.server.limits import Limits
from limner.server.serve import ServerSettings, make_service, open_folders

sys.path.append(str(Path(__file__).parent))  # pytest's importlib mode adds no folder by itself

from served import Api, FakeCrew  # found through the line above

Use = Callable[[Api], Awaitable[None]]
Serving = Callable[..., None]


@pytest.fixture
def serving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Serving:
    """Run a coroutine beside a server on 127.0.0.1."""
    data = tmp_path / "data"
    (data / "uploads").mkdir(parents=True)
    monkeypatch.chdir(data)
    for variable in (CONFINE_ENV, LISTED_ENV):
        monkeypatch.setenv(variable, "")  # so that what is set next is taken back
    confine(open_folders(data))

    def run(
        use: Use,
        *,
        clients: Clients | None = None,
        token: str | None = None,
        is_local: bool = True,
        limits: Limits | None = None,
    ) -> None:
        async def main() -> None:
            crew = FakeCrew()
            settings = ServerSettings(WorkerSettings(str(data)), limits=limits or Limits())
            async with AsyncExitStack() as stack:
                service = make_service(settings, Guard(is_local, clients), crew, stack)
                looking = asyncio.ensure_future(service.feed.run())
                stack.callback(looking.cancel)
                server = await stack.enter_async_context(TestServer(make_app(service), host="127.0.0.1"))
                session = await stack.enter_async_context(ClientSession())
                url = str(server.make_url("")).rstrip("/")
                await asyncio.wait_for(use(Api(service, session, url, crew, token)), 60)

        asyncio.run(main())

    return run
