"""Clients as there are many, and one from the registry, on a real server with the embedded model."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import urllib.parse
import urllib.request
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse
from process import served
from prompted import node, star

LONG = node("Denoise", transformer=["1", 1], conditioning=["2", 0], steps=150)


def ask(url: str, path: str, body: Any = None) -> Any:
    """As scripts ask with urllib: what it sends is called a form."""
    content = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url + path, content), timeout=60) as answer:
        found = answer.read()
    return json.loads(found) if answer.headers.get_content_type() == "application/json" else found


def pictures(url: str, prompt_id: str) -> list[bytes]:
    """What a job made: as its history says, by ``/view``."""
    outputs = ask(url, f"/history/{prompt_id}")[prompt_id]["outputs"]
    files = [file for output in outputs.values() for file in output.get("images", ())]
    return [ask(url, f"/view?{urllib.parse.urlencode(file)}") for file in files]


async def until(socket: ClientWebSocketResponse, kind: str, **fields: Any) -> list[dict[str, Any]]:
    """The messages up to the next of this kind with these fields."""
    found: list[dict[str, Any]] = []
    while True:
        said = await socket.receive(timeout=120)
        assert isinstance(said.data, str), "no frame is for a script"
        found.append(json.loads(said.data))
        if found[-1]["type"] == kind and found[-1]["data"] | fields == found[-1]["data"]:
            return found


@asynccontextmanager
async def session_of(url: str, client_id: str) -> AsyncIterator[ClientWebSocketResponse]:
    async with ClientSession() as session, session.ws_connect(f"{url}/ws?clientId={client_id}") as socket:
        yield socket


def worker_of(server: int) -> int:
    tasks = Path(f"/proc/{server}/task").glob("*/children")
    return next(int(pid) for task in tasks for pid in task.read_text().split())


def test_a_script_gets_its_picture(tmp_path: Path) -> None:
    """Post, wait on the socket until nothing runs, read the history, fetch the picture; then let the models go."""

    async def use(url: str) -> None:
        mine = str(uuid.uuid4())
        async with session_of(url, mine) as socket:
            answer = await asyncio.to_thread(ask, url, "/prompt", {"prompt": star(), "client_id": mine})
            said = await until(socket, "executing", node=None, prompt_id=answer["prompt_id"])
            kinds = [one["type"] for one in said]
            assert kinds.index("execution_start") < kinds.index("progress") < kinds.index("executed")
            (done,) = (one["data"] for one in said if one["type"] == "executed")
            assert done["node"] == "9"
            (content,) = await asyncio.to_thread(pictures, url, answer["prompt_id"])
            assert content.startswith(b"\x89PNG")
            assert await asyncio.to_thread(ask, url, "/v1/models") != {"models": []}
            await asyncio.to_thread(ask, url, "/free", {"unload_models": True})
            async with asyncio.timeout(30):
                while await asyncio.to_thread(ask, url, "/v1/models") != {"models": []}:
                    await asyncio.sleep(0.1)

    with served(tmp_path) as (_, url):
        asyncio.run(use(url))
        history = ask(url, "/history")
    with served(tmp_path, "--workers", "0") as (_, url):
        assert ask(url, "/history") == history
        assert len(pictures(url, next(iter(history)))) == 1


def test_a_script_gets_its_picture_over_the_socket(tmp_path: Path) -> None:
    """Where a prompt has a SaveImageWebsocket, what comes while it is told to run is the picture; and every time."""

    async def use(url: str) -> None:
        prompt = star(**{"9": node("SaveImageWebsocket", images=["4", 0])})
        async with session_of(url, "me") as socket:
            for _ in range(2):
                await asyncio.to_thread(ask, url, "/prompt", {"prompt": prompt, "client_id": "me"})
                running, found = "", []
                while running is not None:
                    said = await socket.receive(timeout=120)
                    if isinstance(said.data, bytes) and running == "9":
                        found.append(said.data)
                    elif (message := json.loads(said.data))["type"] == "executing":
                        running = message["data"]["node"]
                (frame,) = found
                assert frame[:12] == b"\0\0\0\1\0\0\0\2\x89PNG"

    with served(tmp_path) as (_, url):
        asyncio.run(use(url))


def test_a_client_of_the_registry_gets_its_picture(tmp_path: Path) -> None:
    """comfy-api-simplified, as its users call it: it queues first, connects then, and counts results and the queue."""
    simplified = pytest.importorskip("comfy_api_simplified", reason="comfy-api-simplified is not installed")
    prompt = {key: one | {"_meta": {"title": one["class_type"]}} for key, one in star().items()}
    with served(tmp_path) as (_, url):
        api = simplified.ComfyApiWrapper(url)
        for seed in (1, 2):
            prompt["12:3"]["inputs"]["seed"] = seed
            found = api.queue_and_wait_images(simplified.ComfyWorkflowWrapper(prompt), "LimnerSaveImage")
            (content,) = found.values()
            assert content.startswith(b"\x89PNG")
        assert api.get_queue() == {"queue_running": [], "queue_pending": []}
        prompt["12:3"]["inputs"]["steps"] = -1
        with pytest.raises(simplified.ComfyApiError, match="400"):
            api.queue_prompt(prompt)


@pytest.mark.skipif(sys.platform != "linux", reason="the worker is found by /proc")
def test_a_killed_worker_goes_on_for_its_client(tmp_path: Path) -> None:
    """Where the worker is killed in the middle, its client sees the job go on, and gets its picture."""

    async def use(server: int, url: str) -> None:
        async with session_of(url, "me") as socket:
            body = {"prompt": star(**{"12:3": LONG}), "client_id": "me", "prompt_id": "mine"}
            assert (await asyncio.to_thread(ask, url, "/prompt", body))["prompt_id"] == "mine"
            await until(socket, "progress", node="12:3")
            os.kill(worker_of(server), signal.SIGKILL)
            again = await until(socket, "execution_start", prompt_id="mine")
            assert "execution_success" not in [one["type"] for one in again]
        async with session_of(url, "me") as socket:  # and it comes back in the middle
            said = await until(socket, "executing", node=None, prompt_id="mine")
            assert [one["type"] for one in said][-2:] == ["execution_success", "executing"]
            assert len(await asyncio.to_thread(pictures, url, "mine")) == 1

    with served(tmp_path, "--checkpoint-every", "0") as (process, url):
        asyncio.run(use(process.pid, url))


def test_a_running_job_is_interrupted(tmp_path: Path) -> None:
    """The client is told where it stopped, the next job runs, and the history says that the first has no result."""

    async def use(url: str) -> None:
        async with session_of(url, "me") as socket:
            for name, nodes in (("long", {"12:3": LONG}), ("short", {})):
                body = {"prompt": star(**nodes), "client_id": "me", "prompt_id": name}
                await asyncio.to_thread(ask, url, "/prompt", body)
            await until(socket, "progress", prompt_id="long")
            await asyncio.to_thread(ask, url, "/api/interrupt", {})
            stopped = (await until(socket, "execution_interrupted"))[-1]["data"]
            assert (stopped["prompt_id"], stopped["node_id"], stopped["node_type"]) == ("long", "12:3", "Denoise")
            await until(socket, "execution_success", prompt_id="short")
            entry = (await asyncio.to_thread(ask, url, "/history/long"))["long"]
            assert (entry["outputs"], entry["status"]["status_str"]) == ({}, "error")

    with served(tmp_path) as (_, url):
        asyncio.run(use(url))
