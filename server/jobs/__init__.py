"""Durable jobs: a store that outlives every process, and workers that take from it what waits.

>>> from limner.server.jobs import JobStore, Supervisor, WorkerSettings, submit
"""

from limner.server.jobs.errors import JobStateError, LeaseLostError, UnknownJobError
from limner.server.jobs.job import Artifact, Job, JobEvent, NewJob, NodeRun
from limner.server.jobs.leases import Patience
from limner.server.jobs.retention import Limits
from limner.server.jobs.store import JobStore
from limner.server.jobs.submit import submit
from limner.server.jobs.supervisor import Supervisor
from limner.server.jobs.worker import WorkerSettings

__all__ = [
    "Artifact",
    "Job",
    "JobEvent",
    "JobStateError",
    "JobStore",
    "LeaseLostError",
    "Limits",
    "NewJob",
    "NodeRun",
    "Patience",
    "Supervisor",
    "UnknownJobError",
    "WorkerSettings",
    "submit",
]
