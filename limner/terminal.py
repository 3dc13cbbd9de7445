"""How Limner speaks in a terminal: results on stdout, everything else on stderr, faults in plain words."""

from __future__ import annotations

import functools
import logging
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ParamSpec, TypeVar

import typer
from rich.console import Console, RenderableType
from rich.text import Text

from limner.engine.errors import (
    Cancelled,
    DeviceError,
    GraphError,
    InputError,
    LimnerError,
    NodeFailed,
    NodeTypeError,
    StoreError,
)
from limner.interrupts import INTERRUPTED
from limner.lost_output import disk_words, silence

P = ParamSpec("P")
T = TypeVar("T")

out = Console(highlight=False, markup=False, soft_wrap=True)
"""Results: what a pipe should get. Colours go away with NO_COLOR or in a pipe. Brackets are no markup, but names."""
err = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
"""Progress, warnings and faults."""

_PIPE_WIDTH = 240

FAILED, WRONG_INPUT = 1, 2
"""Exit codes: a node failed; the graph, a file, a store or an option is wrong. ``INTERRUPTED`` is the third."""


def friendly(command: Callable[P, T]) -> Callable[P, T]:
    """Turn errors into a message and an exit code. With ``debug=True`` among the options the traceback is shown."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        _show_warnings(of_others=bool(kwargs.get("debug")))
        try:
            return command(*args, **kwargs)
        except (LimnerError, KeyboardInterrupt) as error:
            if kwargs.get("debug"):
                err.print_exception(show_locals=False)
            raise typer.Exit(report(error)) from None
        except OSError as error:
            if isinstance(error, BrokenPipeError) or disk_words(error) is None:
                raise
            if kwargs.get("debug"):
                err.print_exception(show_locals=False)
            if error.filename is None:
                silence()
            raise typer.Exit(report(error)) from None

    return wrapped


def _show_warnings(*, of_others: bool) -> None:
    """Let our own warnings through; those of frameworks, which warn of optional parts when imported, on demand."""
    handler = logging.StreamHandler()
    handler.setFormatter(LogLine())
    logging.basicConfig(handlers=[handler])
    logging.getLogger().setLevel(logging.WARNING if of_others else logging.ERROR)
    logging.getLogger("limner").setLevel(logging.WARNING)
    if not of_others:
        os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
        os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
        os.environ.setdefault("TORCH_LOGS", "-all")  # torch sets the levels of its loggers itself; this means errors


class LogLine(logging.Formatter):
    """A message as a line, after the name of the node where a node says it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, and a traceback below where there is one."""
        node = getattr(record, "node", None)
        return printable(super().format(record) if node is None else f"{node}: {super().format(record)}")


def show(table: RenderableType) -> None:
    """Print a table as a result: as wide as the terminal; in a pipe without breaking lines that a program may read."""
    console = out if out.is_terminal else Console(highlight=False, markup=False, width=_PIPE_WIDTH)
    console.print(table)


def table_width() -> int:
    """How wide a table may be that ``show`` prints."""
    return out.width if out.is_terminal else _PIPE_WIDTH


def print_path(path: str | Path) -> None:
    """A file as a result: in a pipe its very name, in a terminal one that does not steer it."""
    print(printable(str(path), one_line=True) if sys.stdout.isatty() else path)


def report(error: BaseException, *, is_kept: bool | None = None) -> int:
    """Print an error for people. Gives the exit code.

    ``is_kept`` says of an interrupted run whether the next one finds what was done; None where nobody can say.
    """
    if isinstance(error, (KeyboardInterrupt, Cancelled)):
        err.print(f"interrupted{_KEPT[is_kept]}", style="yellow")
        return INTERRUPTED
    if isinstance(error, GraphError):
        _print_faults(error)
        return WRONG_INPUT
    if isinstance(error, OSError):
        _print_line(disk_words(error) or str(error))
        return WRONG_INPUT
    _print_line(str(error), *getattr(error, "__notes__", ()))
    if isinstance(error, NodeFailed):
        if isinstance(error.cause, (InputError, DeviceError)):
            return WRONG_INPUT
        if not isinstance(error.cause, LimnerError):
            err.print("  --debug shows where", style="dim")
        return FAILED
    return WRONG_INPUT if isinstance(error, (InputError, DeviceError, NodeTypeError, StoreError)) else FAILED


_KEPT = {
    None: "",
    True: ": finished nodes and the last step are kept, run again to go on",
    False: ": nothing of this run is kept",
}


def _print_faults(error: GraphError) -> None:
    for fault in error.faults:
        line = Text.assemble(("✗ ", "red"), printable(fault.message, one_line=True))
        if fault.path:
            line.append(f" @ {printable(fault.where, one_line=True)}", style="cyan")
        if fault.hint:
            line.append(f"\n    {printable(fault.hint)}", style="dim")
        err.print(line)
    count = len(error.faults)
    err.print(f"{count} fault{'s' if count > 1 else ''}; nothing was run", style="bold")


def _print_line(message: str, *notes: str) -> None:
    err.print(Text.assemble(("✗ ", "red"), printable(message)))
    for note in notes:
        err.print(Text(f"  {printable(note)}"))


def printable(text: str, *, one_line: bool = False) -> str:
    r"""A text of others, safe to show: what would steer the terminal or cannot be encoded is written as an escape.

    >>> print(printable("a\x1b[31mb"))
    a\x1b[31mb
    """
    return _UNSAFE.sub(
        lambda found: "\n" if found[0] == "\n" and not one_line else found[0].encode("unicode_escape").decode(), text
    )


def printable_json(text: str) -> str:
    """JSON, safe to print: what would steer a terminal or cannot be encoded becomes an escape, which says the same."""
    return _UNSAFE_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


_UNSAFE_IN_JSON = re.compile("[\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, those that turn the direction of writing, and halves of characters."""


def with_short_hashes(text: str) -> str:
    """Hashes by their first digits, which is all that people compare.

    >>> with_short_hashes("sha256:" + 64 * "a")
    'sha256:aaaaaaaaaaaa...'
    """
    return _HASH.sub(r"\1...", text)


_HASH = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{28,}\b")


def size(count: int) -> str:
    """Bytes for people: ``1.5 MB``.

    >>> size(1_500_000)
    '1.5 MB'
    """
    value = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def tell_left_out(names: Sequence[str]) -> None:
    """Say which nodes of a workflow are not in its graph."""
    if names:
        err.print(printable(f"left out, as no picture needs it: {', '.join(names)}", one_line=True), style="dim")
