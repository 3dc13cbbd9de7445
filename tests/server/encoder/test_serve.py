"""How the service begins and ends, as a process."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from limner.engine.errors import InputError
from limner.server.listening import listen

SLOW = """
import time
from limner.nodes._remote.protocol import EncoderModel
from limner.server.encoder.serve import serve
from limner.server.listening import listen

class Slow:
    def load(self, report):
        if {loading}:
            print("loading", flush=True)
            time.sleep(60)
        names = {{"identity": "sha256:" + "a" * 64, "source": "slow", "computed_by": "cpu", "dtype": "float32"}}
        return EncoderModel(protocol=1, layers=[1], width=1, max_length=1, uses_negative=False, **names)

    def answer(self, request, model, is_abandoned):
        print("encoding", flush=True)
        time.sleep({seconds})
        return b"done"

def ready(url, model):
    print(url, flush=True)

server = listen("127.0.0.1", 0, has_token=False)
raise SystemExit(0 if serve(Slow(), server, None, queue=1, timeout_s=60, on_ready=ready) else 130)
"""


@contextmanager
def slow(*, seconds: float = 0.0, loading: bool = False) -> Iterator[subprocess.Popen[str]]:
    """The service with an encoder that takes its time."""
    code = SLOW.format(seconds=seconds, loading=loading)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def request_encoding(url: str) -> Any:
    body = json.dumps({"prompts": ["a"]}).encode()
    request = urllib.request.Request(url + "/v1/encode", body, {"Content-Type": "application/json"})
    return urllib.request.urlopen(request, timeout=60)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_in_order(how: signal.Signals) -> None:
    """Asked to end, it answers what it is at, takes nothing new, and exits with 0."""
    with slow(seconds=1.0) as process:
        url = line_of(process)
        script = (
            f"import urllib.request as u; r = u.Request({url!r} + '/v1/encode', b'{{\"prompts\": [\"a\"]}}',"
            " {'Content-Type': 'application/json'}); print(u.urlopen(r, timeout=60).read())"
        )
        with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as client:
            assert line_of(process) == "encoding"
            process.send_signal(how)
            answer, _ = client.communicate(timeout=60)
        assert answer == "b'done'\n"
        assert process.wait(timeout=30) == 0
        with pytest.raises(OSError, match="refused"):
            request_encoding(url)


def test_asked_twice_it_ends_at_once() -> None:
    with slow(seconds=60) as process:
        url = line_of(process)
        threading.Thread(target=lambda: _quietly(url), daemon=True).start()
        assert line_of(process) == "encoding"
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.5)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 130


def _quietly(url: str) -> None:
    try:
        request_encoding(url)
    except OSError:
        return


def test_interrupted_while_it_loads_it_says_so() -> None:
    """A load that cannot be stopped does not keep the process alive."""
    with slow(loading=True) as process:
        assert line_of(process) == "loading"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 130


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "10.255.255.1"])
def test_beyond_this_machine_only_with_a_token(host: str) -> None:
    """Without a token it refuses before it listens."""
    with pytest.raises(InputError, match="there is no token"):
        listen(host, 0, has_token=False)


def test_names_are_resolved_before_they_are_judged() -> None:
    with listen("localhost", 0, has_token=False) as server:
        assert server.getsockname()[0] in ("127.0.0.1", "::1")
    with pytest.raises(InputError, match="no-such-host"):
        listen("no-such-host.invalid", 0, has_token=True)


def test_a_port_that_is_taken_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port}: Address already in use"):
            listen("127.0.0.1", port, has_token=False)


def test_the_real_one_answers_as_it_says(encoder: Any) -> None:
    """The metadata of an answer name model, layers and dtype; prompts of a batch are those of single requests."""
    import safetensors.torch

    from limner.nodes._flux2.storage import read_metadata

    def ask(path: str, body: Any = None) -> bytes:
        headers = {"Authorization": f"Bearer {encoder.token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(encoder.url + path, data, headers), timeout=60) as answer:
            content: bytes = answer.read()
        return content

    def tensors(body: Any) -> tuple[Any, Any]:
        content = ask("/v1/encode", body)
        return safetensors.torch.load(content), read_metadata("Conditioning", content)

    model = json.loads(ask("/v1/model"))
    both, metadata = tensors({"prompts": ["a red star", "a blue moon"], "negative_prompt": "blurred"})
    assert metadata["model"] == model["identity"] == encoder.identity
    assert (metadata["layers"], metadata["dtype"]) == ("1,2,3", "float32")
    assert both["prompt"].shape == (2, model["max_length"], model["width"])
    assert both["negative"].shape == (1, model["max_length"], model["width"])
    for index, prompt in enumerate(("a red star", "a blue moon")):
        one, _ = tensors({"prompts": [prompt], "negative_prompt": "blurred"})
        assert one["prompt"].equal(both["prompt"][index : index + 1])
        assert one["negative"].equal(both["negative"])
