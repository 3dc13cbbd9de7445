"""How far the server reaches: its start, its size, large graphs, many clients, interrupting, a long queue.

Run with ``python benchmarks/server_load.py [--only NAME ...] [--json]``. Each part starts a server of its own, asks it
over HTTP, and watches its processes through /proc (Linux). What is to be small beside something else is measured beside
it in the same run: a graph against the same graph run by ``Session`` here, requests against a server that only says ok.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from statistics import mean, median
from typing import Any, Final

from aiohttp import ClientSession
from engine_overhead import machine, make
from figures import Figure, at_most, table
from load_clients import many_clients
from load_server import (
    NODES,
    Served,
    cpu_s,
    following,
    get,
    has_torch,
    memory_mb,
    post,
    served,
    until,
)

from limner.engine.registry import Registry
from limner.session import Session

NODES_OF_A_GRAPH: Final = 5_000
QUEUED: Final = 10_000
PAGE: Final = 1_000


async def start(folder: Path) -> list[Figure]:
    """The time to ready, and the size of a server that has answered."""
    runs = []
    for number in range(5):
        with served(folder / str(number)) as server:
            async with ClientSession(server.url) as session:
                for path in ("/v1/templates", "/v1/nodes", "/openapi.json", "/readyz", "/v1/jobs"):
                    await get(session, path) if path != "/readyz" else await (await session.get(path)).read()
            runs.append(
                (server.ready_s, server.ready_cpu_s, memory_mb(server.process.pid), has_torch(server.process.pid))
            )
    worst = {name: max(run[2][name] for run in runs) for name in ("Pss", "Rss")}
    return [
        at_most("ready, median of 5", median(run[0] for run in runs), "s", 2, digits=2),
        at_most("ready, CPU time, median of 5", median(run[1] for run in runs), "s", digits=2),
        Figure(
            "torch in memory then", str(any(run[3] for run in runs)).lower(), "false", not any(run[3] for run in runs)
        ),
        at_most("idle, Pss", worst["Pss"], "MB", 120, digits=1),
        at_most("idle, Rss", worst["Rss"], "MB", digits=1),
    ]


async def large_graphs(folder: Path) -> list[Figure]:
    """Chains and fans: until they are accepted, and what running them costs beside the same run in this process."""
    registry = Registry.installed()
    registry.add_file(NODES)
    figures = []
    with served(folder) as server, Session(registry=registry, cache_dir=folder / "beside", device="cpu") as beside:
        async with ClientSession(server.url) as session:
            await _run(server, session, {"limner": 1, "name": "first", "nodes": {"a": {"type": "Start"}}})
            for shape in ("chain", "fan"):
                rows = [await _side_by_side(server, session, beside, shape, number) for number in range(5)]
                accepted, here, there, wall = (list(column) for column in zip(*rows, strict=True))
                more = median(a - b for a, b in zip(there, here, strict=True))
                name = f"{shape} of {NODES_OF_A_GRAPH:,}"
                figures += [
                    at_most(f"{name}: accepted, median of 5", median(accepted), "s", 1, digits=2),
                    at_most(f"{name}: run by Session, CPU a node", median(here), "us", digits=1),
                    at_most(f"{name}: run as a job, one client following, CPU a node", median(there), "us", digits=1),
                    at_most(f"{name}: more than by Session, CPU a node", more, "us", 50, digits=1),
                    at_most(f"{name}: from begun to finished", median(wall), "s", digits=2),
                ]
    return figures


async def _side_by_side(
    server: Served, session: ClientSession, beside: Session, shape: str, number: int
) -> tuple[float, float, float, float]:
    """Seconds to accept; CPU microseconds a node here, and there in the server and its worker; seconds of the job."""
    graph = make(shape, NODES_OF_A_GRAPH)
    graph["nodes"]["n0"]["settings"] = {"value": number + 1}  # a graph of its own: nothing comes from the cache
    began = time.process_time()
    result = beside.start(graph).wait()
    here = time.process_time() - began
    assert result is not None, "no time limit was given"
    assert result.status == "completed", result.failures
    accepted, there, wall = await _run(server, session, graph)
    return accepted, here / NODES_OF_A_GRAPH * 1e6, there / NODES_OF_A_GRAPH * 1e6, wall


async def _run(server: Served, session: ClientSession, graph: dict[str, Any]) -> tuple[float, float, float]:
    """Hand a graph in and follow it to its end: seconds to accept, CPU seconds to run, seconds from begun to finished.

    The queue is paused until the client follows, so that accepting is not counted as running.
    """
    await post(session, "/v1/queue/pause")
    began = time.perf_counter()
    job = await post(session, "/v1/jobs", {"graph": graph})
    accepted = time.perf_counter() - began
    async with following(session, job["id"]) as socket:
        before = cpu_s(server.process.pid) + (cpu_s(server.worker()) if _has_worker(server) else 0.0)
        await post(session, "/v1/queue/resume")
        last = await until(socket, ["finished"])
        after = cpu_s(server.process.pid) + cpu_s(server.worker())
    assert last["body"]["status"] == "completed", last
    ended = await get(session, f"/v1/jobs/{job['id']}")
    return accepted, after - before, ended["finished"] - ended["started"]


def _has_worker(server: Served) -> bool:
    try:
        server.worker()
    except IndexError:
        return False
    return True


async def interrupting(folder: Path) -> list[Figure]:
    """From a request that cancels a running job until it has ended, beyond one step."""
    figures = []
    with served(folder) as server:
        async with ClientSession(server.url) as session:
            for name, graph, step_s in (
                ("steps of 20 ms", _waiting(0.02), 0.02),
                ("the embedded model", {"template": "text_to_image", "parameters": {"steps": 1000}}, None),
            ):
                rows = [await _interrupt(session, graph, number) for number in range(10)]
                beyond = [(ended - (step_s or step)) * 1e3 for ended, _, step in rows]
                seen = [(seen - (step_s or step)) * 1e3 for _, seen, step in rows]
                figures += [
                    at_most(f"{name}: ended, beyond one step, median of 10", median(beyond), "ms", 100),
                    at_most(f"{name}: ended, beyond one step, the worst", max(beyond), "ms"),
                    at_most(f"{name}: heard by a client, beyond one step, median of 10", median(seen), "ms"),
                ]
    return figures


def _waiting(step_s: float) -> dict[str, Any]:
    nodes = {"wait": {"type": "Wait", "settings": {"steps": 100_000, "step_s": step_s}}}
    return {"graph": {"limner": 1, "name": "wait", "nodes": nodes}, "parameters": {}}


async def _interrupt(session: ClientSession, graph: dict[str, Any], number: int) -> tuple[float, float, float]:
    """Seconds until a job has ended in the store, until a client hears it, and of one of its steps."""
    salt = {"seed": number} if "template" in graph else {"wait.salt": number}
    job = await post(session, "/v1/jobs", graph | {"parameters": graph["parameters"] | salt})
    async with following(session, job["id"]) as socket:
        first, began = await until(socket, ["step"]), time.perf_counter()
        while (last := await until(socket, ["step"]))["step"] < first["step"] + 8:
            pass
        step_s = (time.perf_counter() - began) / (last["step"] - first["step"])
        await asyncio.sleep(random.uniform(0, 0.2))  # at any point of a step
        asked, clock = time.time(), time.perf_counter()
        await post(session, f"/v1/jobs/{job['id']}/cancel")
        await until(socket, ["finished"])
        seen = time.perf_counter() - clock
    ended = await get(session, f"/v1/jobs/{job['id']}")
    assert ended["state"] == "cancelled", ended
    return ended["finished"] - asked, seen, step_s


async def long_queue(folder: Path) -> list[Figure]:
    """10,000 jobs that wait: handed in by eight at a time, and listed in pages."""
    with served(folder, "--workers", "0") as server:
        async with ClientSession(server.url) as session:
            batches = [await _hand_in(server, session, PAGE) for _ in range(QUEUED // PAGE)]
            listed = {path: await _pages(session, path) for path in ("/v1/jobs", "/v1/queue")}
    figures = [
        at_most(f"{QUEUED:,} jobs accepted, a job, the first 1,000", batches[0][0] * 1e3, "ms", digits=1),
        at_most("the last 1,000", batches[-1][0] * 1e3, "ms", digits=1),
        _ratio("last to first", batches[-1][0] / batches[0][0]),
        _ratio("the same in CPU time of the server", batches[-1][1] / batches[0][1]),
    ]
    for path, taken in listed.items():
        figures.append(at_most(f"{path}: a page of 1,000, mean of {len(taken)}", mean(taken) * 1e3, "ms"))
        figures.append(_ratio(f"{path}: last page to first", taken[-1] / taken[0]))
    return figures


def _ratio(what: str, found: float) -> Figure:
    return Figure(what, f"{found:.2f}", "about 1: at most 1.5", found <= 1.5)


async def _hand_in(server: Served, session: ClientSession, count: int) -> tuple[float, float]:
    """Seconds a job by the clock, and of the server's CPU."""
    left = iter(range(count))
    began, cpu = time.perf_counter(), cpu_s(server.process.pid)

    async def hand_in() -> None:
        for number in left:
            body = {"template": "text_to_image", "parameters": {"prompt": "a blue star", "seed": number}}
            await post(session, "/v1/jobs", body)

    await asyncio.gather(*(hand_in() for _ in range(8)))
    return (time.perf_counter() - began) / count, (cpu_s(server.process.pid) - cpu) / count


