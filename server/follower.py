"""Who follows jobs: what each is told next, and how far a job's events are kept for those who keep up."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from limner.server.clients import Client
from limner.server.jobs.job import Job, JobEvent

RECENT: Final = 256
"""Events of a job that are kept for those who keep up."""
MAX_CHANGED: Final = 500
"""Jobs that may have changed since a follower last took: past that it is told to read its list again."""


@dataclass(frozen=True, slots=True)
class Told:
    """One message to a follower. ``body`` is JSON text."""

    kind: str
    job: str
    body: str = "{}"
    seq: int | None = None
    picture: bytes | None = None


class Follower:
    """One who is told. Used on the event loop only."""

    def __init__(self, client: Client, *, lists: bool = False) -> None:
        self.client = client
        self.lists = lists
        """Whether it is told of every job that changes."""
        self.cursors: dict[str, int] = {}
        """By job that it follows, the last event that it was given."""
        self.is_paused: bool | None = None
        """What it was told last of the whole queue; None where nothing."""
        self.news = asyncio.Event()
        self._behind: set[str] = set()
        self._changed: dict[str, Job] = {}
        self._latest: dict[tuple[str, str, str], Told] = {}
        self._must_read_again = False

    def mark(self, job_id: str) -> None:
        """A job that it follows has events that it was not given."""
        self._behind.add(job_id)
        self.news.set()

    def change(self, job: Job) -> None:
        """A job that it may see is not what it was."""
        self._changed[job.id] = job
        if len(self._changed) > MAX_CHANGED:
            self._changed.clear()
            self._must_read_again = True
        self.news.set()

    def tell_latest(self, told: Told, node: str) -> bool:
        """What replaces the last of its kind for this node. Gives whether that was not taken yet."""
        is_late = (told.kind, told.job, node) in self._latest
        self._latest[told.kind, told.job, node] = told
        self.news.set()
        return is_late

    def forget(self, job_id: str) -> None:
        """Follow a job no more."""
        self.cursors.pop(job_id, None)
        self._behind.discard(job_id)
        self._latest = {key: told for key, told in self._latest.items() if key[1] != job_id}

    def take(self) -> tuple[list[str], list[Job], list[Told], bool]:
        """What is new: jobs with events, changed jobs, what is latest, and whether to read lists again."""
        taken = list(self._behind), list(self._changed.values()), list(self._latest.values()), self._must_read_again
        self._behind, self._changed, self._latest, self._must_read_again = set(), {}, {}, False
        self.news.clear()
        return taken


@dataclass
class Track:
    """A job that somebody follows, as far as it was read."""

    job_id: str
    last_seq: int
    recent: deque[Told] = field(default_factory=lambda: deque(maxlen=RECENT))

    def add(self, events: Collection[JobEvent]) -> None:
        """Keep those that were not read before."""
        for event in events:
            if event.seq > self.last_seq:
                self.recent.append(as_told(self.job_id, event))
                self.last_seq = event.seq

    def since(self, seq: int) -> list[Told] | None:
        """What came after an event; None where that is not kept any more."""
        if seq >= self.last_seq:
            return []
        if not self.recent or (self.recent[0].seq or 0) > seq + 1:
            return None
        return [told for told in self.recent if (told.seq or 0) > seq]


def as_told(job_id: str, event: JobEvent) -> Told:
    """An event as followers get it: written out once, however many they are."""
    body = f'{{"time":{event.time!r},"kind":"{event.kind}","body":{event.text}}}'
    return Told(event.kind, job_id, body, event.seq)
