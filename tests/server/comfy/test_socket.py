"""The socket: its client is told of its own jobs, whenever it comes, and costs nobody else anything."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from aiohttp import ClientSession, WSMsgType, WSServerHandshakeError
from queued import accept, record
from served import ANNA, BERT, clients

from limner.server.comfy.kept import prompt_id

FLAGS = {"type": "feature_flags", "data": {"supports_preview_metadata": True}}


class Socket:
    """A socket as clients use it."""

    def __init__(self, socket: Any) -> None:
        self.socket = socket

    async def until(self, kind: str, **fields: Any) -> list[dict[str, Any]]:
        """All messages up to the next of this kind that has these fields; frames are left out."""
        found = []
        while True:
            said = await self.socket.receive(timeout=10)
            if isinstance(said.data, bytes):
                continue
            found.append(json.loads(said.data))
            if found[-1]["type"] == kind and found[-1]["data"] | fields == found[-1]["data"]:
                return found

    async def over(self) -> list[str]:
        """The kinds of the messages until nothing runs any more, without those about the queue."""
        found = await self.until("executing", node=None)
        return [one["type"] for one in found if one["type"] != "status"]


@asynccontextmanager
async def connected(api: Any, client_id: str = "me", path: str = "/ws", **options: Any) -> Any:
    async with api.session.ws_connect(f"{api.url}{path}?clientId={client_id}", **options) as socket:
        yield Socket(socket)


def test_a_job_is_told_from_queue_to_end(serving: Any) -> None:
    """Status first, with the client's id; then the job, its output, and that nothing runs; the history has it then."""

    async def use(api: Any) -> None:
        async with connected(api) as socket:
            first = (await socket.until("status"))[0]
            assert first["data"] == {"status": {"exec_info": {"queue_remaining": 0}}, "sid": "me"}
            job = await accept(api, prompt_id="mine")
            assert (await socket.until("status"))[-1]["data"]["status"] == {"exec_info": {"queue_remaining": 1}}
            claim = api.claim()
            record(api, claim, **{"1": {"state": "running", "type": "SaveImage"}})
            api.finish(claim)
            said = await socket.until("executing", node=None)
            kinds = [one["type"] for one in said if one["type"] != "status"]
            assert kinds[0] == "execution_start"
            assert kinds[-3:] == ["executed", "execution_success", "executing"]
            assert {one["data"]["prompt_id"] for one in said if one["type"] != "status"} == {"mine"}
            picture = next(one for one in said if one["type"] == "executed")["data"]["output"]["images"][0]
            assert picture == {"filename": "image.png", "subfolder": f"{job.id}/outputs", "type": "output"}
            history = (await api.ask("GET", "/history/mine")).json
            assert history["mine"]["outputs"]["save"]["images"] == [picture]
            assert history["mine"]["status"]["completed"] is True

    serving(use)


def test_flags_are_answered(serving: Any) -> None:
    """A client that says what it can read hears what the server can; nonsense means nothing, and ends nothing."""

    async def use(api: Any) -> None:
        async with connected(api, path="/api/ws") as socket:
            for text in ("x", "[]", "3", '{"type": "feature_flags"}', '{"type": "other", "data": {}}'):
                await socket.socket.send_str(text)
            await socket.socket.send_json(FLAGS)
            said = (await socket.until("feature_flags"))[-1]
            assert said["data"]["supports_preview_metadata"] is True
        answer = await api.ask("GET", "/ws")
        assert answer.status == 426

    serving(use)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": f"Bearer {ANNA}", "Origin": "http://evil.example"}, 403),
        ({"Authorization": f"Bearer {ANNA}", "Origin": "null"}, 403),
    ],
)
@pytest.mark.parametrize("path", ["/ws", "/api/ws"])
def test_strangers_get_no_socket(serving: Any, headers: dict[str, str], status: int, path: str) -> None:
    """Without a token, or for a page of others, nothing is told: not even how long the queue is."""

    async def use(api: Any) -> None:
        with pytest.raises(WSServerHandshakeError) as refused:
            async with connected(api, path=path, headers=headers):
                pass
        assert refused.value.status == status

    serving(use, clients=clients())


