"""What the encoder service answers: to whom, to what, and when it is busy."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import re
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from limner.nodes._remote.protocol import MAX_REQUEST_BYTES, EncodeRequest, EncoderModel
from limner.server.clients import Clients
from limner.server.encoder.app import Service
from limner.server.encoder.turns import Turns
from limner.server.guard import Guard, is_local_name

MODEL = EncoderModel(
    protocol=1,
    identity="sha256:" + "a" * 64,
    source="fake",
    computed_by="cpu",
    dtype="bfloat16",
    layers=[1, 2],
    width=8,
    max_length=4,
    uses_negative=False,
)
JSON = {"Content-Type": "application/json"}
ONE = json.dumps({"prompts": ["a star"]})


class FakeEncoder:
    """Answers with the prompts; waits while the gate is closed."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.begun = threading.Semaphore(0)
        self.prompts: list[str] = []
        self.at_once = self.most_at_once = 0

    def answer(self, request: EncodeRequest, model: EncoderModel, is_abandoned: Callable[[], bool]) -> bytes:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.begun.release()
        self.gate.wait(30)
        self.at_once -= 1
        self.prompts += request.prompts
        if "break" in request.prompts:
            raise RuntimeError("the weights say: secret")
        return b"large " * (1 << 20) if "large" in request.prompts else ",".join(request.prompts).encode()


Use = Callable[[ClientSession, str, Service], Awaitable[None]]


def with_service(
    use: Use,
    *,
    token: str | None = None,
    is_local: bool = True,
    queue: int = 8,
    timeout_s: float = 30,
    model: EncoderModel | None = MODEL,
) -> FakeEncoder:
    """Run ``use`` beside the service on 127.0.0.1."""
    encoder = FakeEncoder()
    guard = Guard(is_local, Clients.single(SecretStr(token)) if token is not None else None)

    async def run() -> None:
        service = Service(encoder, guard, Turns(queue), timeout_s, model)  # type: ignore[arg-type]  # a fake
        async with TestServer(service.app(), host="127.0.0.1") as server, ClientSession() as session:
            try:
                await use(session, str(server.make_url("/")), service)
            finally:
                encoder.gate.set()
                service.turns.close()

    asyncio.run(run())
    return encoder


def statuses(requests: list[tuple[str, str, dict[str, Any]]], **settings: Any) -> list[tuple[int, str]]:
    """Status and message of each request: (method, path, what aiohttp takes)."""
    found: list[tuple[int, str]] = []

    async def use(session: ClientSession, url: str, service: Service) -> None:
        for method, path, options in requests:
            async with session.request(method, url + path, **options) as answer:
                text = await answer.text()
                message = json.loads(text)["error"]["message"] if answer.status >= 400 else text
                assert answer.headers["Cache-Control"] == "no-store"
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                found.append((answer.status, message))

    with_service(use, **settings)
    return found


def post(body: str | bytes | io.BytesIO, **headers: str) -> tuple[str, str, dict[str, Any]]:
    return "POST", "v1/encode", {"data": body, "headers": JSON | headers}


def test_an_answer_has_a_checksum() -> None:
    """``Content-Digest`` is the SHA-256 of the body (RFC 9530)."""

    async def use(session: ClientSession, url: str, service: Service) -> None:
        async with session.post(url + "v1/encode", data=ONE, headers=JSON) as answer:
            body = await answer.read()
        assert body == b"a star"
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        assert answer.headers["Content-Digest"] == f"sha-256=:{digest}:"
        assert answer.content_type == "application/octet-stream"
        async with session.get(url + "v1/model") as answer:
            assert EncoderModel.model_validate_json(await answer.read()) == MODEL

    with_service(use)


