"""Workers for tests, in a thread or in processes of their own, and graphs for them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from limner.engine.registry import Registry
from limner.server.jobs.job import FINAL, Job, NewJob
from limner.server.jobs.leases import Patience
from limner.server.jobs.store import JobStore
from limner.server.jobs.supervisor import Supervisor
from limner.server.jobs.worker import WorkerSettings, work
from limner.session import Session

NODES = Path(__file__).parent / "nodes_of_tests.py"
LONG_S = 120.0


def graph(nodes: Mapping[str, Any]) -> str:
    return json.dumps({"limner": 1, "name": "test", "nodes": dict(nodes)})


def node(type_name: str, wires: Mapping[str, str] | None = None, **settings: Any) -> dict[str, Any]:
    return {"type": type_name, "settings": settings, "wires": dict(wires or {})}


def steps_then_write(salt: int = 0, **settings: Any) -> str:
    """A node that takes a while, and one that writes what it gave."""
    return graph({"steps": node("Steps", salt=salt, **settings), "write": node("Write", {"value": "steps"})})


def pids(supervisor: Supervisor) -> list[int]:
    """The processes of the workers that live."""
    found = (crew.process for crew in supervisor._crew)
    return [process.pid for process in found if process is not None and process.poll() is None]


def accept(store: JobStore, document: str, **rest: Any) -> Job:
    return store.queue.accept(NewJob(document, name="test", **rest))


def wait_until(is_so: Callable[[], Any]) -> None:
    """Wait for something that will come, however slow the machine."""
    until = time.monotonic() + LONG_S
    while not is_so():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.02)


def ended(store: JobStore, *jobs: Job) -> list[Job]:
    """The jobs, once they have ended."""
    wait_until(lambda: all(store.history.job(job.id).state in FINAL for job in jobs))
    return [store.history.job(job.id) for job in jobs]


def contents(store: JobStore, job: Job) -> dict[str, bytes]:
    """What a job gave, by name."""
    return {one.name: store.blobs.path(one.sha256).read_bytes() for one in store.history.artifacts(job.id)}


def settings(folder: Path, **rest: Any) -> WorkerSettings:
    cache = str(folder / "cache")
    return WorkerSettings(
        str(folder), cache_dir=cache, nodes=(str(NODES),), device="cpu", checkpoint_interval_s=0.0, **rest
    )


def session(folder: Path) -> Session:
    """What a worker runs graphs with."""
    registry = Registry.installed()
    registry.add_file(NODES)
    return Session(registry=registry, cache_dir=folder / "cache", device="cpu", checkpoint_interval_s=0.0)


@contextmanager
def worker(store: JobStore, name: str = "worker") -> Iterator[threading.Event]:
    """A worker in a thread of this process. Gives the event that drains it."""
    drain = threading.Event()
    with session(store.folder) as running:
        thread = threading.Thread(target=work, args=(store, running, name, drain))
        thread.start()
        try:
            yield drain
        finally:
            drain.set()
            thread.join()


def real_store(folder: Path, **patience: Any) -> JobStore:
    """A store with the clock of the wall, as processes have it."""
    return JobStore(folder, patience=Patience(**patience))
