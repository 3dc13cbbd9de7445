"""What a client of ComfyUI's protocol costs: large prompts accepted, a node run while it listens, bytes of its socket.

Run with ``python benchmarks/comfy_load.py [--json]``. A server of its own is asked as the editor and as scripts do, and
watched through /proc (Linux). A prompt is measured beside the same graph run by ``Session`` here.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType
from engine_overhead import machine, make
from figures import Figure, at_most, table
from load_server import NODES, Served, cpu_s, post, served

from limner.comfy.as_prompt import prompt_of
from limner.comfy.classes import Classes
from limner.engine.registry import Registry
from limner.session import Session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LARGE: Final = 5_000
SMALL: Final = 1_000
REPEATS: Final = 5
FLAGS: Final = {
    "type": "feature_flags",
    "data": {"supports_preview_metadata": True, "supports_progress_text_metadata": True},
}
"""What the editor says first."""


@dataclass
class Heard:
    """What came over a socket until a job was over."""

    size_bytes: int = 0
    messages: int = 0


@asynccontextmanager
async def listening(
    session: ClientSession, client_id: str, *, is_editor: bool
) -> AsyncIterator[ClientWebSocketResponse]:
    """A socket that has been told the status."""
    async with session.ws_connect(f"/ws?clientId={client_id}", max_msg_size=0) as socket:
        if is_editor:
            await socket.send_json(FLAGS)
        await socket.receive()
        yield socket


async def hear(socket: ClientWebSocketResponse, prompt_id: str) -> Heard:
    """Count what comes until nothing of a job runs any more. Raises AssertionError for one that did not succeed."""
    heard, last = Heard(), ""
    async for message in socket:
        assert message.type in (WSMsgType.TEXT, WSMsgType.BINARY), "the server ended the stream"
        heard.size_bytes += len(message.data)
        heard.messages += 1
        if isinstance(message.data, str) and prompt_id in message.data:
            said = json.loads(message.data)
            if said["type"] == "executing" and said["data"]["node"] is None:
                assert last == "execution_success", last
                return heard
            last = said["type"]
    raise ConnectionError("the server let the client go")


class Prompts:
    """Graphs of trivial nodes as prompts, each with a number of its own, so that nothing comes from the cache."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._classes = Classes(session.registry)
        self._count = 0

    def graph(self, shape: str, nodes: int) -> dict[str, Any]:
        """The next graph of a shape."""
        self._count += 1
        graph = make(shape, nodes)
        graph["nodes"]["n0"]["settings"] = {"value": self._count}
        return graph

    def body(self, graph: dict[str, Any], client_id: str) -> dict[str, Any]:
        """What a client sends to have a graph run, all that nobody takes included."""
        document = self.session.document(graph)
        taken = {wire for node in document.nodes.values() for wire in node.wires.values() if isinstance(wire, str)}
        return {
            "prompt": prompt_of(document, self._classes),
            "client_id": client_id,
            "partial_execution_targets": [node for node in document.nodes if node not in taken],
        }


async def large_prompts(server: Served, session: ClientSession, prompts: Prompts, shape: str) -> list[Figure]:
    """Until a prompt of 5,000 nodes is accepted, and what running it costs beside the same run in this process."""
    rows = [await _side_by_side(server, session, prompts, shape) for _ in range(REPEATS)]
    accepted, here, there = (list(column) for column in zip(*rows, strict=True))
    more = median(a - b for a, b in zip(there, here, strict=True))
    name = f"{shape} of {LARGE:,}"
    return [
        at_most(f"{name}: accepted, median of {REPEATS}", median(accepted), "s", 1, digits=2),
        at_most(f"{name}: run by Session, CPU a node", median(here), "us", digits=1),
        at_most(f"{name}: run as a prompt, the editor's socket listening, CPU a node", median(there), "us", digits=1),
        at_most(f"{name}: more than by Session, CPU a node", more, "us", 50, digits=1),
    ]


async def _side_by_side(
    server: Served, session: ClientSession, prompts: Prompts, shape: str
) -> tuple[float, float, float]:
    """Seconds to accept; CPU microseconds a node here, and there in the server and its worker."""
    graph = prompts.graph(shape, LARGE)
    began = time.process_time()
    result = prompts.session.start(graph).wait()
    here = time.process_time() - began
    assert result is not None, "no time limit was given"
    assert result.status == "completed", result.failures
    body = prompts.body(graph, "editor")
    await post(session, "/v1/queue/pause")  # so that accepting is not counted as running
    async with listening(session, "editor", is_editor=True) as socket:
        began = time.perf_counter()
        prompt_id = (await post(session, "/prompt", body))["prompt_id"]
        accepted = time.perf_counter() - began
        before = cpu_s(server.process.pid) + cpu_s(server.worker())
        await post(session, "/v1/queue/resume")
        await hear(socket, prompt_id)
        there = cpu_s(server.process.pid) + cpu_s(server.worker()) - before
    return accepted, here / LARGE * 1e6, there / LARGE * 1e6


async def traffic(session: ClientSession, prompts: Prompts, shape: str) -> list[Figure]:
    """Bytes that the socket carries for 1,000 trivial nodes, to the editor and to a script."""
    figures = []
    for who, is_editor in (("the editor", True), ("a script", False)):
        heard = []
        for _ in range(REPEATS):
            async with listening(session, who, is_editor=is_editor) as socket:
                answer = await post(session, "/prompt", prompts.body(prompts.graph(shape, SMALL), who))
                heard.append(await hear(socket, answer["prompt_id"]))
        name = f"{shape} of {SMALL:,}, {who} listening"
        most = max(one.size_bytes for one in heard) / 1e6
        figures.append(at_most(f"{name}: socket traffic, the most of {REPEATS}", most, "MB", 0.5, digits=2))
        figures.append(at_most(f"{name}: messages, the most", max(one.messages for one in heard), "messages"))
    return figures


async def measure(folder: Path) -> list[Figure]:
    """All figures, from one server."""
    registry = Registry.installed()
    registry.add_file(NODES)
    figures = []
    with served(folder) as server, Session(registry=registry, cache_dir=folder / "beside", device="cpu") as beside:
        async with ClientSession(server.url) as session:
            prompts = Prompts(beside)
            await traffic(session, prompts, "chain")  # the worker begins
            for shape in ("chain", "fan"):
                figures += await large_prompts(server, session, prompts, shape)
                figures += await traffic(session, prompts, shape)
    return figures


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(measure(Path(folder)))
    if options.json:
        print(json.dumps({"machine": machine(), "figures": [asdict(figure) for figure in figures]}, indent=2))
    else:
        print(f"{machine()}\n\n{table(figures)}")


if __name__ == "__main__":
    main()
