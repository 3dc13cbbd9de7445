"""Servers that answer nothing, slowly, too much, or something else."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from remote import Actor, answer, free_port

from limner.client import Client, File
from limner.client.async_result import AsyncResult
from limner.client.client import Result
from limner.engine.errors import GraphError, InputError, RemoteError

JOB = {
    "id": "a" * 32, "name": "n", "client": "c", "state": "pending", "priority": 0, "is_paused": False, "attempts": 0,
    "last_seq": 1, "created": 1.0,
}  # fmt: skip
GRAPH = {"limner": 1, "name": "n", "nodes": {}}
NO_TEMPLATES = answer(b'{"templates": []}')
SECRET = "very-secret-token"


def client(url: str, **options: float) -> Client:
    return Client(url, token=SECRET, timeout_s=options.get("timeout_s", 60.0), retries=int(options.get("retries", 2)))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "broke off its answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "does not answer as HTTP"),
        (answer(b"<html>", media_type="text/html"), "does not answer as limner serve"),
        (answer(b'{"templates": 7}'), "templates"),
        (answer(b"[" * 100_000), "does not answer as limner serve"),
        (answer(b'{"templates": []}')[:-5], "broke off its answer"),
        (answer(b"no", "404 Not Found", "text/plain"), "status 404"),
        (answer(b"no", "500 Internal Server Error", "text/plain"), "status 500"),
        (answer(b'{"detail": []}', "500 Internal Server Error", "application/problem+json"), "status 500"),
    ],
)
def test_nonsense_is_a_remote_error(content: bytes, said: str) -> None:
    """What is no answer of ours is said with the server's address and what to try."""
    with Actor(content) as actor, client(actor.url) as asking:
        with pytest.raises(RemoteError, match=said) as found:
            asking.templates()
        assert actor.url in str(found.value)
        assert found.value.hint
        assert SECRET not in str(found.value)


def test_an_answer_without_end_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past a limit the rest stays unread, whether the length is said or not."""
    monkeypatch.setattr("limner.client.http.MAX_JSON_BYTES", 1000)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    for content in (head + b"Content-Length: 99999999999\r\n\r\n[", head + b"\r\n" + b" " * 2_000_000):
        with Actor(content) as actor, client(actor.url) as asking:
            with pytest.raises(RemoteError, match="sends more than 1000 bytes"):
                asking.templates()
            assert len(actor.heard) == 1


def test_silence_ends() -> None:
    """A server that takes a request and says nothing is given up, with what to try."""
    with Actor(None) as actor, client(actor.url, timeout_s=0.3) as asking, pytest.raises(RemoteError, match="within 0"):
        asking.templates()


def test_nobody_there() -> None:
    """A refused connection says what, where and what to try."""
    url = f"http://127.0.0.1:{free_port()}"
    with (
        client(url) as asking,
        pytest.raises(RemoteError, match=f"{url} cannot be reached: Connection refused") as found,
    ):
        asking.templates()
    assert "is limner serve running there" in str(found.value)


def test_a_lost_answer_is_asked_for_again_with_the_same_key(caplog: pytest.LogCaptureFixture) -> None:
    """A submission whose answer broke off, or that met a busy server, is sent again with its key. No token in logs."""
    caplog.set_level(logging.DEBUG)
    created = answer(json.dumps(JOB).encode(), "201 Created")
    busy = answer(b'{"detail": "later"}', "503 Service Unavailable", "application/problem+json", Retry_After="0")
    with Actor(created[:-20], busy, created) as actor, client(actor.url) as asking:
        assert asking.submit(GRAPH).id == JOB["id"]
        keys = [line for heard in actor.heard for line in heard.split(b"\r\n") if line.startswith(b"Idempotency-Key")]
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert "trying again" in caplog.text
    assert SECRET not in caplog.text


def test_what_may_not_be_done_twice_is_not_sent_twice() -> None:
    """A retry whose answer was lost is not sent again: it is said that nobody knows."""
    with Actor(b"") as actor, client(actor.url) as asking:
        with pytest.raises(RemoteError, match="whether it was done is not known"):
            asking.job("a" * 32).retry()
        assert len(actor.heard) == 1


def test_no_one_is_led_elsewhere() -> None:
    """A redirect is refused: the token goes nowhere else."""
    moved = answer(b"", "302 Found", Location="http://example.org/")
    with (
        Actor(moved) as actor,
        client(actor.url) as asking,
        pytest.raises(InputError, match=r"leads elsewhere \(302\)"),
    ):
        asking.templates()


def test_a_token_that_comes_back_is_not_shown() -> None:
    """A server that repeats the token in its words has it blotted out."""
    problem = json.dumps({"detail": f"not {SECRET}", "hint": SECRET}).encode()
    said = answer(problem, "403 Forbidden", "application/problem+json")
    with Actor(said) as actor, client(actor.url) as asking, pytest.raises(InputError) as found:
        asking.templates()
    assert str(found.value) == "not ***\n  ***"


def test_faults_of_a_problem_are_a_graph_error() -> None:
    """Every fault keeps its path and hint."""
    problem = {"detail": "1 fault", "faults": [{"path": ["nodes", "a", 3], "message": "wrong", "hint": "mend it"}]}
    said = answer(json.dumps(problem).encode(), "422 Unprocessable Entity", "application/problem+json")
    with Actor(said) as actor, client(actor.url) as asking, pytest.raises(GraphError) as found:
        asking.submit(GRAPH)
    assert str(found.value) == "wrong @ nodes.a.3 (mend it)"


@pytest.mark.parametrize(
    "content",
    [
        b"id: 1\nevent: queued\ndata: nonsense\n\n",
        b'id: x\nevent: queued\ndata: {"kind": "queued"}\n\n',
        b"data: \xff\xfe\n\n",
        b"x" * 3000,
        b"data: x\n" * 1000,
    ],
)
def test_events_that_are_none(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream of something else is a RemoteError, and no more is read than an event can have."""
    monkeypatch.setattr("limner.client.sse.MAX_EVENT_BYTES", 2000)
    with Actor(answer(content, media_type="text/event-stream")) as actor, client(actor.url) as asking:
        with pytest.raises(RemoteError):
            list(asking.job("a" * 32).events())
        assert len(actor.heard) == 1


