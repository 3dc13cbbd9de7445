"""Keeps workers alive: starts their processes, starts them again when they die, and says which job was to blame."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, BinaryIO, Final, Self
from uuid import uuid4

from limner.engine.errors import StoreError
from limner.server.jobs.complaints import Complaints
from limner.server.jobs.live import read_frames
from limner.server.jobs.retention import Limits
from limner.server.jobs.store import JobStore
from limner.server.jobs.worker import BROKEN, END_S, FREE, REST, STARTED_ANEW, WATCH, WorkerSettings

FIRST_BACKOFF_S: Final = 0.5
LAST_BACKOFF_S: Final = 30.0
HEALTHY_S: Final = 60.0
"""A worker that lived for this long is started again at once."""
LOOK_S: Final = 0.1
"""How often the supervisor looks after its workers."""
RECOVER_S: Final = 2.0
"""How often it looks for jobs of workers that are gone."""
RETENTION_S: Final = 300.0
"""How often old jobs are forgotten."""
Hear = Callable[[str, Mapping[str, Any], bytes], None]
"""Called, in threads, with what a worker tells: its name, what, and a picture or nothing."""
_log = logging.getLogger("limner.server.jobs")


class Supervisor:
    """Some workers on one store, looked after by a thread. Raises StoreError, InputError where the store is not usable.

    ``start`` comes back at once, and so do the workers: they import torch with their first job.
    """

    def __init__(
        self, settings: WorkerSettings, workers: int = 1, limits: Limits | None = None, hear: Hear | None = None
    ) -> None:
        self.store: JobStore = settings.open_store()
        self._settings = settings
        self._limits = limits or Limits()
        self._crew = [_Crew(settings, self.store, hear) for _ in range(workers)]
        self._is_stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._look_after, name="limner supervisor", daemon=True),
            threading.Thread(target=self._tidy, name="limner retention", daemon=True),
        ]

    def start(self) -> None:
        """Start the workers."""
        for thread in self._threads:
            thread.start()

    def watch(self, is_watched: bool) -> None:
        """Say whether anybody wants to know of steps as they are made."""
        for crew in self._crew:
            crew.is_watched = is_watched

    def free_models(self) -> None:
        """Ask the workers to let their models go, each once no job runs in it."""
        for crew in self._crew:
            crew.is_to_free = True

    def begin_stop(self) -> None:
        """Ask the workers to end, without waiting for that."""
        self._is_stopping.set()

    def stop(self) -> None:
        """Let the workers give their jobs back, and end: within ten seconds, by force if need be."""
        self.begin_stop()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()
        self.store.close()

    def _look_after(self) -> None:
        recovered, complaints = -RECOVER_S, Complaints(_log)
        while not self._is_stopping.is_set():
            now = time.monotonic()
            with _going_on(complaints):
                if now - recovered >= RECOVER_S:
                    recovered = now
                    recover(self.store, besides={crew.name for crew in self._crew})
                    for crew in self._crew:
                        crew.end_silent()
                for crew in self._crew:
                    crew.look()
            self._is_stopping.wait(LOOK_S)
        _end_all(self._crew)

    def _tidy(self) -> None:
        """Forget what is old: in a thread of its own, since deleting much takes longer than a worker may be left."""
        complaints = Complaints(_log)
        while not self._is_stopping.is_set():
            with _going_on(complaints):
                self.store.retention.apply(self._limits, self._is_stopping.is_set)
            self._is_stopping.wait(RETENTION_S)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *args: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.stop()


@contextmanager
def _going_on(complaints: Complaints) -> Iterator[None]:
    """Say what goes wrong within; the next round may go well, and nobody else looks after workers."""
    try:
        yield
    except (StoreError, OSError) as error:  # a process that cannot be started now may be later
        complaints.warn(str(error))
    except Exception:
        _log.exception("looking after the workers failed")


def recover(store: JobStore, besides: Collection[str]) -> None:
    """Let the jobs of workers that were on this machine and are gone wait again, besides those that others look after.

    Raises StoreError.
    """
    for worker in store.presence.gone(set(store.leases.workers()).difference(besides)):
        store.leases.vanished(worker)
        store.presence.forget(worker)


class _Crew:
    """One place for a worker: the process that is there now, and when the next one may come."""

    def __init__(self, settings: WorkerSettings, store: JobStore, hear: Hear | None) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self._settings = settings
        self._store = store
        self._hear = hear
        self.is_watched = self._was_watched = False
        """Whether steps are wanted, and whether they were when the worker was told last."""
        self.is_to_free = False
        """Whether the worker is to be asked to let its models go."""
        self.name = ""
        """Of the process that is there now."""
        self._was_silent = False
        self._started = self._next = 0.0
        self._backoff_s = FIRST_BACKOFF_S

    def look(self) -> None:
        """Start a worker where there is none; note the end of the one that was there. Raises StoreError."""
        now = time.monotonic()
        if self.process is not None and (code := self.process.poll()) is not None:
            self._note_end(code)  # raises where the store fails: then it is noted another time
            _close(self.process)
            self.process = None
            self._plan_next(code, now)
        if self.process is None and now >= self._next:
            self._start()
        elif self.is_watched != self._was_watched:
            self._was_watched = self.is_watched
            self._say(WATCH if self.is_watched else REST)
        if self.is_to_free:
            self.is_to_free = False
            self._say(FREE)

    def end_silent(self) -> None:
        """Kill a worker whose lease is over although it lives: it hangs where not even its thread runs."""
        is_silent = self.process is not None and self.name in self._store.leases.silent()
        if self.process is not None and is_silent and self._was_silent:  # twice: the machine may have slept
            _log.warning("worker %s is silent, and is ended", self.name)
            self.process.kill()
        self._was_silent = is_silent

    def _start(self) -> None:
        self.name = f"w-{uuid4().hex}"
        self._next = time.monotonic() + self._backoff_s  # should it not start
        command = [sys.executable, "-m", "limner.server.jobs"]
        listens = subprocess.DEVNULL if self._hear is None else subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=listens)
        self._started = time.monotonic()
        self._was_watched = self.is_watched
        self._say(self.name, self._settings.to_json(), WATCH if self.is_watched else REST)
        if self._hear is not None:
            args = (self.name, self.process.stdout, self._hear)
            threading.Thread(target=_listen, args=args, name="limner ear", daemon=True).start()

    def _say(self, *lines: str) -> None:
        """Write to the worker's input. One that is gone hears nothing, which the next look finds."""
        if self.process is not None and self.process.stdin is not None:
            with suppress(OSError, ValueError):
                self.process.stdin.write("".join(f"{line}\n" for line in lines).encode())
                self.process.stdin.flush()

    def _note_end(self, code: int) -> None:
        if code in (0, STARTED_ANEW):
            self._store.leases.vanished(self.name)  # it had no time to give its job back
        else:
            self._store.leases.died(self.name, describe_end(code))
            if self._hear is not None:
                self._hear(self.name, {"kind": "death"}, b"")
        self._store.presence.forget(self.name)

    def _plan_next(self, code: int, now: float) -> None:
        """Say when the next worker comes: at once, but later and later where workers die young."""
        if code == STARTED_ANEW or (code != BROKEN and now - self._started >= HEALTHY_S):
            self._backoff_s = FIRST_BACKOFF_S
            self._next = now
            return
        _log.warning("a worker ended: %s; the next one comes in %g s", describe_end(code), self._backoff_s)
        self._next = now + self._backoff_s
        self._backoff_s = min(self._backoff_s * 2, LAST_BACKOFF_S)


def describe_end(code: int) -> str:
    """An exit code of a process in words.

    >>> describe_end(-9)
    'killed by SIGKILL, as when memory runs out'
    """
    if code >= 0:
        return f"it ended with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"killed by {name}" + (", as when memory runs out" if name == "SIGKILL" else "")


def _end_all(crew: list[_Crew]) -> None:
    """Ask all workers to end, and wait; those that do not are killed."""
    processes = [one.process for one in crew if one.process is not None]
    for process in processes:
        with suppress(OSError):
            process.terminate()
    until = time.monotonic() + END_S
    for process in processes:
        try:
            process.wait(max(until - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _close(process)


def _listen(worker: str, stream: BinaryIO, hear: Hear) -> None:
    """Hand on what a worker tells, until it ends; then, that no model of it is alive."""
    with stream:
        for said, picture in read_frames(stream):
            hear(worker, said, picture)
    hear(worker, {"kind": "models", "models": []}, b"")


def _close(process: subprocess.Popen[bytes]) -> None:
    with suppress(OSError):
        if process.stdin is not None:
            process.stdin.close()
