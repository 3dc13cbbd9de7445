"""Events: every one of them, in order, to whoever may see them, at each one's own pace."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from aiohttp import ClientSession, WSMsgType
from served import ANNA, BERT, ROOT, STAR, clients

from limner.server.feed import BATCH, Feed
from limner.server.follower import MAX_CHANGED, RECENT, Follower, Told
from limner.server.jobs.job import Job
from limner.server.limits import Limits


async def read_stream(api: Any, path: str, **headers: str) -> list[tuple[int, str]]:
    """Number and kind of each event until the stream ends."""
    answer = await api.ask("GET", path, headers=headers)
    lines = answer.body.decode().split("\n\n")
    found = []
    for part in lines:
        fields = dict(line.split(": ", 1) for line in part.splitlines() if line)
        if "id" in fields:
            found.append((int(fields["id"]), fields["event"]))
            assert json.loads(fields["data"])["kind"] == fields["event"]
    return found


def record(api: Any, claim: Any, count: int) -> None:
    for step in range(count):
        api.service.store.leases.record(claim, [("progress", {"nodes": {"denoise": {"step": step}}})])


def test_a_stream_tells_all_and_ends(serving: Any) -> None:
    """A stream gives every event once, in order, those from before it began too, and ends with the job."""

    async def use(api: Any) -> None:
        job = await api.submit()
        claim = api.claim()
        record(api, claim, 3)
        reading = asyncio.ensure_future(read_stream(api, f"/v1/jobs/{job}/events"))
        await asyncio.sleep(0.3)
        record(api, claim, 3)
        api.finish(claim)
        found = await reading
        assert [seq for seq, _ in found] == list(range(1, 10))
        assert [kind for _, kind in found] == ["queued", "started", *["progress"] * 6, "finished"]
        assert api.crew.watched == [True, False]

    serving(use)


def test_a_stream_goes_on_where_it_broke_off(serving: Any) -> None:
    """With the number of the last event that was read, the rest comes; when there is none, 204 says so."""

    async def use(api: Any) -> None:
        job = await api.submit()
        claim = api.claim()
        record(api, claim, 4)
        api.finish(claim)
        path = f"/v1/jobs/{job}/events"
        assert [seq for seq, _ in await read_stream(api, path + "?after=4")] == [5, 6, 7]
        assert [seq for seq, _ in await read_stream(api, path + "?after=1", **{"Last-Event-ID": "6"})] == [7]
        assert (await api.ask("GET", path + "?after=7")).status == 204
        assert (await api.ask("GET", path + "?after=-1")).status == 422
        assert (await api.ask("GET", path, headers={"Last-Event-ID": "x"})).status == 422

    serving(use)


def test_a_socket_tells_of_many_jobs(serving: Any) -> None:
    """Over one WebSocket come the events of every job that is followed, lists, steps and previews."""

    async def use(api: Any) -> None:
        async with api.session.ws_connect(api.url + "/v1/events") as socket:
            await socket.send_json({"do": "lists"})
            assert await socket.receive_json(timeout=10) == {"type": "queue", "is_paused": False}
            job = await api.submit()
            said = await socket.receive_json(timeout=10)
            assert (said["type"], said["job"]["id"], said["job"]["state"]) == ("job", job, "pending")
            await socket.send_json({"do": "follow", "job": job})
            assert await socket.receive_json(timeout=10) | {"time": 0} == {
                "type": "event",
                "job": job,
                "seq": 1,
                "time": 0,
                "kind": "queued",
                "body": {"why": "accepted"},
            }
            step = {"job": job, "node": "denoise", "step": 1, "total": 4}
            api.service.hear("w", {"kind": "step", **step}, b"")
            assert await socket.receive_json(timeout=10) == {"type": "step", **step}
            api.service.hear("w", {"kind": "preview", "media_type": "image/jpeg", **step}, b"a picture")
            frame = (await socket.receive(timeout=10)).data
            size = int.from_bytes(frame[:4], "big")
            assert json.loads(frame[4 : 4 + size])["type"] == "preview"
            assert frame[4 + size :] == b"a picture"
            api.finish(api.claim())
            kinds = []
            while "finished" not in kinds or "completed" not in kinds:
                said = await socket.receive_json(timeout=10)
                kinds.append(said["kind"] if said["type"] == "event" else said["job"]["state"])
            await socket.send_json({"do": "unfollow", "job": job})

    serving(use)


def test_who_shows_lists_hears_that_the_queue_is_paused(serving: Any) -> None:
    """Whoever pauses it, and wherever: each such client is told how it stands, and once for each change."""

    async def use(api: Any) -> None:
        async def heard(socket: Any) -> Any:
            return await socket.receive_json(timeout=10)

        url = api.url + "/v1/events"
        async with api.session.ws_connect(url) as one, api.session.ws_connect(url) as other:
            for socket in (one, other):
                await socket.send_json({"do": "lists"})
                assert await heard(socket) == {"type": "queue", "is_paused": False}
            await api.ask("POST", "/v1/queue/pause")
            await api.ask("POST", "/v1/queue/pause")
            for socket in (one, other):
                assert await heard(socket) == {"type": "queue", "is_paused": True}
            api.service.store.queue.resume_all()  # as another server, or the terminal, does
            assert await heard(one) == {"type": "queue", "is_paused": False}
            await one.send_json({"do": "lists", "on": False})
            await api.ask("POST", "/v1/queue/pause")
            assert (await heard(other), await heard(other)) == (
                {"type": "queue", "is_paused": False},
                {"type": "queue", "is_paused": True},
            )

    serving(use)


def test_a_socket_is_told_what_is_wrong(serving: Any) -> None:
    """A command that is none gets a problem, and the socket goes on; what is no text ends it."""

    async def use(api: Any) -> None:
        async with api.session.ws_connect(api.url + "/v1/events") as socket:
            for text in (
                "",
                "x",
                "[]",
                '{"do": "shell"}',
                '{"do": "follow"}',
                '{"do": "follow", "job": "../x"}',
                "[" * 9999,
            ):
                await socket.send_str(text)
                assert (await socket.receive_json(timeout=10))["type"] == "problem"
            await socket.send_json({"do": "follow", "job": "0" * 32})
            assert "there is no job" in (await socket.receive_json(timeout=10))["detail"]
            await socket.send_bytes(b"\x00")
            assert (await socket.receive(timeout=10)).type in (WSMsgType.CLOSE, WSMsgType.CLOSED)
        assert (await api.ask("GET", "/v1/events")).status == 426

    serving(use)


def test_others_are_not_told(serving: Any) -> None:
    """Neither events nor lists nor previews of another client's jobs reach anybody else."""

    async def use(api: Any) -> None:
        api.token = ANNA
        job = await api.submit()
        headers = {"Authorization": f"Bearer {BERT}"}
        async with api.session.ws_connect(api.url + "/v1/events", headers=headers) as socket:
            await socket.send_json({"do": "lists"})
            assert (await socket.receive_json(timeout=10))["type"] == "queue"
            await socket.send_json({"do": "follow", "job": job})
            assert "there is no job" in (await socket.receive_json(timeout=10))["detail"]
            api.service.hear("w", {"kind": "step", "job": job, "node": "n", "step": 1, "total": 2}, b"")
            await api.ask("POST", f"/v1/jobs/{job}/cancel")
            api.token = BERT
            own = await api.submit()
            assert (await socket.receive_json(timeout=10))["job"]["id"] == own

    serving(use, clients=clients())


