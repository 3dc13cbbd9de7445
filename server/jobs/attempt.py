"""One attempt of a worker at a job: run its graph, tell what happens, and end it or give it back."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any, Final

from limner.engine.errors import Fault, GraphError, LimnerError, NodeFailed, StoreError
from limner.engine.events import Event, EventStream, Reader
from limner.engine.result import Result
from limner.engine.run import Run
from limner.server.jobs.errors import LeaseLostError
from limner.server.jobs.job import Artifact, Claim
from limner.server.jobs.journal import Told
from limner.server.jobs.leases import Ending
from limner.server.jobs.live import LivePipe
from limner.server.jobs.pulse import Pulse
from limner.server.jobs.recorder import Recorder, parts
from limner.server.jobs.results import Results
from limner.server.jobs.run_log import log_event
from limner.server.jobs.spans import TRACEPARENT, AttemptSpans, Tracing
from limner.server.jobs.store import JobStore
from limner.server.jobs.tally import End, Tally
from limner.server.log import saying
from limner.session import Session

TELL_S: Final = 0.1
"""How often what happens is written: a node's events in between are one change."""
_RETRY_S: Final = 1.0
_log = logging.getLogger("limner.server.jobs")


class StuckError(Exception):
    """A node does not stop: only ending the process ends it. Its job is settled."""