@pytest.mark.parametrize(
    ("request_", "status", "said"),
    [
        (post(b"{"), 400, "no JSON"),
        (post(b"\xff\xfe"), 400, "no JSON"),
        (post("[" * 100_000), 400, "no JSON"),
        (post('{"prompts": ["\\ud800"]}'), 400, "no JSON"),
        (post(""), 400, "no JSON"),
        (post("[]"), 422, "body"),
        (post('{"prompts": []}'), 422, "prompts"),
        (post('{"prompts": "a star"}'), 422, "prompts"),
        (post('{"prompts": ["a"], "layers": 3}'), 422, "layers"),
        (post('{"prompts": ["a"], "max_length": 0}'), 422, "max_length"),
        (post('{"prompts": ["a"], "max_length": NaN}'), 422, "max_length"),
        (post('{"prompts": ["a"], "max_length": %s}' % ("9" * 5000)), 400, "no JSON"),
        (post(json.dumps({"prompts": ["a"] * 17})), 422, "prompts"),
        (post(io.BytesIO(b" " * (MAX_REQUEST_BYTES + 1))), 413, str(MAX_REQUEST_BYTES)),
        (("POST", "v1/encode", {"data": ONE, "headers": {"Content-Type": "text/plain"}}), 415, "application/json"),
        (("POST", "v1/encode", {"data": ONE.encode()}), 415, "application/json"),
        (("GET", "v1/encode", {}), 405, ""),
        (("GET", "v1/../../etc/passwd", {}), 404, ""),
        (("GET", "%2e%2e/v1", {}), 404, ""),
        (post(ONE, Host="evil.test"), 421, "localhost"),
        (post(ONE, Host="127.0.0.1.evil.test"), 421, "localhost"),
        (post(ONE, Host="localhost@evil.test"), 421, "localhost"),
        (post(ONE, Origin="https://evil.test"), 403, "web pages"),
        (post(ONE, Origin="null"), 403, "web pages"),
        (post('{"prompts": ["break"]}'), 500, "RuntimeError"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_is_wrong_is_said(request_: tuple[str, str, dict[str, Any]], status: int, said: str) -> None:
    """Each kind of wrong request has its status and a message, in JSON; insides are not shown."""
    ((found, message),) = statuses([request_])
    assert found == status
    assert said in message
    assert "secret" not in message
    assert len(message) < 600


def test_a_body_without_a_length_is_bounded_too() -> None:
    async def use(session: ClientSession, url: str, service: Service) -> None:
        async def endless() -> Any:
            for _ in range(64):
                yield b" " * (MAX_REQUEST_BYTES // 16)

        async with session.post(url + "v1/encode", data=endless(), headers=JSON) as answer:
            assert answer.status == 413

    with_service(use)


def test_a_large_answer_arrives() -> None:
    """Answers of many megabytes are usual."""

    async def use(session: ClientSession, url: str, service: Service) -> None:
        async with session.post(url + "v1/encode", data='{"prompts": ["large"]}', headers=JSON) as answer:
            assert len(await answer.read()) == 6 << 20

    with_service(use)


def test_an_answer_that_would_be_too_large_is_refused_before_it_is_made() -> None:
    wide = MODEL.model_copy(update={"width": 65536})
    ((status, message),) = statuses([post(json.dumps({"prompts": ["a"], "max_length": 32768}))], model=wide)
    assert (status, "send fewer prompts" in message) == (422, True)


def test_only_the_token_opens_the_door() -> None:
    """With a token every route wants it, but for those that say only yes or no."""
    right = {"Authorization": "Bearer right"}
    for path in ("v1/model", "metrics"):
        found = statuses(
            [
                ("GET", path, {}),
                ("GET", path, {"headers": {"Authorization": "Bearer wrong"}}),
                ("GET", path, {"headers": {"Authorization": "Bearer "}}),
                ("GET", path, {"headers": {"Authorization": "Basic right"}}),
                ("GET", path, {"headers": {"Authorization": "Bearer rïght"}}),
                ("GET", f"{path}?token=right", {}),
                ("GET", path, {"headers": right}),
            ],
            token="right",
        )
        assert [status for status, _ in found] == [401, 401, 401, 401, 401, 401, 200]
    assert [s for s, _ in statuses([("GET", "healthz", {}), ("GET", "readyz", {})], token="right")] == [200, 200]
    assert [s for s, _ in statuses([post(ONE)], token="right")] == [401]


def test_beyond_this_machine_any_name_may_be_used() -> None:
    """There, the service does not know how it is called; the token keeps strangers out."""
    named = {"Host": "encoder.lan", "Authorization": "Bearer right"}
    assert statuses([("GET", "v1/model", {"headers": named})], token="right", is_local=False)[0][0] == 200


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8765", "127.0.0.1", "127.8.8.8:1", "[::1]", "[::1]:80", "LOCALHOST"]
)
def test_names_of_this_machine(host: str) -> None:
    assert is_local_name(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.test",
        "localhost.evil.test",
        "a@localhost",
        "localhost:x",
        "[::1",
        "10.0.0.1",
        "0.0.0.0",
        "localhost/x",
    ],
)
def test_names_of_others(host: str) -> None:
    assert not is_local_name(host)


def test_while_it_loads_it_is_alive_and_not_ready() -> None:
    """What needs the model says 503 and when to come back; health and metrics answer."""

    async def use(session: ClientSession, url: str, service: Service) -> None:
        for path in ("v1/model", "readyz"):
            async with session.get(url + path) as answer:
                assert (answer.status, int(answer.headers["Retry-After"]) > 0) == (503, True)
        async with session.get(url + "healthz") as answer:
            assert answer.status == 200
        async with session.get(url + "metrics") as answer:
            assert "limner_encoder_ready 0\n" in await answer.text()

    with_service(use, model=None)


async def wait_until(is_true: Callable[[], bool]) -> None:
    for _ in range(1000):
        if is_true():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it did not come true in time")


def test_one_at_a_time_few_wait_and_the_loop_goes_on() -> None:
    """While one request is encoded another waits, a third gets a 429, and health is answered."""

    async def use(session: ClientSession, url: str, service: Service) -> None:
        encoder: Any = service.encoder
        encoder.gate.clear()

        async def encode() -> int:
            async with session.post(url + "v1/encode", data=ONE, headers=JSON) as answer:
                return answer.status

        running = asyncio.create_task(encode())
        await asyncio.to_thread(encoder.begun.acquire)
        waiting = asyncio.create_task(encode())
        await wait_until(lambda: service.turns.waiting == 1)
        async with session.post(url + "v1/encode", data=ONE, headers=JSON) as answer:
            assert (answer.status, int(answer.headers["Retry-After"]) > 0) == (429, True)
        async with session.get(url + "healthz") as answer:
            assert answer.status == 200
        encoder.gate.set()
        assert [await running, await waiting] == [200, 200]

    encoder = with_service(use, queue=1)
    assert encoder.most_at_once == 1
    assert encoder.prompts == ["a star"] * 2


def test_a_request_ends_in_time() -> None:
    """What takes longer than allowed gets a 503; the next one is answered once the thread is free."""

    async def use(session: ClientSession, url: str, service: Service) -> None:
        encoder: Any = service.encoder
        encoder.gate.clear()
        async with session.post(url + "v1/encode", data=ONE, headers=JSON) as answer:
            assert answer.status == 503
            assert "longer than 0.1 s" in await answer.text()
        encoder.gate.set()
        await wait_until(lambda: not service.turns.is_busy)

    with_service(use, timeout_s=0.1)


def test_metrics_are_as_prometheus_reads_them() -> None:
    """Every line is a comment or a sample; counters end in _total; buckets add up."""

    async def use(session: ClientSession, url: str, service: Service) -> None:
        for body in (ONE, ONE, "{"):
            async with session.post(url + "v1/encode", data=body, headers=JSON) as answer:
                await answer.read()
        async with session.get(url + "nothing") as answer:
            await answer.read()
        async with session.get(url + "metrics") as answer:
            assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            text = await answer.text()
        sample = re.compile(r'limner_encoder_[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [0-9.e+-]+')
        lines = text.splitlines()
        assert text.endswith("\n")
        assert all(line.startswith(("# HELP ", "# TYPE ")) or sample.fullmatch(line) for line in lines), text
        assert 'limner_encoder_requests_total{route="/v1/encode",status="200"} 2' in lines
        assert 'limner_encoder_requests_total{route="/v1/encode",status="400"} 1' in lines
        assert 'limner_encoder_requests_total{route="other",status="404"} 1' in lines
        assert "limner_encoder_prompts_total 2" in lines
        assert "limner_encoder_answer_bytes_total 12" in lines
        assert 'limner_encoder_encode_seconds_bucket{le="+Inf"} 2' in lines
        assert "limner_encoder_encode_seconds_count 2" in lines

    with_service(use)


def test_prompts_are_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    statuses([post('{"prompts": ["private words"]}'), post('{"prompts": ["private words", "break"]}')])
    assert "private words" not in caplog.text
    assert "a request failed" in caplog.text
