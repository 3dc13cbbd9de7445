"""A server that has jobs and runs none is light."""

from __future__ import annotations

import subprocess
import sys

LOOK = """
import sys
import limner.server.jobs.supervisor, limner.server.jobs.worker
heavy = sorted({"torch", "diffusers", "transformers", "numpy", "PIL", "aiohttp", "psycopg"} & set(sys.modules))
assert not heavy, heavy
from pathlib import Path
status = Path("/proc/self/status")
print(status.read_text().partition("VmRSS:")[2].split()[0] if status.exists() else 0)
"""


def test_jobs_cost_a_server_no_framework() -> None:
    """Store, supervisor and an idle worker import no framework, and take less than 100 MB."""
    ran = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) < 100_000  # kB
