"""``limner run --server``: like a run here."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

sys.path.append(str(Path(__file__).parent / "client"))  # pytest's importlib mode adds no folder by itself

from remote import serving, steps

QUICK = ("--set", "steps=2", "--set", "width=64", "--set", "height=64")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the server."""
    return tmp_path_factory.mktemp("server") / "data"


@pytest.fixture(scope="module")
def url(data: Path) -> Iterator[str]:
    """A server of its own process, without tokens."""
    with serving(data) as (url, _):
        yield url


@pytest.fixture(autouse=True)
def _server(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command means that server."""
    monkeypatch.setenv("LIMNER_SERVER", url)
    monkeypatch.delenv("LIMNER_TOKEN", raising=False)


def kinds(answer: Any) -> list[tuple[str, str]]:
    return sorted(
        (e["event"], e.get("node", "")) for e in answer.events if e["event"] not in ("node_progress", "files")
    )


def pixels(path: str) -> bytes:
    with Image.open(path) as image:
        return image.tobytes()


def test_it_gives_what_a_run_here_gives(limner: Any, tmp_path: Path) -> None:
    """The same events, the same pictures at the same places, numbered where names are taken; then from the cache."""
    here = limner("run", "text_to_image", *QUICK, "--set", "batch=2", "--json", "--server", "")
    there = limner("run", "text_to_image", *QUICK, "--set", "batch=2", "--json")
    assert there.code == 0
    models = ("model_loading", "model_loaded")
    assert [e for e in kinds(there) if e[0] not in models] == [e for e in kinds(here) if e[0] not in models]
    assert there.events[0]["event"] == "run_started"
    assert here.events[-1]["paths"] == ["outputs/image-1.png", "outputs/image-2.png"]
    assert there.events[-1]["paths"] == ["outputs/image-3.png", "outputs/image-4.png"]
    assert [pixels(path) for path in there.events[-1]["paths"]] == [pixels(path) for path in here.events[-1]["paths"]]
    star = tmp_path / "elsewhere" / "star.png"
    again = limner("run", "text_to_image", *QUICK, "--out", str(star))
    assert (again.code, again.stdout) == (0, f"{star}\n")
    assert "from the cache" in again.stderr
    first = star.stat().st_mtime_ns
    assert limner("run", "text_to_image", *QUICK, "--set", "seed=5", "--out", str(star), "-q").stdout == f"{star}\n"
    assert star.stat().st_mtime_ns > first
    copied = limner("run", str(star), "--out", "copy.png", "-q")
    assert (copied.code, pixels("copy.png")) == (0, pixels(str(star)))


def test_faults_come_together(limner: Any) -> None:
    """What is wrong on the command line and what the server finds is one report, as in a run here."""
    wrong = ("run", "text_to_image", "--set", "sed=1", "--set", "steps=0", "--json")
    here, there = limner(*wrong, "--server", ""), limner(*wrong)
    assert (there.code, there.json) == (2, here.json)
    assert there.stderr == here.stderr
    assert limner("run", "nothing_of_this_name").code == 2
    refused = limner("run", "text_to_image", "--device", "cpu", "--sweep", "seed=1..2")
    assert refused.code == 2
    assert "2 faults" in refused.stderr
    assert limner("run", "text_to_image", "--detach", "--server", "").code == 2


def test_a_failure_has_the_same_words_and_code(limner: Any, tmp_path: Path) -> None:
    """A node that fails ends it with exit code 1, what its user must mend with 2."""
    graph = {"limner": 1, "name": "bad", "nodes": {"bad": {"type": "Fail", "settings": {}, "wires": {}}}}
    (tmp_path / "bad.json").write_text(json.dumps(graph))
    failed = limner("run", "bad.json")
    assert failed.code == 1
    assert "bad (Fail) failed: ValueError: as told" in failed.stderr
    too_far = limner("run", "text_to_image", "--server", "http://192.0.2.1:1", "--token-file", "nothing")
    assert (too_far.code, "cannot be read" in too_far.stderr) == (2, True)


def test_jobs_of_a_server(limner: Any, tmp_path: Path) -> None:
    """``--detach`` prints an id that ``limner jobs`` knows there: list, show, save, cancel, retry, pause, resume."""
    (tmp_path / "steps.json").write_text(json.dumps(steps(count=2)))
    job = limner("run", "steps.json", "--detach").stdout.strip()
    limner("run", "steps.json")  # which comes after it
    assert job in {one["id"] for one in limner("jobs", "list", "--json").json["jobs"]}
    assert limner("jobs", "show", job, "--json").json["state"] == "completed"
    assert job in limner("jobs", "show", job).stdout
    assert limner("jobs", "save", job, "--out", "to").stdout == "to/out/value.txt\n"
    (tmp_path / "long.json").write_text(json.dumps(steps(count=10_000, seconds=0.05)))
    limner("jobs", "pause")
    waiting = limner("jobs", "add", "long.json").stdout.strip()
    assert "the queue is paused" in limner("jobs", "list", "--state", "pending").stderr
    for command, state in (("pause", "paused"), ("resume", "pending"), ("cancel", "cancelled"), ("retry", "pending")):
        assert limner("jobs", command, waiting).stdout == f"{waiting} {state}\n"
    assert limner("jobs", "cancel", waiting).code == 0
    limner("jobs", "resume")


def test_a_job_of_a_server_is_followed(limner: Any, tmp_path: Path, data: Path) -> None:
    """``show --follow`` says what happens there until it ends, in the same words as where its store is."""
    (tmp_path / "steps.json").write_text(json.dumps(steps(count=20, seconds=0.05, salt=8)))
    job = limner("run", "steps.json", "--detach").stdout.strip()
    there = limner("jobs", "show", job, "--follow")
    assert (there.code, there.stdout.splitlines()[-1].split()[-1]) == (0, "completed")
    for options in ((), ("--json",)):
        here = limner("jobs", "show", job, "-f", *options, "--server", "", "--jobs-dir", str(data))
        assert here.stdout == limner("jobs", "show", job, "-f", *options).stdout
    wrong = limner("jobs", "show", "0" * 32, "--follow")
    assert (wrong.code, wrong.stdout) == (2, "")


def test_jobs_of_one_client_of_a_server(limner: Any) -> None:
    """``list --client`` narrows what the server lists, waiting jobs too."""
    for state in ((), ("--state", "pending")):
        assert limner("jobs", "list", "--client", "nobody", *state, "--json").json["jobs"] == []
    assert limner("run", "text_to_image", *QUICK).code == 0
    assert {job["client"] for job in limner("jobs", "list", "--client", "local", "--json").json["jobs"]} == {"local"}


@pytest.mark.parametrize("times", [1, 2])
def test_an_interrupt_cancels_and_a_second_one_leaves(limner: Any, tmp_path: Path, times: int) -> None:
    """Ctrl-C ends the job in order; where that takes long, another leaves it and says where to look. Both give 130."""
    graph = steps(count=10_000, seconds=0.05, salt=times) if times == 1 else _deaf(tmp_path)
    (tmp_path / "long.json").write_text(json.dumps(graph))
    command = [sys.executable, "-m", "limner", "run", "long.json"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=dict(os.environ)) as process:
        assert process.stderr is not None
        job = process.stderr.readline().split()[1]
        while "nodes to run" not in process.stderr.readline():
            pass
        for _ in range(times):
            process.send_signal(signal.SIGINT)
            if times == 2:
                _until_cancelling(limner, job)
        said = process.stderr.read()
        assert process.wait(60) == 130
    assert ("left as it is: limner jobs show" in said) == (times == 2)
    assert ("interrupted: finished nodes" in said) == (times == 1)


def _deaf(tmp_path: Path) -> dict[str, Any]:
    """A node that never looks whether it should stop."""
    settings = {"log": str(tmp_path / "begun")}
    return {"limner": 1, "name": "deaf", "nodes": {"deaf": {"type": "Deaf", "settings": settings}}}


def _until_cancelling(limner: Any, job: str) -> None:
    while True:
        found = limner("jobs", "show", job, "--json").json
        if found.get("wish") == "cancel" or found["state"] == "cancelled":
            return
