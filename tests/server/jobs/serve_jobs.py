"""A server for tests: ``python serve_jobs.py SETTINGS WORKERS FIRST`` keeps workers alive, accepts jobs, until killed.

Jobs are accepted without end from the number FIRST on, where that is not negative. Each line says what is known to be
true then: ``accepted NUMBER ID`` once a job is, ``pids ...`` of the workers.
"""

import logging
import sys
import time

from crew import accept, pids, steps_then_write

from limner.server.jobs.supervisor import Supervisor
from limner.server.jobs.worker import WorkerSettings


def serve(settings: WorkerSettings, workers: int, number: int) -> None:
    with Supervisor(settings, workers) as supervisor:
        while True:
            if number >= 0:
                document = steps_then_write(salt=number, count=4, log=f"{settings.folder}/log")
                job = accept(supervisor.store, document, client="abc"[number % 3], idempotency_key=str(number))
                print("accepted", number, job.id, flush=True)
                number += 1
            print("pids", *pids(supervisor), flush=True)
            time.sleep(0.05)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    serve(WorkerSettings.from_json(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
