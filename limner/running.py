"""A run as the terminal sees it: events are shown, an interrupt stops it in order, the exit code says how it ended."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

import typer
from rich.text import Text

from limner.engine import events as ev
from limner.engine.errors import Cancelled
from limner.engine.plan import Plan
from limner.engine.result import Result
from limner.engine.trace import chrome_trace
from limner.engine.write import write_atomically
from limner.interrupts import raised
from limner.progress import Display
from limner.session import Session
from limner.terminal import FAILED, WRONG_INPUT, err, print_path, report


def run_plan(session: Session, plan: Plan, display: Display, trace: Path | None = None) -> Result:
    """Run a plan, showing what happens. An interrupt stops it in order; a second one at once."""
    stream = ev.EventStream()
    reader = stream.reader(previews=False)
    record = stream.reader(limit=sys.maxsize, previews=False) if trace is not None else None
    session.refuse_overflow(plan)
    executor = session.executor  # may import torch: nothing runs yet, so an interrupt may still end the process
    with raised(), display:
        handle = executor.start(plan, stream)
        while not reader.is_over:
            try:
                _show_events(reader, display)
            except KeyboardInterrupt:
                if handle.is_cancelled:
                    raise
                handle.cancel()
                err.print("stopping… (Ctrl-C again: at once)", style="yellow")
            except BaseException:  # such as a closed pipe: torch aborts where Python ends while a node computes
                handle.cancel()
                handle.wait()
                raise
    if trace is not None and record is not None:
        _write_trace(trace, record)
    result = handle.wait()
    assert result is not None, "the event stream is over, so the run is"
    return result


def _show_events(reader: ev.Reader, display: Display) -> None:
    while not reader.is_over:
        if (event := reader.read(timeout_s=0.2)) is not None:
            display.show(event)


def _write_trace(path: Path, events: ev.Reader) -> None:
    try:
        write_atomically(path, chrome_trace(events).encode())
    except OSError as error:  # the pictures are there, and their paths are still to be said
        err.print(Text.assemble(("! ", "yellow"), f"{path} cannot be written: {error.strerror}"))


def paths_of(result: Result) -> list[str]:
    """Where the pictures and tables of a run are."""
    from limner.nodes.values import Files

    return [path for files in result.values(Files) for path in files.paths]


def print_paths(result: Result) -> None:
    """Say on stdout where the pictures are, one a line."""
    for path in paths_of(result):
        print_path(path)


def exit_for(result: Result, *, is_kept: bool, debug: bool) -> None:
    """End with the exit code that the result asks for. ``is_kept``: whether the next run finds what this one did."""
    if result.status == "completed":
        return
    if not result.failures:
        raise typer.Exit(report(Cancelled(), is_kept=is_kept))
    if debug:
        print_tracebacks(result)
    codes = [report(failure) for failure in result.failures.values()]
    raise typer.Exit(FAILED if FAILED in codes else WRONG_INPUT)


def print_tracebacks(result: Result) -> None:
    """Say where in the code each failure came from."""
    for failure in result.failures.values():
        err.print("".join(traceback.format_exception(failure.cause)))