class Attempt:
    """Runs one claimed job to its end, whatever that is. ``drain`` asks it to stop and give the job back."""

    def __init__(
        self,
        store: JobStore,
        session: Session,
        claim: Claim,
        drain: threading.Event,
        live: LivePipe | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        self.tally = Tally(claim.waited_s)
        """What was counted."""
        self._store = store
        self._session = session
        self._claim = claim
        self._drain = drain
        self._live = live
        self._tracing = tracing
        self._spans: AttemptSpans | None = None
        self._recorder = Recorder()
        self._run: Run | None = None
        self._results: Results | None = None
        self._pulse = Pulse(store.leases, claim, drain, self._cancel_run)

    def run(self) -> None:
        """Run the job. Raises StuckError where the process must end; other errors are the job's."""
        with ExitStack() as stack:
            stack.enter_context(saying(job=self._claim.job_id))
            if self._tracing is not None:
                self._spans = stack.enter_context(self._tracing.attempt(self._claim, self._parent()))
            _log.info("job begun", extra={"waited_s": self._claim.waited_s})
            _log.debug("its graph", extra={"graph": self._claim.graph})
            self._attempt()

    def _parent(self) -> str | None:
        """The span of who handed the job in."""
        try:
            found: str | None = self._store.history.notes(self._claim.job_id).get(TRACEPARENT)
        except LimnerError:  # the run will say what is wrong with the store
            return None
        return found

    def _attempt(self) -> None:
        try:
            with self._pulse:
                folder = self._store.workspace.open(self._claim)
                self._work(folder)
        except LeaseLostError as error:
            _log.warning("%s", error)
            self._note_end("lost")
            self._abandon()
        except StoreError as error:  # such as a full disk where the job's folder was to be
            self._end(Ending("failed", error.message, error.hint))
        finally:
            self._store.workspace.close(self._claim)

    def _work(self, folder: Path) -> None:
        events = EventStream()
        reader = events.reader(previews=False)
        try:
            document = json.loads(self._claim.graph)
            self._run = self._session.start(document, events=events, output_folder=folder)
        except Exception as error:
            self._end(_refusal(error, self._claim.graph))
            return
        self._results = Results(self._store.blobs, folder, self._run)
        if self._pulse.reason is not None:  # it came while the graph was planned
            self._run.cancel()
        with self._live.telling(self._claim.job_id, events) if self._live is not None else nullcontext():
            is_over = self._follow(reader)
        result = self._run.wait() if is_over else None
        if self._live is not None:  # before the job's end is known, so that who hears of it finds them
            self._live.tell_models(self._session.models())
        self._settle(result, folder)
        if result is None:
            raise StuckError

    def _abandon(self) -> None:
        """Wait until a run that nobody wants any more has stopped: the next job's must not share the device with it."""
        self._cancel_run()
        if self._run is not None and self._run.wait(self._store.leases.patience.stop_s) is None:
            raise StuckError

    def _cancel_run(self) -> None:
        if self._run is not None:
            self._run.cancel()

    def _follow(self, reader: Reader) -> bool:
        """Tell what happens until the run is over. Gives False where it does not stop."""
        told_at = time.monotonic()
        while not reader.is_over:
            if (first := reader.read(timeout_s=TELL_S / 2)) is not None:
                rest_s = told_at + TELL_S - time.monotonic()
                for event in (first, *reader.gather(max(rest_s, 0))):
                    self._note(event)
            if self._pulse.reason == "lost":
                raise LeaseLostError(f"job {self._claim.job_id} is another worker's, or it ended")
            stop_s = self._store.leases.patience.stop_s
            if self._pulse.reason is not None and time.monotonic() - self._pulse.stopped_at > stop_s:
                return False
            if time.monotonic() - told_at >= TELL_S:
                self._tell()
                told_at = time.monotonic()
        return True

    def _note(self, event: Event) -> None:
        self._recorder.note(event)
        self.tally.note(event)
        log_event(event)
        if self._spans is not None:
            self._spans.note(event)

    def _tell(self) -> None:
        told, nodes = self._recorder.take()
        given, artifacts = self._gifts()
        if told or nodes or given:
            self._insist(lambda: self._store.leases.record(self._claim, [*told, *given], nodes, artifacts))

    def _gifts(self) -> tuple[list[Told], list[Artifact]]:
        """What nodes gave since the last time that is shown before the job ends."""
        if self._results is None:
            return [], []
        try:
            gifts = self._results.give()
        except Exception as error:  # it is tried again, and said, when the job ends
            _log.debug("what a node gave cannot be kept yet: %s", error)
            return [], []
        said = {node: gift.as_data() for node, gift in gifts.items()}
        return [("gave", part) for part in parts(said)], [one for gift in gifts.values() for one in gift.artifacts]

    def _settle(self, result: Result | None, folder: Path) -> None:
        """Say how the job ended, or let it wait again. What completed is complete, even if asked to stop meanwhile."""
        reason = self._pulse.reason
        if result is not None and (result.status == "completed" or (result.failures and reason is None)):
            given, _ = self._gifts()
            self._end(self._ending(result, folder), given)
        elif reason in ("pause", "drain"):
            told, nodes = self._recorder.take()
            self._insist(lambda: self._store.leases.give_back(self._claim, "its worker ended", told, nodes))
            self._note_end("given back")
        else:
            self._end(Ending("cancelled", artifacts=self._results.early if self._results is not None else ()))

    def _ending(self, result: Result, folder: Path) -> Ending:
        failures = list(result.failures.values())
        assert self._results is not None, "there is a run"
        try:
            artifacts = self._results.keep(result)
        except Exception as error:  # a full disk; a value that cannot be written
            return _refusal(error)
        if not failures:
            return Ending("completed", artifacts=artifacts, seconds=result.seconds)
        said = [failure.message.replace(f"{folder}/", "") for failure in failures]
        hint = getattr(failures[0].cause, "hint", None)
        faults = [
            {"message": message, "path": ["nodes", failure.node], "error": _kind(failure)}
            for message, failure in zip(said, failures, strict=True)
        ]
        return Ending("failed", "; ".join(said), hint, faults, artifacts, result.seconds)

    def _end(self, ending: Ending, given: Sequence[Told] = ()) -> None:
        told, nodes = self._recorder.take()
        self._insist(lambda: self._store.leases.finish(self._claim, ending, [*told, *given], nodes))
        if ending.message is not None:  # which may quote what users wrote
            _log.debug("why it ended so", extra={"said": ending.message})
        self._note_end(ending.status, ending.seconds)

    def _note_end(self, end: End, seconds: float | None = None) -> None:
        self.tally.end = end
        if self._spans is not None:
            self._spans.ended(end)
        _log.info("job %s", end, extra={"seconds": seconds})

    def _insist(self, write: Callable[[], None]) -> None:
        """Write, again and again while the store fails: what is known must not be lost to a disk that is full for now.

        A worker that is to end gives up; the job is found by its lease.
        """
        while True:
            try:
                write()
                return
            except StoreError as error:
                if self._drain.is_set():
                    raise LeaseLostError(f"job {self._claim.job_id} could not be settled: {error}") from error
                _log.warning("%s; trying again", error)
                self._drain.wait(_RETRY_S)


def _kind(failure: NodeFailed) -> str:
    """Which error of Limner's a node raised, so that a client can say whose it is to mend."""
    kinds = (kind.__name__ for kind in type(failure.cause).__mro__ if kind.__module__ == LimnerError.__module__)
    return next(kinds, "Exception")


def _refusal(error: Exception, graph: str = "{}") -> Ending:
    """How a job ends whose graph could not be run, or whose results could not be kept."""
    if isinstance(error, GraphError):
        raw = json.loads(graph)
        return Ending("failed", error.message, faults=[_told(fault, raw) for fault in error.faults])
    if isinstance(error, LimnerError):
        return Ending("failed", error.message, error.hint)
    _log.error("a job could not be run", exc_info=error)
    return Ending("failed", f"{type(error).__name__}: {error}")


def _told(fault: Fault, graph: Any) -> dict[str, Any]:
    """A fault with the type of its node, which never ran and so is told of nowhere else."""
    told = {"message": fault.message, "path": list(fault.path), "hint": fault.hint}
    try:
        return told | {"type": str(graph["nodes"][fault.node]["type"])}
    except (LookupError, TypeError):  # it is of no node, or the graph is none
        return told
