"""What goes wrong again and again, as in a loop: said in the log, but not each time."""

from __future__ import annotations

import logging
import time
from typing import Final

from limner.server.jobs.clock import Clock

AGAIN_S: Final = 60.0
"""After how long the same is said again."""


class Complaints:
    """A log for warnings that come in rounds. For one thread."""

    def __init__(self, log: logging.Logger, clock: Clock = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._said = ("", 0.0)

    def warn(self, message: str) -> None:
        """Say this, unless it is what was said last, less than a minute ago."""
        last, when = self._said
        if message != last or self._clock() - when >= AGAIN_S:
            self._log.warning("%s", message)
            self._said = (message, self._clock())
