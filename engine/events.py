"""What happens in a run, as one stream of numbered events; bars, editors, traces and histories are its readers."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterator
from typing import Any, Literal, NamedTuple

from limner.engine.node import snake_case

Status = Literal["completed", "failed", "cancelled"]


class RunStarted(NamedTuple):
    """A run begins. ``todo`` of ``nodes`` nodes must run; the others are known or not needed."""

    seq: int
    time: float
    graph: str
    nodes: int
    todo: int


class NodeCached(NamedTuple):
    """A node did not run: its outputs were in the cache."""

    seq: int
    time: float
    node: str
    key: str


class NodeStarted(NamedTuple):
    """A node begins to run on a lane."""

    seq: int
    time: float
    node: str
    type: str
    lane: str


class NodeResumed(NamedTuple):
    """A node goes on from a step that an earlier, interrupted run had reached."""

    seq: int
    time: float
    node: str
    step: int


class NodeProgress(NamedTuple):
    """A node finished ``step`` of ``total``. ``preview`` makes a picture of the state, when somebody asks."""

    seq: int
    time: float
    node: str
    step: int
    total: int
    preview: Callable[[], Any] | None = None


class ModelFetching(NamedTuple):
    """A node waits for the files of a model, of which some are here already."""

    seq: int
    time: float
    node: str
    model: str
    done_bytes: int
    total_bytes: int


class ModelLoading(NamedTuple):
    """A node waits for a model that is being loaded to a device."""

    seq: int
    time: float
    node: str
    model: str
    device: str
    size_bytes: int


class ModelLoaded(NamedTuple):
    """A model is on a device, after ``seconds`` of reading and placing its weights; ``size_bytes`` is what it takes."""

    seq: int
    time: float
    node: str
    model: str
    device: str
    size_bytes: int
    seconds: float


class ModelDropped(NamedTuple):
    """A model that nobody held left a device, to make room for the one that a node needs."""

    seq: int
    time: float
    node: str
    model: str
    device: str
    size_bytes: int


class NodeWarned(NamedTuple):
    """A node goes on, but the user should know something."""

    seq: int
    time: float
    node: str
    message: str


class NodeFinished(NamedTuple):
    """A node is done, after ``seconds``."""

    seq: int
    time: float
    node: str
    seconds: float


class NodeFailed(NamedTuple):
    """A node raised. What depends on it is skipped; the rest goes on."""

    seq: int
    time: float
    node: str
    message: str
    hint: str | None = None


class NodeSkipped(NamedTuple):
    """A node cannot run, because of another one that failed or because the run was cancelled."""

    seq: int
    time: float
    node: str
    because: str


class RunFinished(NamedTuple):
    """A run is over; nothing comes after this event."""

    seq: int
    time: float
    status: Status
    seconds: float


Event = (
    RunStarted
    | NodeCached
    | NodeStarted
    | NodeResumed
    | NodeProgress
    | ModelFetching
    | ModelLoading
    | ModelLoaded
    | ModelDropped
    | NodeWarned
    | NodeFinished
    | NodeFailed
    | NodeSkipped
    | RunFinished
)


def event_name(event: Event) -> str:
    """The event's kind as data: ``node_started``."""
    return snake_case(type(event).__name__)


def as_dict(event: Event) -> dict[str, Any]:
    """The event as JSON can hold it."""
    return {"event": event_name(event)} | {k: v for k, v in event._asdict().items() if k != "preview" and v is not None}


class EventStream:
    """The events of one run. Any thread may emit; every reader gets them in order.

    A reader that falls behind loses intermediate progress, never anything else, and never makes ``emit`` wait.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._seq = 0
        self._readers: list[Reader] = []
        self._closed = False

    def emit(self, kind: Callable[..., Event], *fields: Any) -> None:
        """Number an event and hand it to the readers."""
        with self._lock:
            self._seq += 1
            if not self._readers:
                return
            event = kind(self._seq, self._clock(), *fields)
            for reader in self._readers:
                reader.push(event)

    def reader(self, limit: int = 256, *, previews: bool = True, kinds: Collection[type[Event]] = ()) -> Reader:
        """A reader of what is emitted from now on; past ``limit`` unread events, progress is thinned out.

        A preview holds on to the tensors of its step: a reader that keeps events and draws none of them does without.
        With ``kinds`` it gets events of these alone.
        """
        reader = Reader(limit, previews=previews, kinds=kinds)
        with self._lock:
            self._readers.append(reader)
            if self._closed:
                reader.close()
        return reader

    def close(self) -> None:
        """No event will come any more: readers end once they have read what they have."""
        with self._lock:
            self._closed = True
            for reader in self._readers:
                reader.close()


class Reader:
    """One reader's unread events."""

    def __init__(self, limit: int, *, previews: bool = True, kinds: Collection[type[Event]] = ()) -> None:
        self._limit = limit
        self._previews = previews
        self._kinds = frozenset(kinds)
        self._events: deque[Event] = deque()
        self._thinned: OrderedDict[str, NodeProgress | ModelFetching] = OrderedDict()
        """Past the limit, the latest progress of each node; in order, as events are."""
        self._lock = threading.Lock()
        self._ready, self._over = threading.Condition(self._lock), threading.Condition(self._lock)
        self._awaiting = 0
        """How many wait for the next event: taking one costs far less where there is nobody to wake."""
        self._closed = False

    def push(self, event: Event) -> None:
        """Take an event without ever waiting for the reader."""
        if self._kinds and type(event) not in self._kinds:
            return
        if isinstance(event, NodeProgress) and not self._previews:
            event = event._replace(preview=None)
        with self._lock:
            if len(self._events) >= self._limit and isinstance(event, (NodeProgress, ModelFetching)):
                self._thinned.pop(event.node, None)
                self._thinned[event.node] = event
            else:
                self._events.append(event)
            if self._awaiting:
                self._ready.notify()

    def close(self) -> None:
        """End the reader after what is unread."""
        with self._lock:
            self._closed = True
            self._ready.notify_all()
            self._over.notify_all()

    def read(self, timeout_s: float | None = None) -> Event | None:
        """The next event; None where none came in time or the stream is over."""
        with self._lock:
            if not self._has_unread() and not self._closed:
                self._awaiting += 1
                try:
                    self._ready.wait_for(lambda: self._has_unread() or self._closed, timeout_s)
                finally:
                    self._awaiting -= 1
            return self._next() if self._has_unread() else None

    def gather(self, time_s: float) -> list[Event]:
        """All unread events, after so long or once the stream is over.

        Who waits like this is not woken by every event, which for trivial nodes costs more than they do.
        """
        with self._lock:
            self._over.wait_for(lambda: self._closed, time_s)
            if not self._thinned:
                found, self._events = list(self._events), deque()
                return found
            found = []
            while self._has_unread():
                found.append(self._next())
            return found

    @property
    def is_over(self) -> bool:
        """Whether everything was read and nothing more will come."""
        with self._lock:
            return self._closed and not self._has_unread()

    def __iter__(self) -> Iterator[Event]:
        while (event := self.read()) is not None:
            yield event

    def _has_unread(self) -> bool:
        return bool(self._events or self._thinned)

    def _next(self) -> Event:
        """The oldest unread event. The lock is held."""
        if self._thinned:
            node, progress = next(iter(self._thinned.items()))
            if not self._events or progress.seq < self._events[0].seq:
                del self._thinned[node]
                return progress
        return self._events.popleft()
