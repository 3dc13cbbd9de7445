"""The engine's tests share ``lab.py``: small nodes, shortcuts for graph files, and an event log."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from limner.engine.executor import Executor

sys.path.append(str(Path(__file__).parent))  # pytest's importlib mode adds no folder by itself

from lab import Lab  # found through the line above

settings.register_profile("engine", deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
settings.load_profile("engine")


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Executor() as executor:
        yield Lab(executor)


@pytest.fixture
def gates() -> Iterator[dict[str, threading.Event]]:
    """Events by name, all opened at the end so that no lane stays stuck."""
    found: dict[str, threading.Event] = {}
    yield found
    for gate in found.values():
        gate.set()
