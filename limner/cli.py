"""The console script. It imports next to nothing before it has said what Ctrl-C means."""

from __future__ import annotations

import gc
import os
import sys

from limner.interrupts import INTERRUPTED, end_at_once
from limner.lost_output import CLOSED_PIPE, disk_words, silence


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
    except OSError as error:
        sys.exit(_code_of(error))
    except SystemExit as ended:
        if isinstance(ended.__context__, BrokenPipeError):  # typer and rich turn it into an exit of their own
            sys.exit(_code_of(ended.__context__))
        if ended.code == INTERRUPTED:  # a node may still compute, and Python's end would make torch abort
            sys.stderr.flush()
            os._exit(INTERRUPTED)
        raise


def _code_of(error: OSError) -> int:
    """The exit code where stdout takes no more; why is said unless the reader has gone. Raises all other errors."""
    if isinstance(error, BrokenPipeError):  # such as ``| head -1``, which has what it wanted
        silence()
        return CLOSED_PIPE
    from limner.terminal import report

    if disk_words(error) is None:
        raise error
    silence()
    return report(error)
