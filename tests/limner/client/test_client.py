"""The client against a server in a process of its own."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
from PIL import Image
from remote import ANNA, graph, node, steps

from limner.client import AsyncClient, Client
from limner.engine.errors import Cancelled, GraphError, InputError, NodeFailed
from limner.session import Session


def test_a_graph_is_run_and_its_files_fetched(anna: Client, tmp_path: Path) -> None:
    """``run`` gives files and values; ``save`` replaces nothing."""
    result = anna.run(steps())
    assert (result.status, [file.name for file in result.files]) == ("completed", ["out/value.txt"])
    number = result.read("out/value.txt")
    assert [path.read_bytes() for path in result.save(tmp_path)] == [number]
    assert [path.name for path in result.save(tmp_path)] == ["value-2.txt"]
    assert sorted(path.name for path in tmp_path.rglob("*.txt")) == ["value-2.txt", "value.txt"]
    assert not list(tmp_path.rglob("*.part"))
    with pytest.raises(InputError, match="gave no file nothing"):
        result.read("nothing")
    assert anna.run(graph(a=node("Numbers"))).values() == {"a": {"int": 1}}


def test_faults_are_those_of_a_run_here(anna: Client) -> None:
    """A wrong graph and wrong values raise GraphError with the same faults at the same paths, and no job is made."""
    before = next(anna.jobs(), None)
    for given in ({"steps": 0}, {"sed": 1}, {"denoise.seed": -1, "width": 3}):
        with pytest.raises(GraphError) as here:
            Session().check("text_to_image", given)
        for asked in (anna.submit, anna.check):
            with pytest.raises(GraphError) as there:
                asked("text_to_image", given) if asked == anna.submit else anna.check("text_to_image", **given)
            assert there.value.faults == here.value.faults
    assert next(anna.jobs(), None) == before


def test_a_node_that_fails_raises_as_here(anna: Client) -> None:
    """NodeFailed names the node and says what it raised; what other branches gave is there."""
    document = graph(bad=node("Fail"), steps=node("Steps"), write=node("Write", {"value": "steps"}))
    with pytest.raises(NodeFailed, match=r"bad \(Fail\) failed: ValueError: as told") as found:
        anna.run(document)
    assert found.value.node == "bad"
    result = anna.submit(document).wait()
    assert (result.status, list(result.failures), len(result.files)) == ("failed", ["bad"], 1)


def test_a_picture_that_is_none_is_said_at_its_setting(anna: Client, tmp_path: Path) -> None:
    """What the server does not take is a fault of the graph, with the file's name."""
    (tmp_path / "a.png").write_bytes(b"no picture")
    document = graph(a=node("LoadImage", file=str(tmp_path / "a.png")), show=node("PreviewImage", {"images": "a"}))
    with pytest.raises(GraphError) as found:
        anna.submit(document)
    (fault,) = found.value.faults
    assert fault.path == ("nodes", "a", "settings", "file")
    assert "a.png" in fault.message


def test_pictures_go_along(anna: Client, tmp_path: Path) -> None:
    """A picture that a setting names is brought, and comes back as it was; a pattern stands for its files."""
    made = Image.new("RGB", (64, 64), (10, 200, 30))
    made.save(tmp_path / "shot1.png")
    made.save(tmp_path / "shot2.png")
    document = graph(a=node("LoadImage", file=str(tmp_path / "shot1.png")), show=node("PreviewImage", {"images": "a"}))
    result = anna.run(document)
    (picture,) = result.images()
    assert (picture.size, picture.getpixel((5, 5))) == ((64, 64), (10, 200, 30))
    files = {"images": str(tmp_path / "shot*.png")}
    job = anna.submit("edit_with_references", files | {"prompt": "image 1"})
    (sent,) = [one["settings"]["files"] for one in job.graph()["nodes"].values() if "files" in one.get("settings", {})]
    job.cancel()
    Image.new("RGB", (32, 32)).save(tmp_path / "small.png")
    with pytest.raises(GraphError, match=r"small\.png is 32x32"):
        anna.check("edit_with_references", images=[str(tmp_path / "small.png")])
    assert sent == [anna.upload(tmp_path / "shot1.png").file] * 2


def test_a_job_is_steered(anna: Client) -> None:
    """Cancel and retry; a wait that is too short leaves it as it is."""
    job = anna.submit(steps(10_000, 0.05, salt=1))
    with pytest.raises(TimeoutError, match="it goes on"):
        job.wait(0.2)
    assert not job.detail().is_over
    job.cancel()
    result = job.wait()
    assert result.status == "cancelled"
    with pytest.raises(Cancelled):
        result.raise_for_failures()
    assert job.retry().state == "pending"
    assert job.cancel().id == job.id
    job.wait()
    done = anna.submit(graph(a=node("Numbers")))
    done.wait()
    with pytest.raises(InputError, match="only what failed or was cancelled"):
        done.retry()


