"""Output that reaches nobody: a pipe whose reader has gone, a disk that is full."""

from __future__ import annotations

import errno
import os
import sys
from typing import Final

CLOSED_PIPE: Final = 141
"""What shells say of a program that wrote to a pipe which nobody reads any more: 128 and SIGPIPE."""

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


def disk_words(error: OSError) -> str | None:
    """What a file or stdout did not take, in words; None for what is about neither.

    >>> disk_words(OSError(errno.ENOSPC, "No space left on device"))
    'the output cannot be written: No space left on device'
    """
    if error.filename is not None:
        return f"{os.fspath(error.filename)}: {error.strerror or error}"
    return f"the output cannot be written: {error.strerror}" if error.errno in _FULL else None


def silence() -> None:
    """Let the rest of stdout go nowhere: Python flushes it once more at its end, and would complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