def test_who_comes_back_is_told_what_it_missed(serving: Any) -> None:
    """In the middle of a job the state is told again; after its end, the end; and a second time nothing."""

    async def use(api: Any) -> None:
        await accept(api)
        claim = api.claim()
        record(api, claim, a={"state": "finished"}, b={"state": "running", "type": "Denoise"})
        async with connected(api) as socket:
            said = await socket.until("progress_state")
            assert [one["type"] for one in said] == [
                "status",
                "execution_start",
                "execution_cached",
                "executing",
                "progress_state",
            ]
            assert said[3]["data"]["node"] == "b"
            states = {node: entry["state"] for node, entry in said[4]["data"]["nodes"].items()}
            assert states == {"a": "finished", "b": "running"}
        api.finish(claim)
        async with connected(api) as socket:
            assert (await socket.over())[-2:] == ["execution_success", "executing"]
        async with connected(api) as socket:
            later = await accept(api)
            api.finish(api.claim())
            said = await socket.until("executing", node=None)
            told = {one["data"]["prompt_id"] for one in said if one["type"] != "status"}
            assert told == {prompt_id(later.id, {})}

    serving(use)


def test_jobs_are_told_to_their_client_alone(serving: Any) -> None:
    """Neither another socket nor another user of the same id hears of a job; everybody hears how long the queue is."""

    async def use(api: Any) -> None:
        anna = {"headers": {"Authorization": f"Bearer {ANNA}"}}
        bert = {"headers": {"Authorization": f"Bearer {BERT}"}}
        async with (
            connected(api, "one", **anna) as owner,
            connected(api, "two", **anna) as other,
            connected(api, "one", **bert) as stranger,
        ):
            await accept(api, "one", "anna")
            claim = api.claim()
            record(api, claim, a={"state": "running", "type": "Denoise"})
            api.service.hear("w", {"kind": "step", "job": claim.job_id, "node": "a", "step": 1, "total": 2}, b"")
            api.finish(claim)
            assert "execution_success" in await owner.over()
            own = await accept(api, "two", "anna")
            api.finish(api.claim())
            said = await other.until("executing", node=None)
            assert {one["data"].get("prompt_id") for one in said} == {None, prompt_id(own.id, {})}
            strange = await accept(api, "one", "bert")
            api.finish(api.claim())
            said = await stranger.until("executing", node=None)
            assert {one["data"].get("prompt_id") for one in said} == {None, prompt_id(strange.id, {})}
            counts = [one["data"]["status"]["exec_info"]["queue_remaining"] for one in said if one["type"] == "status"]
            assert max(counts) <= 1

    serving(use, clients=clients())


def test_two_sockets_of_one_client_hear_the_same(serving: Any) -> None:
    """Two tabs with the same id are both told."""

    async def use(api: Any) -> None:
        async with connected(api) as one, connected(api) as two:
            await accept(api)
            api.finish(api.claim())
            assert await one.over() == await two.over()

    serving(use)


def test_a_dead_worker_is_an_interlude(serving: Any) -> None:
    """Where a worker dies its client sees the job begin again, and end; nothing says that it is over before."""

    async def use(api: Any) -> None:
        async with connected(api) as socket:
            await accept(api)
            record(api, api.claim(), a={"state": "finished"}, b={"state": "running", "type": "Denoise"})
            await socket.until("progress_state")
            api.service.store.leases.died("w-test", "killed")
            claim = api.claim()
            record(api, claim, a={"state": "cached"}, b={"state": "running", "type": "Denoise"})
            api.finish(claim)
            said = await socket.over()
            assert said[0] == "execution_start"
            assert said.count("execution_success") == 1
            assert said[-2:] == ["execution_success", "executing"]

    serving(use)


def test_a_cancelled_job_is_over(serving: Any) -> None:
    """A script that waits for a job is told that it was interrupted, also where it never began."""

    async def use(api: Any) -> None:
        async with connected(api) as socket:
            job = await accept(api)
            await api.ask("POST", "/queue", {"delete": [prompt_id(job.id, {})]})
            assert (await socket.over())[-2:] == ["execution_interrupted", "executing"]

    serving(use)


