"""The console script. It imports next to nothing before it has said what Ctrl-C means."""

from __future__ import annotations

import gc
import os
import sys

from limner.interrupts import end_at_once

_CLOSED_PIPE = 141
"""What shells say of a program that wrote to a pipe which nobody reads any more: 128 and SIGPIPE."""


def main() -> None:
    """Run the command line and exit with its code."""
    end_at_once()
    # A command is short: full collections would visit the frameworks' objects again and again, to free next to nothing.
    gc.set_threshold(100_000, 20, 20)
    from limner.commands import app

    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # such as ``| head -1``, which has what it wanted
        # Python flushes once more at its end, and would complain then
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(_CLOSED_PIPE)
