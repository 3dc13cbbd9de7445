"""Ids that sort by the time at which they were made: UUIDs of version 7 (RFC 9562)."""

from __future__ import annotations

import os
import threading

from limner.server.jobs.clock import Clock

_RANDOM_BITS = 74
_VERSION_AND_VARIANT = 0x7 << 76 | 0b10 << 62


class Ids:
    """Makes ids of 32 hexadecimal digits. Those of one maker sort strictly in the order in which they were made."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._last = 0

    def new(self) -> str:
        """The next id: 48 bits of milliseconds, then 74 random ones that only count up within a millisecond."""
        with self._lock:
            now = int(self._clock() * 1000) << _RANDOM_BITS | int.from_bytes(os.urandom(9)) << 1
            self._last = now if now > self._last else self._last + 1
            return _as_uuid(self._last)


def _as_uuid(number: int) -> str:
    low = number & (1 << 62) - 1
    middle = number >> 62 & 0xFFF
    return f"{number >> _RANDOM_BITS << 80 | middle << 64 | low | _VERSION_AND_VARIANT:032x}"
