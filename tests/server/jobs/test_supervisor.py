"""Workers as processes: what they die of, and who notices."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from crew import accept, ended, graph, node, pids, settings, steps_then_write, wait_until

from limner.server.jobs import supervisor as supervising
from limner.server.jobs.leases import Patience
from limner.server.jobs.store import JobStore
from limner.server.jobs.supervisor import Supervisor
from limner.server.jobs.worker import WorkerSettings

SERVE = Path(__file__).parent / "serve_jobs.py"


@pytest.fixture(autouse=True)
def _quick_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervising, "FIRST_BACKOFF_S", 0.01)
    monkeypatch.setattr(supervising, "LAST_BACKOFF_S", 0.1)


def is_alive(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_settings_survive_the_pipe(tmp_path: Path) -> None:
    """What a worker reads is what its supervisor was told."""
    told = settings(tmp_path, budget_bytes={"cpu": 10**9}, patience=Patience(lease_s=3))
    assert WorkerSettings.from_json(told.to_json()) == told


def test_a_job_that_kills_its_worker_fails_alone(tmp_path: Path) -> None:
    """After three deaths the job has failed, with what killed the worker; other jobs are completed."""
    with Supervisor(settings(tmp_path)) as crew:
        deadly = accept(crew.store, graph({"k": node("Kill")}))
        leaving = accept(crew.store, graph({"e": node("Exit")}), client="other")
        harmless = accept(crew.store, steps_then_write(), client="third")
        deadly, leaving, harmless = ended(crew.store, deadly, leaving, harmless)
        assert (deadly.state, deadly.deaths, deadly.attempts) == ("failed", 3, 3)
        assert "took the worker down 3 times; the last time: killed by SIGKILL" in str(deadly.message)
        assert "it ended with code 3" in str(leaving.message)
        assert harmless.state == "completed"


def test_a_node_that_does_not_listen_ends_with_its_worker(tmp_path: Path) -> None:
    """A cancelled job whose node never looks is cancelled all the same, and a new worker takes the next one."""
    log = tmp_path / "log"
    with Supervisor(settings(tmp_path, patience=Patience(stop_s=0.5))) as crew:
        deaf = accept(crew.store, graph({"d": node("Deaf", log=str(log))}))
        wait_until(log.exists)
        (before,) = pids(crew)
        crew.store.queue.cancel(deaf.id)
        deaf, after = ended(crew.store, deaf, accept(crew.store, steps_then_write()))
        assert (deaf.state, deaf.deaths, after.state) == ("cancelled", 0, "completed")
        assert not is_alive(before)


def test_a_run_whose_job_was_lost_ends_before_the_next(tmp_path: Path) -> None:
    """A worker whose job another took waits until its node has stopped, and ends with one that does not listen."""
    log, told = tmp_path / "log", settings(tmp_path, patience=Patience(stop_s=0.5))
    with Supervisor(told) as crew, JobStore(tmp_path, clock=lambda: time.time() + 3600) as ahead:
        deaf = accept(crew.store, graph({"d": node("Deaf", log=str(log))}))
        wait_until(log.exists)
        (before,) = pids(crew)
        taken = ahead.leases.claim("elsewhere")
        assert taken is not None
        assert taken.job_id == deaf.id
        (after,) = ended(crew.store, accept(crew.store, steps_then_write()))
        wait_until(lambda: not is_alive(before))
        assert (after.state, after.deaths) == ("completed", 0)
        assert crew.store.history.job(deaf.id).state == "in_progress", "it is the other's"


def test_a_worker_that_hangs_is_ended(tmp_path: Path) -> None:
    """One that is stopped as a whole, and says nothing, loses its job and its life."""
    with Supervisor(settings(tmp_path, patience=Patience(lease_s=1.0))) as crew:
        log = tmp_path / "log"
        job = accept(crew.store, steps_then_write(count=30, seconds=0.05, log=str(log)))
        wait_until(log.exists)
        (hanging,) = pids(crew)
        os.kill(hanging, signal.SIGSTOP)
        (job,) = ended(crew.store, job)
        assert (job.state, job.deaths) == ("completed", 1)
        assert not is_alive(hanging)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_two_workers_share_the_work(tmp_path: Path, database: str, request: pytest.FixtureRequest) -> None:
    """Every job is run by one worker, once; and both have some."""
    log = tmp_path / "log"
    url = None if database == "sqlite" else request.getfixturevalue("postgres_url")()
    with Supervisor(settings(tmp_path, url=url), workers=2) as crew:
        jobs = [
            accept(crew.store, steps_then_write(salt=salt, count=4, seconds=0.1, log=str(log))) for salt in range(12)
        ]
        assert {(job.state, job.attempts) for job in ended(crew.store, *jobs)} == {("completed", 1)}
    lines = [tuple(map(int, line.split())) for line in log.read_text().splitlines()]
    assert sorted(line[:2] for line in lines) == [(salt, step) for salt in range(12) for step in range(1, 5)]
    assert len({pid for *_, pid in lines}) == 2
    assert len({(salt, pid) for salt, _, pid in lines}) == 12


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_workers_do_not_outlive_their_server(tmp_path: Path, how: signal.Signals) -> None:
    """However the server ends, its workers give their jobs back and end too."""
    log = tmp_path / "log"
    settled = settings(tmp_path)
    command = [sys.executable, str(SERVE), settled.to_json(), "1", "-1"]
    with settled.open_store() as store, subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        job = accept(store, steps_then_write(count=2000, seconds=0.02, log=str(log)))
        wait_until(log.exists)
        assert server.stdout is not None
        pid = 0
        while not pid:
            pid = int((server.stdout.readline().split()[1:] or ["0"])[0])
        server.send_signal(how)
        wait_until(lambda: not is_alive(pid))
        job = store.history.job(job.id)
        assert (job.state, job.worker, job.deaths) == ("pending", None, 0)
        server.kill()


def test_what_nobody_foresaw_ends_no_looking_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of any kind while workers are looked after is in the log, and the next job runs."""
    told = iter([RuntimeError("foreseen by nobody")])

    def fail_once(store: JobStore, besides: object) -> None:
        for error in told:
            raise error

    monkeypatch.setattr(supervising, "recover", fail_once)
    with Supervisor(settings(tmp_path)) as crew:
        (job,) = ended(crew.store, accept(crew.store, steps_then_write()))
    assert job.state == "completed"
    assert next(told, None) is None


def test_ending_takes_less_than_ten_seconds(tmp_path: Path) -> None:
    """Also with a node that does not listen: its job is given back, and nothing of it is left."""
    log = tmp_path / "log"
    crew = Supervisor(settings(tmp_path, patience=Patience(stop_s=0.5)))
    with settings(tmp_path).open_store() as store:
        with crew:
            job = accept(store, graph({"d": node("Deaf", log=str(log))}))
            wait_until(log.exists)
            found = pids(crew)
            began = time.monotonic()
        assert time.monotonic() - began < 30  # what is promised is ten; the machine may be busy
        assert not [pid for pid in found if is_alive(pid)]
        assert store.history.job(job.id).state == "pending"