def test_a_stream_that_breaks_goes_on_where_it_was() -> None:
    """Each connection asks for what comes after the last whole event; 204 ends it."""

    def event(seq: int) -> bytes:
        return f'id: {seq}\nevent: progress\ndata: {{"kind":"progress","time":1,"body":{{}}}}\n\n'.encode()

    first = answer(event(1) + event(2) + event(3), media_type="text/event-stream")[:-10]
    again = answer(event(2) + event(3), media_type="text/event-stream")
    end = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
    with Actor(first, b"", again, end) as actor, client(actor.url) as asking:
        assert [found.seq for found in asking.job("a" * 32).events()] == [1, 2, 3]
        assert [heard.split()[1].rsplit(b"=")[-1] for heard in actor.heard] == [b"0", b"2", b"2", b"3"]


def test_a_stream_that_stays_away_is_given_up() -> None:
    """Without a sign for as long as was said, the last reason is told."""
    for content in (b"", answer(b"", media_type="text/event-stream")):
        with Actor(content) as actor, client(actor.url) as asking, pytest.raises(RemoteError, match="is not heard of"):
            list(asking.job("a" * 32).events(patience_s=0))


@pytest.mark.parametrize("content", [b"other", b"a picture that is much longer"])
def test_a_file_with_another_content_is_refused(content: bytes, tmp_path: Path) -> None:
    """What does not have the hash and size that were promised is not kept."""
    with Actor(answer(content)) as actor, client(actor.url) as asking:
        result = _result(asking, "a.png")
        with pytest.raises(RemoteError, match="is not what it should be"):
            result.save(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../a.png", "/etc/a.png", "a/../../b", "C:a.png", "~/a", ""])
def test_a_name_that_leads_out_is_refused(name: str, tmp_path: Path) -> None:
    """No server writes outside the folder that was said."""
    with Actor(NO_TEMPLATES) as actor, client(actor.url) as asking, pytest.raises(RemoteError, match="leads out"):
        _result(asking, name).save(tmp_path)


def _result(asking: Client, name: str) -> Result:
    from limner.client import JobDetail

    file = File(name=name, sha256="0" * 64, size_bytes=5)
    job = JobDetail.model_validate(JOB | {"state": "completed", "artifacts": [file.model_dump()]})
    return Result(AsyncResult(asking._inner._http, job), asking._loop)