def test_streams_are_bounded(serving: Any) -> None:
    """Past the limit another follower is refused, until one has gone."""

    async def use(api: Any) -> None:
        job = await api.submit()
        async with api.session.ws_connect(api.url + "/v1/events") as socket:
            assert (await api.ask("GET", f"/v1/jobs/{job}/events")).status == 503
            await socket.send_json({"do": "follow", "job": job})
            await socket.receive_json(timeout=10)
            other = await api.submit()
            await socket.send_json({"do": "follow", "job": other})
            assert "at most 1" in (await socket.receive_json(timeout=10))["detail"]

    serving(use, limits=Limits(streams=1, followed=1))


def test_one_client_leaves_room_for_others(serving: Any) -> None:
    """Who follows or waits for a picture holds a connection; past its own share it is refused, and others are not."""

    async def use(api: Any) -> None:
        waits = asyncio.ensure_future(api.ask("POST", "/v1/run/text_to_image?wait=1", STAR))
        while not (jobs := (await api.ask("GET", "/v1/queue")).json["jobs"]):
            await asyncio.sleep(0.02)
        for ask in (("GET", f"/v1/jobs/{jobs[0]['id']}/events"), ("POST", "/v1/run/text_to_image?wait=1", STAR)):
            refused = await api.ask(*ask)
            assert (refused.status, refused.headers["Retry-After"]) == (429, "5")
        assert len((await api.ask("GET", "/v1/queue")).json["jobs"]) == 1, "what is refused leaves no job behind"
        assert (await api.ask("POST", "/v1/run/text_to_image", STAR)).status == 202, "who does not wait holds nothing"
        api.token = BERT
        async with api.session.ws_connect(api.url + "/v1/events", headers={"Authorization": f"Bearer {BERT}"}):
            api.token = ROOT
            assert (await api.ask("GET", f"/v1/jobs/{jobs[0]['id']}/events")).status == 503, "two are all there may be"
        api.token = ANNA
        api.finish(api.claim())
        assert (await waits).status == 200
        assert (await api.ask("GET", f"/v1/jobs/{jobs[0]['id']}/events")).status == 200, "and now there is room"

    serving(use, clients=clients(), token=ANNA, limits=Limits(streams=2, streams_of_client=1))