def test_events_come_once_and_in_order(anna: Client) -> None:
    """A job's events are numbered without a gap, from any of them on, and end with it."""
    job = anna.submit(steps(20, 0.02, salt=2))
    numbered = [event for event in job.events() if event.seq is not None]
    assert [event.seq for event in numbered] == list(range(1, len(numbered) + 1))
    assert (numbered[0].kind, numbered[-1].kind) == ("queued", "finished")
    assert [event.seq for event in job.events(after=2) if event.seq] == list(range(3, len(numbered) + 1))
    assert list(job.events(after=len(numbered))) == []
    assert next(job.events()).kind == "queued"  # and the rest is let go


def test_lists_are_read_as_they_are_asked_for(anna: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """History comes page by page, whole, the newest first; the queue in its order, which can be changed."""
    monkeypatch.setattr("limner.client.async_client.PAGE", 2)
    anna.pause_queue()
    try:
        made = [anna.submit(graph(a=node("Numbers", {}))).id for _ in range(5)]
        assert [job.id for job in islice(anna.jobs(), 5)] == made[::-1]
        assert [job.id for job in anna.queue()] == made
        assert {job.state for job in anna.jobs("pending")} == {"pending"}
        assert anna.job(made[4]).pause().is_paused
        assert not anna.job(made[4]).resume().is_paused
        anna.job(made[4]).move(0)
        assert next(anna.queue()).id == made[4]
    finally:
        for job in anna.queue():
            anna.job(job.id).cancel()
        anna.resume_queue()


def test_clients_see_their_own(anna: Client, bert: Client, server: str) -> None:
    """Another's job looks as if it did not exist; an admin sees it; a wrong token and none are said in words."""
    job = anna.submit(graph(a=node("Numbers")))
    with pytest.raises(InputError, match="there is no job"):
        bert.job(job.id).detail()
    own = bert.submit(graph(a=node("Numbers")))
    assert own.id not in {one.id for one in bert.jobs() if one.client != "bert"}
    assert anna.job(own.id).detail().client == "bert"
    for token, said in (("wrong-token", "refuses the token"), (None, "wants a token")):
        with Client(server, token=token) as stranger, pytest.raises(InputError, match=said) as found:
            stranger.templates()
        assert "wrong-token" not in str(found.value)


def test_the_same_key_is_the_same_job(anna: Client) -> None:
    """Handing in again with a key makes no second job, and another graph with it is refused."""
    first, second = (anna.submit(steps(), key="the-key").id for _ in range(2))
    assert first == second
    with pytest.raises(InputError, match="was used for another graph"):
        anna.submit(steps(4), key="the-key")


def test_what_there_is(anna: Client) -> None:
    """Templates, nodes, plans and models are told; an unknown template gets the nearest name."""
    assert "prompt" in anna.template("text_to_image").parameters
    assert "text_to_image" in {template.name for template in anna.templates()}
    assert {"Steps", "Denoise"} <= {one.name for one in anna.nodes()}
    assert isinstance(anna.models(), tuple)
    assert anna.check("text_to_image", prompt="a star") == 5
    assert anna.plan("text_to_image").fits
    with pytest.raises(InputError, match="did you mean text_to_image"):
        anna.submit("text_to_imag")


def test_who_stops_waiting_ends_the_job(server: str) -> None:
    """A cancelled ``run`` of the asynchronous client cancels its job."""

    async def main() -> None:
        async with AsyncClient(server, token=ANNA) as client:
            running = asyncio.ensure_future(client.run(steps(10_000, 0.05, salt=3)))
            while (found := await anext(client.jobs("in_progress"), None)) is None:
                await asyncio.sleep(0.05)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            assert (await client.job(found.id).wait()).status == "cancelled"

    asyncio.run(asyncio.wait_for(main(), 60))


def test_a_closed_client_says_so(server: str) -> None:
    """Closing twice is no fault; using it then is one. No token is in what it shows of itself."""
    client = Client(server, token=ANNA)
    assert repr(client) == f"<Client of {server}>"
    assert repr(client.job("0" * 32)).startswith("<Job 000")
    assert ANNA not in repr(client._inner._http.__dict__)
    client.close()
    client.close()
    with pytest.raises(RuntimeError, match="closed"):
        client.templates()


def test_a_script_need_not_close(server: str) -> None:
    """What is left open goes with the last that holds it, without a word; a job outlives its client."""
    script = f"from limner.client import Client; job = Client({server!r}, token={ANNA!r}).job('0' * 32); job.cancel()"
    ran = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=60)
    assert ran.stderr.splitlines()[-1] == f"limner.engine.errors.InputError: there is no job {'0' * 32}"
    assert "nclosed" not in ran.stderr
