"""What happens to jobs, read from the store once for all who follow: each at its own pace, none at another's cost.

The store is the truth: whoever falls behind, or comes back later, is given what it missed from there. So nothing is
queued for a slow reader but which of its jobs have news, the latest progress of each node, and one preview a node.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeVar

from limner.engine.errors import StoreError
from limner.server.follower import Follower, Told, Track, as_told
from limner.server.jobs.complaints import Complaints
from limner.server.jobs.errors import UnknownJobError
from limner.server.jobs.history import MAX_PAGE, History
from limner.server.jobs.job import FINAL, Job, JobEvent
from limner.server.views import job_view

T = TypeVar("T")

LOOK_S: Final = 0.1
"""How often the store is looked at while a job runs, or one that somebody follows has not ended."""
REST_S: Final = 1.0
"""And otherwise, as long as anybody follows: other servers may have the same store."""
OVERLAP_S: Final = 2.0
"""How far back ended jobs are looked for: clocks of workers elsewhere differ."""
BATCH: Final = 200
"""Events that are handed to a follower at a time."""
_log = logging.getLogger("limner.server")

Aside = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Runs something that blocks in a thread."""


class Feed:
    """Tells followers. Everything but ``run``'s reading happens on the event loop."""

    def __init__(self, history: History, aside: Aside) -> None:
        self.dropped_previews = 0
        """Replaced by a later one before their follower took them."""
        self._history = history
        self._aside = aside
        self._followers: set[Follower] = set()
        self._tracks: dict[str, Track] = {}
        self._seen: dict[str, Job] = {}
        """Jobs that ran or had just ended when they were last looked at."""
        self._looked = time.time()
        self._waiters: dict[asyncio.Future[Job], str] = {}
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Something was written: look now."""
        self._wake.set()

    def change(self, job: Job) -> None:
        """A job was changed by a client: tell those who show lists."""
        self._tell_lists(job)
        self.wake()

    def tell_latest(self, told: Told, node: str) -> None:
        """Tell those who follow a job of a step or a preview."""
        if told.job in self._tracks:
            for follower in self._followers:
                if told.job in follower.cursors:
                    is_late = follower.tell_latest(told, node)
                    self.dropped_previews += is_late and told.kind == "preview"

    @contextmanager
    def joined(self, follower: Follower) -> Iterator[None]:
        """Within, it is told."""
        self._followers.add(follower)
        self.wake()
        try:
            yield
        finally:
            self._followers.discard(follower)
            self._drop_tracks()

    async def follow(self, follower: Follower, job_id: str, after: int) -> Job:
        """Tell a follower what happens to a job since its event ``after``. Raises UnknownJobError."""
        job: Job = await self._aside(lambda: self._history.job(job_id, follower.client.sees))
        if job_id not in self._tracks:
            self._tracks[job_id] = Track(job_id, job.last_seq)
        follower.cursors[job_id] = after
        follower.mark(job_id)
        self.wake()
        return job

    def unfollow(self, follower: Follower, job_id: str) -> None:
        """Tell it no more of a job."""
        follower.forget(job_id)
        self._drop_tracks()

    def watch_lists(self, follower: Follower, *, on: bool) -> None:
        """Tell it of every job that changes and whether the queue is paused, now and when that changes; or no more."""
        follower.lists, follower.is_paused = on, None
        self.wake()

    async def next(self, follower: Follower) -> list[Told]:
        """What is new for a follower; waits until there is something."""
        while True:
            await follower.news.wait()
            behind, changed, latest, must_read_again = follower.take()
            told = [Told("resync", "")] if must_read_again else []
            told += [Told("job", job.id, job_text(job)) for job in changed]
            for job_id in behind:
                told += await self._missed(follower, job_id)
            told += [one for one in latest if one.job in follower.cursors or one.kind in ("gone", "queue")]
            if told:
                return told

    async def _missed(self, follower: Follower, job_id: str) -> list[Told]:
        """The next events of a job that a follower was not given. The rest is marked for another time."""
        cursor, track = follower.cursors.get(job_id), self._tracks.get(job_id)
        if cursor is None or track is None:
            return []
        found = track.since(cursor)
        if found is None:
            try:
                events = await self._aside(lambda: self._history.events(job_id, cursor, BATCH))
            except UnknownJobError:
                follower.forget(job_id)
                return [Told("gone", job_id)]
            found = [as_told(job_id, event) for event in events]
        found = found[:BATCH]
        if found and job_id in follower.cursors:
            follower.cursors[job_id] = found[-1].seq or 0
            if follower.cursors[job_id] < track.last_seq:
                follower.mark(job_id)
        return found

    async def until_final(self, job_id: str) -> Job:
        """A job once it has ended. Raises UnknownJobError where it is gone."""
        future: asyncio.Future[Job] = asyncio.get_running_loop().create_future()
        self._waiters[future] = job_id
        self.wake()
        try:
            return await future
        finally:
            del self._waiters[future]

    async def run(self) -> None:
        """Look at the store for as long as somebody wants to know."""
        complaints = Complaints(_log)
        while True:
            rest_s = REST_S
            try:
                if (self._followers or self._waiters) and await self._look():
                    rest_s = LOOK_S
            except StoreError as error:
                complaints.warn(str(error))
            except Exception:  # whoever follows must not be left alone for good
                _log.exception("looking at the jobs failed")
            with suppress(TimeoutError):
                async with asyncio.timeout(rest_s if self._followers or self._waiters else None):
                    await self._wake.wait()
            self._wake.clear()

    async def _look(self) -> bool:
        """Read what is new and tell it. Gives whether more is to be expected soon."""
        began = time.time()
        wanted = {*self._tracks, *self._waiters.values(), *self._seen}
        after = {job_id: track.last_seq for job_id, track in self._tracks.items()}
        show_lists = any(follower.lists for follower in self._followers)
        jobs, events, is_paused = await self._aside(lambda: self._read(wanted, after, show_lists=show_lists))
        for job_id, new in events.items():
            if (track := self._tracks.get(job_id)) is not None:
                track.add(new)
                for follower in self._followers:
                    if job_id in follower.cursors:
                        follower.mark(job_id)
        self._looked = began
        self._tell_paused(is_paused)
        self._tell_changes(jobs)
        self._answer_waiters(jobs, gone=wanted - jobs.keys())
        for job_id in wanted - jobs.keys():
            self._forget(job_id)
        return any(job.state not in FINAL for job in jobs.values())

    def _read(
        self, wanted: Collection[str], after: dict[str, int], *, show_lists: bool
    ) -> tuple[dict[str, Job], dict[str, list[JobEvent]], bool | None]:
        """The jobs that run, have just ended or that somebody wants to know of, and their new events. In a thread.

        For who shows lists also whether the queue is paused.
        """
        running = self._history.page(state="in_progress", limit=MAX_PAGE).jobs
        ended = self._history.ended_since(self._looked - OVERLAP_S)
        jobs = {job.id: job for job in (*running, *ended, *self._history.some(wanted))}
        behind = [job for job in jobs.values() if job.id in after and job.last_seq > after[job.id]]
        events = {job.id: self._history.events(job.id, after[job.id]) for job in behind}
        return jobs, events, self._history.is_paused() if show_lists else None

    def _tell_paused(self, is_paused: bool | None) -> None:
        for follower in self._followers:
            if follower.lists and is_paused not in (None, follower.is_paused):
                follower.is_paused = is_paused
                follower.tell_latest(Told("queue", "", json.dumps({"is_paused": is_paused})), "")

    def _tell_changes(self, jobs: dict[str, Job]) -> None:
        """Tell those who show lists of jobs that began, ended, or stopped running in another way."""
        recent = self._looked - 2 * OVERLAP_S
        now = {job.id: job for job in jobs.values() if job.state == "in_progress" or (job.finished or 0) > recent}
        for job in (*now.values(), *(jobs[job_id] for job_id in self._seen.keys() & jobs.keys() - now.keys())):
            before = self._seen.get(job.id)
            if before is None or _differs(before, job):
                self._tell_lists(job)
        self._seen = now

    def _tell_lists(self, job: Job) -> None:
        for follower in self._followers:
            if follower.lists and follower.client.sees in (None, job.client):
                follower.change(job)

    def _answer_waiters(self, jobs: dict[str, Job], gone: Collection[str]) -> None:
        for future, job_id in self._waiters.items():
            if future.done():
                continue
            if job_id in gone:
                future.set_exception(UnknownJobError(job_id))
            elif job_id in jobs and jobs[job_id].state in FINAL:
                future.set_result(jobs[job_id])

    def _forget(self, job_id: str) -> None:
        """A job is gone from the store."""
        if self._tracks.pop(job_id, None) is not None:
            for follower in self._followers:
                if job_id in follower.cursors:
                    follower.forget(job_id)
                    follower.tell_latest(Told("gone", job_id), "")

    def _drop_tracks(self) -> None:
        followed = {job_id for follower in self._followers for job_id in follower.cursors}
        self._tracks = {job_id: track for job_id, track in self._tracks.items() if job_id in followed}


def job_text(job: Job) -> str:
    """A job as lists show it, as JSON text."""
    return job_view(job).model_dump_json(exclude_none=True)


def _differs(before: Job, now: Job) -> bool:
    return (before.state, before.is_paused, before.wish, before.attempts) != (
        now.state,
        now.is_paused,
        now.wish,
        now.attempts,
    )
