"""A server in a process of its own, as users start it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def served(data: Path, *options: str, **variables: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """``limner serve`` on a free port, and its URL."""
    command = [sys.executable, "-m", "limner", "serve", "--port", "0", "--data", str(data), "--device", "cpu", *options]
    settings = os.environ | {"LIMNER_CACHE_DIR": str(data / "cache"), "OMP_NUM_THREADS": "1"} | variables
    settings.pop("LIMNER_CONFINE", None)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=settings) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().strip().removeprefix("ready: ")
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
