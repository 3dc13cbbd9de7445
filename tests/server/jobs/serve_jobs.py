"""A server that does nothing but keep workers alive: ``python serve_jobs.py SETTINGS COUNT``, until it is killed."""

import logging
import sys
import time

from limner.server.jobs.supervisor import Supervisor
from limner.server.jobs.worker import WorkerSettings

if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    with Supervisor(WorkerSettings.from_json(sys.argv[1]), int(sys.argv[2])) as supervisor:
        print("ready", flush=True)
        while True:
            print(*supervisor.pids(), flush=True)
            time.sleep(0.05)
