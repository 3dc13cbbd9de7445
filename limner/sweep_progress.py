"""A sweep as people and programs see it: which variant runs, and what became of each."""

from __future__ import annotations

import json
import sys
from typing import Any, Protocol

from rich.console import Console
from rich.text import Text

from limner.engine import events as ev
from limner.progress import Bars, Display, JsonLines, Lines, Silent
from limner.sweep_row import Row
from limner.sweeps import Shared
from limner.terminal import printable

_UNTOLD = (ev.RunStarted, ev.NodeCached, ev.NodeFinished, ev.NodeFailed, ev.NodeSkipped, ev.RunFinished)
"""What a line about the variant says better."""


class SweepDisplay(Display, Protocol):
    """Shows events as they come, and the variants that they are about."""

    def share(self, shared: Shared) -> None:
        """Something begins that several variants need."""
        ...

    def begin(self, row: Row, done: int, total: int) -> None:
        """A variant begins, after ``done`` of all."""
        ...

    def end(self, row: Row) -> None:
        """A variant is done, has failed, or was finished earlier."""
        ...


class SilentSweep(Silent):
    """Shows nothing."""

    def share(self, shared: Shared) -> None:
        """Pass over it."""

    def begin(self, row: Row, done: int, total: int) -> None:
        """Pass over it."""

    def end(self, row: Row) -> None:
        """Pass over it."""


class SweepJson(JsonLines):
    """One event a line on stdout; those of runs say in which variant they happen."""

    def __init__(self) -> None:
        self._number: int | None = None

    def show(self, event: ev.Event) -> None:
        """Write the event at once."""
        _write_line(ev.as_dict(event) | {"variant": self._number})

    def share(self, shared: Shared) -> None:
        """Write that the events that follow are of no single variant."""
        _write_line({"event": "shared_started", "number": shared.number, "of": shared.of})

    def begin(self, row: Row, done: int, total: int) -> None:
        """Write which variant the events that follow are of."""
        self._number = row.number
        _write_line({"event": "variant_started", "variant": row.number, "of": total, "values": dict(row.values)})

    def end(self, row: Row) -> None:
        """Write what came of it."""
        found = {"values": dict(row.values), "state": row.state, "files": row.files, "seconds": row.seconds}
        _write_line({"event": "variant_finished", "variant": row.number, **found, "error": row.error})


def _write_line(record: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(record) + "\n")
    sys.stdout.flush()


class SweepLines(Lines):
    """Lines for logs and pipes: of variants, of what goes wrong, and with ``is_verbose`` of everything."""

    def __init__(self, console: Console, *, is_verbose: bool = False) -> None:
        super().__init__(console, is_verbose=is_verbose, untold=() if is_verbose else _UNTOLD)
        self._out = console

    def share(self, shared: Shared) -> None:
        """Say what runs."""
        self._out.print(_shared(shared), markup=False)

    def begin(self, row: Row, done: int, total: int) -> None:
        """Say which variant runs."""
        self._out.print(_heading(row, done, total), markup=False)

    def end(self, row: Row) -> None:
        """Say what came of it."""
        self._out.print(_outcome(row))


class SweepBars(Bars):
    """Live bars in a terminal: one for the sweep, and one a running node."""

    def __init__(self, console: Console, *, is_verbose: bool = False) -> None:
        super().__init__(console, is_verbose=is_verbose, untold=() if is_verbose else _UNTOLD)
        self._out = console

    def share(self, shared: Shared) -> None:
        """Move the sweep's bar."""
        self.show_all(_shared(shared), shared.number - 1, shared.of)

    def begin(self, row: Row, done: int, total: int) -> None:
        """Move the sweep's bar."""
        self.show_all(_heading(row, done, total), done, total)

    def end(self, row: Row) -> None:
        """Say what came of it, in a line that stays."""
        self._out.print(_outcome(row))


def _shared(shared: Shared) -> str:
    return f"first, what variants share: {shared.number} of {shared.of}"


def _heading(row: Row, done: int, total: int) -> str:
    return printable(f"variant {done + 1} of {total}: {row}", one_line=True)


def _outcome(row: Row) -> Text:
    marks = {"done": ("✓ ", "green"), "failed": ("✗ ", "red"), "not run": ("- ", "yellow")}
    mark = marks[row.state] if row.state != "done" or row.seconds is not None else ("= ", "blue")
    return Text.assemble(mark, (printable(str(row), one_line=True), "bold"), f"  {took(row)}")


def took(row: Row) -> str:
    """What a variant took, in words.

    >>> took(Row(1, {"seed": 1}, "done", seconds=2.5))
    '2.50 s'
    """
    if row.state != "done":
        return row.state
    if row.seconds is not None:
        return f"{row.seconds:.2f} s"
    return "finished earlier" if row.was_there else "from the cache"


def sweep_display(console: Console, *, as_json: bool, quiet: bool, verbose: bool) -> SweepDisplay:
    """The display that the options ask for."""
    if as_json:
        return SweepJson()
    if quiet:
        return SilentSweep()
    if console.is_terminal:
        return SweepBars(console, is_verbose=verbose)
    return SweepLines(console, is_verbose=verbose)
