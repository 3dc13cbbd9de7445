"""``kill -9`` of everything, again and again: nothing accepted is lost, and nothing is completed twice."""

from __future__ import annotations

import os
import queue
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from crew import accept, contents, ended, settings, wait_until

from limner.server.jobs.retention import Limits
from limner.server.jobs.store import JobStore
from limner.session import Session

SERVE = Path(__file__).parent / "serve_jobs.py"
KILLS = 20


@dataclass
class Server:
    """A process group: a server and its worker. What it says is read by a thread."""

    process: subprocess.Popen[str]
    accepted: dict[int, str] = field(default_factory=dict)
    said: queue.SimpleQueue[str] = field(default_factory=queue.SimpleQueue)

    def listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            word, *rest = line.split()
            if word == "accepted" and len(rest) == 2 and len(rest[1]) == 32:
                self.accepted[int(rest[0])] = rest[1]
            self.said.put(word)

    def kill(self) -> None:
        """The whole tree, at once."""
        os.killpg(self.process.pid, signal.SIGKILL)


@contextmanager
def serving(folder: Path, first: int = -1) -> Iterator[Server]:
    command = [sys.executable, str(SERVE), settings(folder).to_json(), "1", str(first)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        server = Server(process)
        listener = threading.Thread(target=server.listen, daemon=True)
        listener.start()
        try:
            server.said.get(timeout=120)  # from here on it may be killed
            yield server
        finally:
            server.kill()
            listener.join()


def value_of(salt: int, count: int = 4) -> bytes:
    """What ``Steps`` gives, computed without it."""
    value = 0
    for step in range(1, count + 1):
        value = (value * 31 + step) % 997
    return f"{value}\n".encode()


def lines_in(log: Path) -> list[tuple[int, ...]]:
    text = log.read_text() if log.exists() else ""
    return [tuple(map(int, line.split())) for line in text.splitlines() if line.count(" ") == 2]


def test_killed_twenty_times_nothing_is_lost_or_done_twice(tmp_path: Path) -> None:
    """Under load, the whole tree is killed at random moments; every accepted job ends once, in its own bytes."""
    chance, accepted, log = random.Random(20261123), dict[int, str](), tmp_path / "log"
    for _ in range(KILLS):
        with serving(tmp_path, len(accepted) + chance.randrange(2)) as server:
            wanted = len(lines_in(log)) + chance.choice([0, 0, 1, 3, 6, 12])
            wait_until(lambda wanted=wanted: len(lines_in(log)) >= wanted)
            threading.Event().wait(chance.random() * 0.1)
        for number, job_id in server.accepted.items():
            assert accepted.setdefault(number, job_id) == job_id, "the same key is the same job after every kill"
    with settings(tmp_path).open_store() as store, serving(tmp_path):
        jobs = [store.history.job(job_id) for job_id in accepted.values()]
        ended(store, *jobs)
        _nothing_is_lost(store, accepted)
    steps = Counter(line[:2] for line in lines_in(log))
    repeated = sum(steps.values()) - len(steps)
    assert repeated <= KILLS, "at most the step that a kill came into is done again"


def _nothing_is_lost(store: JobStore, accepted: dict[int, str]) -> None:
    assert len(accepted) > KILLS
    for number, job_id in accepted.items():
        job = store.history.job(job_id)
        assert job.state == "completed", job
        events = store.history.events(job_id)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert [event.kind for event in events].count("finished") == 1
        assert contents(store, job) == {"out/value.txt": value_of(number)}
    store.retention.apply(Limits())
    assert not [path for path in (store.folder / "running").rglob("*") if path.is_file()]


def test_a_picture_goes_on_from_its_step_after_a_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded model, killed while it denoises, goes on there and ends in the same bytes as undisturbed."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    size = {"steps": 40, "width": 64, "height": 64}
    document = Session().document("text_to_image", size).to_json()
    with settings(tmp_path).open_store() as store:
        job = accept(store, document)

        def step() -> int:
            return next((run.step or 0 for run in store.history.node_runs(job.id) if run.node == "denoise"), 0)

        with serving(tmp_path):
            wait_until(lambda: step() >= 3)
        reached = step()
        assert reached < 40
        with serving(tmp_path):
            (job,) = ended(store, job)
        assert (job.state, job.attempts) == ("completed", 2)
        began = [event.body for event in store.history.events(job.id) if event.kind == "nodes"]
        resumed = [body["denoise"]["step"] for body in began if "step" in body.get("denoise", {})]
        assert len(resumed) == 1
        assert resumed[0] >= reached
        (found,) = contents(store, job).values()
    assert found == _undisturbed(document, tmp_path / "undisturbed")


def _undisturbed(document: str, folder: Path) -> bytes:
    """The picture of a job that nobody interrupts, from a store of its own."""
    with settings(folder).open_store() as store, serving(folder):
        (job,) = ended(store, accept(store, document))
        (content,) = contents(store, job).values()
    return content
