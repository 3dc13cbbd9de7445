"""Many clients of a server while its status is asked for: a part of ``server_load.py``.

As a script, ``python benchmarks/load_clients.py URL JOB...``, it is the clients, in a process of their own.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Final

from aiohttp import ClientSession, ClientWebSocketResponse, TCPConnector, web
from figures import Figure, at_most
from load_server import following, get, post, served, until

CLIENTS: Final = 200
REQUESTS_A_SECOND: Final = 50
JOBS: Final = 3


async def many_clients(folder: Path, seconds: float) -> list[Figure]:
    """200 clients follow jobs that draw, and 50 requests a second are answered."""
    with served(folder) as server:
        async with ClientSession(server.url, connector=TCPConnector(limit=0)) as session, _saying_ok() as bare:
            drawing = {"prompt": "a star", "steps": 1000}
            first = await post(session, "/v1/run/text_to_image", drawing | {"steps": 1})
            async with following(session, first["id"]) as socket:
                await until(socket, ["finished"])
            accepted = [await post(session, "/v1/run/text_to_image", drawing | {"seed": n}) for n in range(JOBS)]
            jobs = [job["id"] for job in accepted]
            listeners = await asyncio.create_subprocess_exec(
                sys.executable, __file__, server.url, *jobs, stdout=asyncio.subprocess.PIPE
            )
            assert listeners.stdout is not None, "it was asked for"
            await listeners.stdout.readline()
            paths = ["/readyz", "/v1/jobs", f"/v1/jobs/{jobs[0]}", "/v1/queue", "/v1/models", "/metrics"]
            taken = await _ask_steadily(session, paths, f"{bare}/ok", seconds)
            assert (await get(session, f"/v1/jobs/{jobs[-1]}"))["state"] in ("pending", "in_progress"), (
                "take fewer --seconds"
            )
            for job in jobs:
                await post(session, f"/v1/jobs/{job}/cancel")
            heard = (await listeners.communicate())[0].decode()
    return [
        Figure(
            f"{CLIENTS} clients, {REQUESTS_A_SECOND} requests a second while a job draws",
            f"{len(taken['server'])} requests",
        ),
        *(at_most(f"a status route, {name}", value, "ms") for name, value in _percentiles(taken["server"]).items()),
        at_most("a status route, the worst", max(taken["server"]) * 1e3, "ms", 250),
        *(
            at_most(f"a server that only says ok, {name}", value, "ms")
            for name, value in _percentiles(taken["bare"]).items()
        ),
        at_most("a server that only says ok, the worst", max(taken["bare"]) * 1e3, "ms"),
        Figure("messages that the clients heard, fewest and most", heard.strip()),
    ]


async def _ask_steadily(session: ClientSession, paths: list[str], bare: str, seconds: float) -> dict[str, list[float]]:
    """Requests at fixed times, whether or not earlier ones are answered; each takes from when it was due."""
    taken: dict[str, list[float]] = {"server": [], "bare": []}

    async def ask(path: str, due: float, kind: str) -> None:
        async with session.get(path) as answer:
            await answer.read()
            assert answer.status == 200, (path, answer.status)
        taken[kind].append(time.perf_counter() - due)

    began, asking = time.perf_counter(), []
    for number in range(int(seconds * REQUESTS_A_SECOND)):
        due = began + number / REQUESTS_A_SECOND
        await asyncio.sleep(max(due - time.perf_counter(), 0))
        asking.append(asyncio.ensure_future(ask(paths[number % len(paths)], due, "server")))
        if number % 5 == 0:
            asking.append(asyncio.ensure_future(ask(bare, due, "bare")))
    await asyncio.gather(*asking)
    return taken


class _saying_ok:  # noqa: N801  # a context manager
    """A server of aiohttp that does nothing."""

    async def __aenter__(self) -> str:
        async def ok(request: web.Request) -> web.Response:
            return web.Response(text="ok")

        app = web.Application()
        app.router.add_get("/ok", ok)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def __aexit__(self, *args: object) -> None:
        await self._runner.cleanup()


async def listen(url: str, *jobs: str) -> None:
    """The part of the clients, in a process of their own: say when all are there; at the end, what they heard."""
    async with ClientSession(url, connector=TCPConnector(limit=0)) as session:
        sockets = [await session.ws_connect("/v1/events", max_msg_size=0) for _ in range(CLIENTS)]
        joined = [asyncio.Event() for _ in sockets]
        hearing = [
            asyncio.ensure_future(_hear(socket, len(jobs), event))
            for socket, event in zip(sockets, joined, strict=True)
        ]
        for socket in sockets:
            for job in jobs:
                await socket.send_json({"do": "follow", "job": job})
        await asyncio.gather(*(event.wait() for event in joined))
        print("all are there", flush=True)
        counts = await asyncio.gather(*hearing)
        print(f"{min(counts):,} and {max(counts):,}")


async def _hear(socket: ClientWebSocketResponse, jobs: int, joined: asyncio.Event) -> int:
    """How many messages come until so many jobs have ended. ``joined`` is set when all jobs are followed."""
    heard: set[str] = set()
    count = ended = 0
    async for message in socket:
        count += 1
        if isinstance(message.data, str):
            said = json.loads(message.data)
            ended += said.get("kind") == "finished"
            heard.add(said["job"])
            if len(heard) == jobs:
                joined.set()
        if ended == jobs:
            return count
    raise ConnectionError("the server let a client go")


def _percentiles(taken: list[float]) -> dict[str, float]:
    ordered = sorted(taken)
    return {f"{share} %": ordered[int(share / 100 * (len(ordered) - 1))] * 1e3 for share in (50, 90, 99)}


if __name__ == "__main__":
    asyncio.run(listen(*sys.argv[1:]))
