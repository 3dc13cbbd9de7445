"""The workers of a server: they come with the first job, so that an idle server is small."""

from __future__ import annotations

from limner.server.jobs.retention import Limits
from limner.server.jobs.supervisor import Hear, Supervisor
from limner.server.jobs.worker import WorkerSettings


class WorkerCrew:
    """Some workers, which are started when there is something to do. Raises StoreError, InputError."""

    def __init__(self, settings: WorkerSettings, workers: int, limits: Limits, hear: Hear) -> None:
        self._supervisor = Supervisor(settings, workers, limits, hear)
        self._is_there = False

    def ensure(self) -> None:
        """There is something to do."""
        if not self._is_there:
            self._is_there = True
            self._supervisor.start()

    def watch(self, is_watched: bool) -> None:
        """Say whether anybody wants to know of steps as they are made."""
        self._supervisor.watch(is_watched)

    def free_models(self) -> None:
        """Ask the workers to let their models go."""
        self._supervisor.free_models()

    def begin_stop(self) -> None:
        """Ask the workers to end, without waiting for that."""
        self._supervisor.begin_stop()

    def stop(self) -> None:
        """Let the workers give their jobs back, and end: within ten seconds."""
        self._supervisor.stop()
