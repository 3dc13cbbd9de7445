"""A server in a process of its own, asked as programs ask it and watched through /proc."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

NODES: Final = Path(__file__).with_name("load_nodes.py")
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Served:
    """A server that is ready."""

    process: subprocess.Popen[str]
    url: str
    ready_s: float
    """From the start of its process, by the clock."""
    ready_cpu_s: float

    def worker(self) -> int:
        """The process that runs its jobs, once there is one."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        others = [Path(task) for task in Path(f"/proc/{self.process.pid}/task").glob("*/children")]
        children += [pid for file in others for pid in file.read_text().split()]
        return int(children[0])


@contextmanager
def served(data: Path, *options: str) -> Iterator[Served]:
    """``limner serve`` on a free port of this machine."""
    command = [sys.executable, "-m", "limner", "serve", "--port", "0", "--data", str(data), "--device", "cpu"]
    variables = os.environ | {"LIMNER_CACHE_DIR": str(data / "cache"), "OMP_NUM_THREADS": "1"}
    variables.pop("LIMNER_TOKEN", None)
    began = time.perf_counter()
    process = subprocess.Popen(
        [*command, "--nodes", str(NODES), *options], stdout=subprocess.PIPE, text=True, env=variables
    )
    try:
        assert process.stdout is not None, "it was asked for"
        line = process.stdout.readline()
        if not line.startswith("ready: "):
            sys.exit("the server did not start")
        yield Served(process, line.split()[1], time.perf_counter() - began, cpu_s(process.pid))
    finally:
        process.terminate()
        process.wait()


def cpu_s(pid: int) -> float:
    """CPU time of a process so far, in seconds, all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory_mb(pid: int) -> dict[str, float]:
    """Rss and Pss of a process in MB. Pss counts a page that n processes share as an nth."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    found = {line.partition(":")[0]: line.split()[1] for line in lines[1:]}
    return {name: int(found[name]) * 1024 / 1e6 for name in ("Rss", "Pss")}


def has_torch(pid: int) -> bool:
    """Whether a process has torch's library in memory."""
    return "libtorch" in Path(f"/proc/{pid}/maps").read_text()


async def post(session: ClientSession, path: str, body: Any = None) -> Any:
    """What a POST answers. Raises ClientResponseError for what is refused."""
    async with session.post(path, json={} if body is None else body) as answer:
        answer.raise_for_status()
        return await answer.json() if answer.status != HTTPStatus.NO_CONTENT else None


async def get(session: ClientSession, path: str) -> Any:
    """What a GET answers."""
    async with session.get(path) as answer:
        answer.raise_for_status()
        return await answer.json()


@asynccontextmanager
async def following(session: ClientSession, *jobs: str) -> AsyncIterator[ClientWebSocketResponse]:
    """A WebSocket that follows jobs."""
    async with session.ws_connect("/v1/events", max_msg_size=0) as socket:
        for job in jobs:
            await socket.send_json({"do": "follow", "job": job})
        yield socket


async def until(socket: ClientWebSocketResponse, kinds: Sequence[str]) -> dict[str, Any]:
    """The next message of one of these kinds: of events, or ``step``."""
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            said: dict[str, Any] = json.loads(message.data)
            if said.get("kind", said["type"]) in kinds:
                return said
    raise ConnectionError("the server ended the stream")