async def _pages(session: ClientSession, path: str) -> list[float]:
    """Seconds of each page of all jobs, the best of three."""
    best: list[float] = []
    for _ in range(3):
        taken, after, seen = [], "", 0
        while after is not None:
            began = time.perf_counter()
            page = await get(session, f"{path}?limit={PAGE}" + (f"&after={after}" if after else ""))
            taken.append(time.perf_counter() - began)
            after, seen = page.get("next"), seen + len(page["jobs"])
        assert seen == QUEUED, f"{seen} jobs were listed"
        best = taken if not best else [min(pair) for pair in zip(best, taken, strict=True)]
    return best


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--seconds", type=float, default=20, help="of the many clients")
    parts: dict[str, Callable[[Path], Awaitable[list[Figure]]]] = {
        "start": start,
        "graphs": large_graphs,
        "clients": lambda folder: many_clients(folder, options.seconds),
        "interrupt": interrupting,
        "queue": long_queue,
    }
    parser.add_argument("--only", nargs="+", choices=list(parts), default=list(parts), help="only these parts")
    options = parser.parse_args()
    figures: list[Figure] = []
    for name in options.only:
        with tempfile.TemporaryDirectory() as folder:
            figures += asyncio.run(_one(parts[name], Path(folder)))
    if options.json:
        print(json.dumps({"machine": machine(), "figures": [asdict(figure) for figure in figures]}, indent=2))
    else:
        print(f"{machine()}\n\n{table(figures)}")


async def _one(part: Callable[[Path], Awaitable[list[Figure]]], folder: Path) -> list[Figure]:
    return await part(folder)


if __name__ == "__main__":
    main()
