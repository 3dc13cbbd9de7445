"""What can be wrong with a request about jobs."""

from __future__ import annotations

from limner.engine.errors import InputError, LimnerError


class UnknownJobError(InputError):
    """There is no job of this id, or it is another client's."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"there is no job {job_id}")


class JobStateError(InputError):
    """The job is not in a state in which this can be done."""


class LeaseLostError(LimnerError):
    """A worker wrote about a job that is no longer its own: another has it, or it ended."""
