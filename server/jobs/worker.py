"""A worker: a process of its own, which takes jobs from the store and runs them, one after the other.

``python -m limner.server.jobs`` reads its settings as one line of JSON from its input, and lives as long as that
stays open: what started it may be killed, and the worker gives its job back and ends. Running graphs in a process of
their own keeps a server's event loop free of torch and of the interpreter's lock, and no job can end the server.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from limner.engine.errors import LimnerError, StoreError
from limner.engine.registry import Registry
from limner.server.jobs.attempt import Attempt, StuckError
from limner.server.jobs.leases import Patience
from limner.server.jobs.live import LivePipe
from limner.server.jobs.spans import Tracing, open_tracing
from limner.server.jobs.store import JobStore
from limner.server.log import LogSettings, saying, set_up_log
from limner.session import Session

STARTED_ANEW: Final = 75
"""The exit code of a worker that wants to be started again: a node did not stop, and its job is settled."""
BROKEN: Final = 78
"""The exit code of a worker that cannot work: the store or a file of nodes is not usable."""
IDLE_S: Final = 0.1
"""How often a worker with nothing to do looks for something."""
WATCH, REST = "watch", "rest"
"""Lines after the settings: whether anybody wants to know of steps as they are made."""
FREE: Final = "free"
"""Another: the models may leave, once no job runs."""
END_S: Final = 10.0
"""How long a worker takes at most to end."""
_log = logging.getLogger("limner.server.jobs")


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What a worker must know. All of it is JSON."""

    folder: str
    url: str | None = None
    cache_dir: str | None = None
    nodes: tuple[str, ...] = ()
    """Python files with more nodes."""
    device: str = "auto"
    budget_bytes: Mapping[str, int] = field(default_factory=dict)
    checkpoint_interval_s: float = 2.0
    patience: Patience = field(default_factory=Patience)
    log: LogSettings = field(default_factory=LogSettings)

    def open_store(self) -> JobStore:
        """The store that the worker takes from. Raises StoreError, InputError."""
        return JobStore(Path(self.folder), self.url, patience=self.patience)

    def open_registry(self) -> Registry:
        """The nodes of graphs. Raises InputError where a file of nodes is not usable."""
        registry = Registry.installed()
        for file in self.nodes:
            registry.add_file(Path(file))
        return registry

    def open_session(self) -> Session:
        """What runs the graphs. Raises InputError where a file of nodes is not usable."""
        return Session(
            registry=self.open_registry(),
            cache_dir=self.cache_dir,
            device=self.device,
            budget_bytes=self.budget_bytes,
            checkpoint_interval_s=self.checkpoint_interval_s,
        )

    def to_json(self) -> str:
        """The settings as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> WorkerSettings:
        """What ``to_json`` wrote."""
        fields = json.loads(line)
        patience, nodes, log = Patience(**fields.pop("patience")), tuple(fields.pop("nodes")), fields.pop("log")
        return cls(**fields, patience=patience, nodes=nodes, log=LogSettings(**log))


def work(
    store: JobStore,
    session: Session,
    worker: str,
    drain: threading.Event,
    live: LivePipe | None = None,
    tracing: Tracing | None = None,
) -> None:
    """Run jobs until ``drain`` is set. Raises StuckError where only ending the process helps, StoreError."""
    with store.presence.enter(worker):
        while not drain.is_set():
            claim = store.leases.claim(worker) if store.leases.is_anything_due() else None
            if claim is None:
                if live is not None and live.take_free():
                    session.free_models()
                    live.tell_models(session.models())
                drain.wait(IDLE_S)
            else:
                _run(Attempt(store, session, claim, drain, live, tracing), live)
                gc.collect(1)  # what nodes left in cycles: see main
    store.presence.forget(worker)  # only now, with no job in hand: a lock that nobody holds tells of a death


def _run(attempt: Attempt, live: LivePipe | None) -> None:
    """Its caller keeps nothing of the job, which is thus gone before the collector looks."""
    try:
        attempt.run()
    finally:
        if live is not None:
            live.tell_tally(attempt.tally)


def main() -> int:
    """The process. Gives its exit code."""
    drain = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches whoever started us, who then ends us in order
    signal.signal(signal.SIGTERM, lambda number, frame: _begin_end(drain))
    # A graph makes many objects that all stay until its job ends: a collector that looks as often as Python's own costs
    # as much as the engine. When a model leaves, and after each job, it is told to look.
    gc.set_threshold(100_000, 20, 20)
    live = _take_output()
    lines = iter(sys.stdin.readline, "")
    name, settings = next(lines).strip(), WorkerSettings.from_json(next(lines))
    set_up_log(settings.log)
    tracing = open_tracing()
    threading.Thread(target=_hear, args=(drain, live), name="limner lifeline", daemon=True).start()
    try:
        with saying(worker=name), settings.open_store() as store, settings.open_session() as session:
            work(store, session, name, drain, live, tracing)
    except StuckError:
        _log.error("a node does not stop: the process ends with it")
        return STARTED_ANEW
    except LimnerError as error:
        _log.error("%s", error)
        return BROKEN if not isinstance(error, StoreError) else 1
    finally:
        if tracing is not None:
            tracing.flush()
    return 0


def _take_output() -> LivePipe:
    """Our standard output, for frames only: what nodes print goes to stderr from now on."""
    stream = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return LivePipe(stream)


def _hear(drain: threading.Event, live: LivePipe) -> None:
    """Hear whether steps are wanted and models are, until whoever started us closes our input, or is gone."""
    while line := sys.stdin.readline().strip():
        if line == FREE:
            live.is_to_free = True
        else:
            live.is_watched = line == WATCH
    _begin_end(drain)


def _begin_end(drain: threading.Event) -> None:
    """Ask to stop after this step; make sure that the process ends, whatever it is at."""
    if drain.is_set():
        return
    drain.set()
    limit = threading.Timer(END_S, os._exit, (STARTED_ANEW,))
    limit.daemon = True
    limit.start()
