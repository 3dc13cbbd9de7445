"""What goes wrong in rounds does not fill the log."""

from __future__ import annotations

import logging

import pytest
from hand_clock import HandClock

from limner.server.jobs.complaints import AGAIN_S, Complaints


def test_the_same_is_said_once_a_minute(clock: HandClock, caplog: pytest.LogCaptureFixture) -> None:
    """A warning is said at once, again after a while, and another one at once."""
    complaints = Complaints(logging.getLogger("limner.test"), clock)
    for _ in range(3):
        complaints.warn("the disk is full")
    complaints.warn("the store is gone")
    clock.now += AGAIN_S
    complaints.warn("the store is gone")
    said = [record.getMessage() for record in caplog.records]
    assert said == ["the disk is full", "the store is gone", "the store is gone"]
