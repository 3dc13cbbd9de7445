"""``python -m limner.server.jobs``: a worker, as a supervisor starts it."""

import os
import sys

from limner.server.jobs.worker import main

code = main()
sys.stdout.flush()
sys.stderr.flush()
os._exit(code)  # threads of nodes that do not stop would keep the interpreter
