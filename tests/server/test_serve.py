"""The server as a process: small, quick to begin, ends in order, and goes on where it was."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from process import served
from typer.testing import CliRunner

RUN = "/v1/run/text_to_image"
STAR = {"prompt": "a blue star on a white background", "seed": 7}
PEAK = "next(int(line.split()[1]) // 1024 for line in open('/proc/self/status') if line.startswith('VmHWM'))"
"""The most that a process took, in MB. ``getrusage`` would tell what whoever started it took."""
LOOK = """
import sys
from pathlib import Path
from limner.server.listening import listen
from limner.server.jobs.worker import WorkerSettings
from limner.server.serve import ServerSettings, serve

def ready(url):
    import os, signal, threading, urllib.request
    def ask():
        for path in ("/v1/templates", "/v1/nodes", "/openapi.json", "/readyz"):
            urllib.request.urlopen(url + path).read()
        os.kill(os.getpid(), signal.SIGTERM)
    threading.Thread(target=ask).start()

serve(ServerSettings(WorkerSettings(sys.argv[1])), listen("127.0.0.1", 0, has_token=False), None, on_ready=ready)
heavy = sorted({"torch", "diffusers", "transformers", "numpy"} & set(sys.modules))
print(heavy, PEAK)
"""


def ask(url: str, body: Any = None, token: str | None = None) -> Any:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    content = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, content, headers), timeout=120) as answer:
        found = answer.read()
        return json.loads(found) if answer.headers.get_content_type() == "application/json" else found


def test_an_idle_server_is_small(tmp_path: Path) -> None:
    """A server that has answered imports no framework, and takes less than 120 MB."""
    code = LOOK.replace("PEAK", PEAK if sys.platform == "linux" else "0")
    ran = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("[] ")
    assert int(ran.stdout.split()[1]) < 120


def test_a_store_that_cannot_be_used_ends_it(tmp_path: Path) -> None:
    """Where the jobs that it kept cannot be read, it does not begin; one line says so, with exit code 2."""
    (tmp_path / "jobs.db").write_bytes(b"no database at all" * 100)
    command = [sys.executable, "-m", "limner", "serve", "--port", "0", "--data", str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert f"✗ the job store {tmp_path}/jobs.db is damaged" in ran.stderr


def test_a_prompt_becomes_a_picture(tmp_path: Path) -> None:
    """One request gives the picture; a second server on the same folder still has it, and the models are told."""
    with served(tmp_path) as (process, url):
        picture = ask(url + RUN + "?wait=1", STAR)
        assert picture.startswith(b"\x89PNG")
        (job,) = ask(url + "/v1/jobs")["jobs"]
        assert {model["device"] for model in ask(url + "/v1/models")["models"]} == {"cpu"}
        process.send_signal(signal.SIGTERM)
        assert process.wait(12) == 0
    with served(tmp_path) as (_, url):
        (artifact,) = ask(f"{url}/v1/jobs/{job['id']}")["artifacts"]
        assert ask(url + artifact["url"]) == picture


def test_it_ends_in_order_and_goes_on(tmp_path: Path) -> None:
    """SIGTERM in the middle of a job gives the job back; the next server ends it."""
    with served(tmp_path, "--checkpoint-every", "0") as (process, url):
        job = ask(url + RUN, STAR | {"steps": 1000})["id"]
        while not any(run["node"] == "denoise" and run.get("step") for run in ask(f"{url}/v1/jobs/{job}")["nodes"]):
            time.sleep(0.1)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert time.monotonic() - began < 15  # ten, and a slow machine
    with served(tmp_path, "--workers", "0") as (_, url):
        found = ask(f"{url}/v1/jobs/{job}")
        assert (found["state"], found["attempts"]) == ("pending", 1)
        assert ask(f"{url}/v1/jobs/{job}/cancel", {})["state"] == "cancelled"


def test_steps_and_previews_are_told(tmp_path: Path) -> None:
    """Who follows a job sees its steps, and pictures of them, while it runs."""
    import asyncio

    from aiohttp import ClientSession, WSMsgType

    async def follow(url: str) -> tuple[list[dict[str, Any]], list[bytes]]:
        said, pictures = [], []
        async with ClientSession() as session, session.ws_connect(url + "/v1/events") as socket:
            async with session.post(url + RUN, json=STAR | {"steps": 200}) as answer:
                await socket.send_json({"do": "follow", "job": (await answer.json())["id"]})
            async for message in socket:
                if message.type is WSMsgType.BINARY:
                    pictures.append(message.data)
                else:
                    said.append(json.loads(message.data))
                    if said[-1].get("kind") == "finished":
                        break
        return said, pictures

    with served(tmp_path) as (_, url):
        said, pictures = asyncio.run(asyncio.wait_for(follow(url), 100))
    numbers = [message["seq"] for message in said if message["type"] == "event"]
    assert numbers == list(range(1, len(numbers) + 1))
    steps = [message["step"] for message in said if message["type"] == "step" and message["node"] == "denoise"]
    assert steps == sorted(steps)
    assert pictures
    head = json.loads(pictures[0][4 : 4 + int.from_bytes(pictures[0][:4], "big")])
    assert (head["type"], head["media_type"], head["node"]) == ("preview", "image/jpeg", "denoise")
    assert b"\xff\xd8\xff" in pictures[0]


def test_clients_of_a_file_are_known(tmp_path: Path) -> None:
    """``limner token`` makes what ``--token-file`` takes; the file holds no token."""
    from limner.commands import app

    made = CliRunner().invoke(app, ["token", "anna"])
    token = made.stderr.strip().rsplit(" ", 1)[1]
    assert token not in made.stdout
    (tmp_path / "tokens").write_text(f"# who may ask\n\n{made.stdout}")
    with served(tmp_path, "--token-file", str(tmp_path / "tokens")) as (_, url):
        assert ask(url + "/v1/jobs", token=token) == {"jobs": []}
        with pytest.raises(urllib.error.HTTPError, match="401"):
            ask(url + "/v1/jobs")
        proxied = urllib.request.Request(url + "/v1/jobs", headers={"Host": "limner.example.org"})
        proxied.add_header("Authorization", f"Bearer {token}")
        assert urllib.request.urlopen(proxied, timeout=60).status == 200


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--host", "0.0.0.0"], "there is no token"),
        (["--token-file", "nothing"], "cannot be read"),
        (["--token-file", "wrong"], "is no client"),
        (["--token-file", "empty"], "holds no token"),
        (["--files", "nothing"], "no such folder"),
        (["--database", "mysql://x"], "SQLite or PostgreSQL"),
        (["--memory", "gpu"], "missing a part"),
        (["--device", "gpu"], "no device"),
        (["--nodes", "nothing.py"], "no such file"),
    ],
)
def test_wrong_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], said: str) -> None:
    """What cannot be is said in words before anything is served."""
    from limner.commands import app

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIMNER_CONFINE", "")  # so that what is set there is taken back
    monkeypatch.delenv("LIMNER_TOKEN", raising=False)
    Path("wrong").write_text("anna is here\n")
    Path("empty").write_text("\n")
    result = CliRunner().invoke(app, ["serve", "--port", "0", "--data", str(tmp_path / "data"), *options])
    assert result.exit_code in (1, 2)
    assert said in result.output
