"""What Ctrl-C does: until a run has begun it ends the process at once; a run is stopped in order."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 130
"""The exit code of what was interrupted, as shells give it."""


def end_at_once() -> None:
    """From now on Ctrl-C ends the process without a word: there is nothing to put in order yet.

    An exception would surface wherever Python is, in the middle of an import as well, and some imports swallow it.
    Where whoever started the process set another way (``nohup``, a job in the background), that stays.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


@contextmanager
def raised() -> Iterator[None]:
    """Within, Ctrl-C raises KeyboardInterrupt again, for what has something to put in order."""
    if signal.getsignal(signal.SIGINT) is not _end:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, _end)


def _end(number: int, frame: FrameType | None) -> None:
    os._exit(INTERRUPTED)