def test_who_reads_nothing_costs_nothing(serving: Any) -> None:
    """A client that stops reading holds no events, and one beside it gets everything."""

    async def use(api: Any) -> None:
        job = await api.submit()
        claim = api.claim()
        async with ClientSession() as lazy, lazy.ws_connect(api.url + "/v1/events", max_msg_size=0) as asleep:
            await asleep.send_json({"do": "follow", "job": job})
            reading = asyncio.ensure_future(read_stream(api, f"/v1/jobs/{job}/events"))
            await asyncio.sleep(0.2)
            filler = "x" * 20_000
            for _ in range(3):
                told = [("progress", {"filler": filler})] * 100
                await asyncio.to_thread(api.service.store.leases.record, claim, told)
            api.finish(claim)
            assert len(await reading) == 303

    serving(use)


class FakeHistory:
    """Jobs with events, by number."""

    def __init__(self, last_seq: int) -> None:
        self.last_seq = last_seq
        self.reads = 0

    def a_job(self) -> Job:
        return Job("j", "c", "n", "in_progress", 0, False, None, "w", 1, 0, self.last_seq, 0.0, 0.0, None, None, None)

    def job(self, job_id: str, client: str | None) -> Job:
        return self.a_job()

    def some(self, job_ids: Any) -> list[Job]:
        return [self.a_job()]

    def ended_since(self, time_s: float) -> list[Job]:
        return []

    def page(self, **options: Any) -> Any:
        class Page:
            jobs = ()

        return Page

    def events(self, job_id: str, after: int = 0, limit: int = 1000) -> list[Any]:
        from limner.server.jobs.job import JobEvent

        self.reads += 1
        last = min(self.last_seq, after + limit)
        return [JobEvent(seq, 0.0, "progress", "{}") for seq in range(after + 1, last + 1)]


def test_a_slow_follower_is_served_from_the_store() -> None:
    """However far behind, a follower gets every event once, in batches; who keeps up costs no reading."""
    from limner.server.clients import LOCAL

    async def main() -> None:
        history = FakeHistory(0)

        async def aside(work: Any) -> Any:
            return work()

        feed = Feed(history, aside)  # type: ignore[arg-type]  # a fake
        quick, slow = Follower(LOCAL), Follower(LOCAL)
        looking = asyncio.ensure_future(feed.run())
        with feed.joined(quick), feed.joined(slow):
            await feed.follow(quick, "j", 0)
            await feed.follow(slow, "j", 0)
            got: list[int | None] = []
            for last in range(100, 1001, 100):
                history.last_seq = last
                feed.wake()
                while len(got) < last:
                    got += [told.seq for told in await feed.next(quick)]
            assert got == list(range(1, 1001))
            reads = history.reads
            missed: list[int | None] = []
            while len(missed) < 1000:
                batch = await feed.next(slow)
                assert len(batch) <= max(BATCH, RECENT)
                missed += [told.seq for told in batch]
            assert missed == list(range(1, 1001))
            assert history.reads - reads <= 1000 // BATCH
        looking.cancel()

    asyncio.run(main())


def test_only_the_latest_waits() -> None:
    """For one that does not read, one step and one preview a node wait; a list that changed a lot is read anew."""
    from limner.server.clients import LOCAL

    follower = Follower(LOCAL, lists=True)
    follower.cursors["j"] = 0
    for step in range(1000):
        follower.tell_latest(Told("step", "j", str(step)), "n")
        follower.tell_latest(Told("preview", "j", str(step), picture=b"x"), "n")
    fields = ("c", "n", "pending", 0, False, None, None, 0, 0, 1, 0.0, None, None, None, None)
    for number in range(MAX_CHANGED + 10):
        follower.change(Job(str(number), *fields))  # type: ignore[arg-type]  # in the order of the fields
    _, changed, latest, must_read_again = follower.take()
    assert [told.body for told in latest] == ["999", "999"]
    assert must_read_again
    assert len(changed) < 20
