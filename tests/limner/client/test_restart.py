"""A server that dies while a client follows."""

from __future__ import annotations

import threading
from pathlib import Path

from remote import free_port, serving, steps

from limner.client import Client, JobEvent


def test_who_follows_goes_on_after_a_restart(tmp_path: Path) -> None:
    """Killed in the middle of a job and started again, the server is found again: every event once, and the result."""
    port, seen = free_port(), list[JobEvent]()
    has_begun = threading.Event()

    def read(client: Client, job_id: str) -> None:
        for event in client.job(job_id).events():
            seen.append(event)
            if event.kind in ("step", "progress"):
                has_begun.set()

    with Client(f"http://127.0.0.1:{port}") as client:
        with serving(tmp_path, port=port) as (_, process):
            job = client.submit(steps(200, 0.02))
            reading = threading.Thread(target=read, args=(client, job.id))
            reading.start()
            assert has_begun.wait(60)
            process.kill()
            process.wait()
        with serving(tmp_path, port=port):
            reading.join(120)
            result = job.wait()
            assert result.status == "completed"
            assert result.read("out/value.txt")
    numbers = [event.seq for event in seen if event.seq is not None]
    assert numbers == list(range(1, len(numbers) + 1))
    assert seen[-1].kind == "finished"
    assert result.job.attempts >= 2