def test_previews_are_told_as_they_come(serving: Any) -> None:
    """A preview of a job goes to its editor as a frame with metadata."""

    async def use(api: Any) -> None:
        async with connected(api) as socket:
            await socket.socket.send_json(FLAGS)
            await accept(api)
            claim = api.claim()
            record(api, claim, a={"state": "running", "type": "Denoise"})
            await socket.until("progress_state")
            step = {"job": claim.job_id, "node": "a", "step": 1, "total": 2}
            api.service.hear("w", {"kind": "preview", "media_type": "image/jpeg", **step}, b"picture")
            said = await socket.socket.receive(timeout=10)
            while isinstance(said.data, str):
                said = await socket.socket.receive(timeout=10)
            assert said.data[:4] == b"\0\0\0\4"
            assert said.data.endswith(b"picture")

    serving(use)


@pytest.mark.parametrize("path", ["/ws", "/v1/events"])
def test_who_goes_while_it_is_answered_is_no_failure(
    serving: Any, path: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither one that is gone before the answer nor one that never reads it is an error of the server's."""
    for place in ("comfy.line", "routes.events"):
        monkeypatch.setattr(f"limner.server.{place}.STALLED_S", 0.2)

    async def use(api: Any) -> None:
        for _ in range(20):
            async with api.session.ws_connect(api.url + path) as socket:
                for _ in range(50):
                    await socket.send_json(FLAGS)
                socket._response.connection.transport.abort()
        async with ClientSession(read_bufsize=1024) as lazy, lazy.ws_connect(api.url + path) as socket:
            async with asyncio.timeout(60):
                with suppress(ConnectionError):
                    while api.service.followers:
                        await socket.send_str('{"type":"feature_flags","data":{}}' + " " * 1000)
        async with asyncio.timeout(30):
            while api.service.followers:
                await asyncio.sleep(0.05)
        assert "a request failed" not in caplog.text

    serving(use)


def test_who_reads_nothing_costs_nothing(serving: Any) -> None:
    """Beside a socket that is never read, others and the store go on, and nothing piles up for it."""

    async def use(api: Any) -> None:
        async with ClientSession() as lazy, lazy.ws_connect(f"{api.url}/ws?clientId=lazy", max_msg_size=0):
            await accept(api, "lazy")
            claim = api.claim()
            for part in range(40):
                names = [f"node-with-a-long-name-{part}-{number}" for number in range(500)]
                nodes = {name: {"state": "finished"} for name in names}
                await asyncio.to_thread(api.service.store.leases.record, claim, [("nodes", nodes)])
            for number in range(1000):
                step = {"kind": "step", "job": claim.job_id, "node": "a", "step": number, "total": 1000}
                api.service.hear("w", step, b"")
            async with connected(api) as socket:
                await accept(api)
                api.finish(api.claim())
                assert (await socket.over())[-1] == "executing"
            (waits,) = (one for one in api.service.feed._followers if claim.job_id in one.cursors)
            assert len(waits._latest) + len(waits._behind) + len(waits._changed) <= 4
            api.finish(claim)

    serving(use)


def test_who_reads_nothing_is_let_go(serving: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket that leaves what it is sent unread is closed, and what it held is free again."""
    monkeypatch.setattr("limner.server.comfy.line.STALLED_S", 0.3)

    async def use(api: Any) -> None:
        async with ClientSession(read_bufsize=1024) as lazy, lazy.ws_connect(f"{api.url}/ws?clientId=lazy"):
            await accept(api, "lazy")
            claim = api.claim()
            names = [f"node-with-quite-a-long-name-of-its-own-{number}" for number in range(500)]
            async with asyncio.timeout(30):
                while api.service.followers:
                    change = {"state": "finished"}
                    nodes = [("nodes", dict.fromkeys(names, change))] * 20
                    await asyncio.to_thread(api.service.store.leases.record, claim, nodes)
                    await asyncio.sleep(0.05)
            assert not api.service.feed._followers

    serving(use)


def test_signs_of_life_are_given_and_asked_for(serving: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ping is answered; whoever leaves one of the server's without an answer is let go."""
    monkeypatch.setattr("limner.server.comfy.line.PING_S", 0.1)
    monkeypatch.setattr("limner.server.comfy.line._ABSENT_S", 1.0)

    async def use(api: Any) -> None:
        async with connected(api, autoping=False) as socket:
            await socket.socket.ping(b"there?")
            said = [(one.type, bytes(one.data)) async for one in socket.socket if one.type is not WSMsgType.TEXT]
            assert set(said) == {(WSMsgType.PONG, b"there?"), (WSMsgType.PING, b"")}
            async with asyncio.timeout(30):
                while api.service.followers:
                    await asyncio.sleep(0.05)

    serving(use)
