"""``limner run --sweep``: from the options to the files, and how it ends."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path

import typer
from rich.console import RenderableType
from rich.text import Text

from limner.engine import events as ev
from limner.engine.errors import Cancelled, Fault, GraphError, InputError
from limner.engine.plan import Plan
from limner.engine.result import Result
from limner.engine.sweep import Axis, short
from limner.engine.sweep_text import read_axis
from limner.interrupts import raised
from limner.memory_option import absent_devices
from limner.new_sweep import make_sweep
from limner.output import redirected
from limner.output_file import write_output
from limner.plan_tables import offload_lines
from limner.progress import Plain
from limner.request import Request
from limner.running import print_tracebacks, run_plan
from limner.sweep_options import SweepOptions
from limner.sweep_progress import SweepDisplay, took
from limner.sweep_row import Row
from limner.sweep_table import sweep_table
from limner.sweeps import Shared, Sweep
from limner.tables import table_of
from limner.terminal import FAILED, WRONG_INPUT, err, print_path, printable, report, show


class SweepRun:
    """A sweep that a command line asked for, known to be right."""

    def __init__(self, request: Request, options: SweepOptions, display: SweepDisplay, *, is_talkative: bool) -> None:
        """Check everything. Raises GraphError with every fault."""
        self._session = request.session
        self._options = options
        self._display = display
        self._is_talkative = is_talkative
        self._done = 0
        self.sweep = self._checked(request)

    def _checked(self, request: Request) -> Sweep:
        axes: list[Axis] = []
        faults = list(request.faults)
        for text in self._options.sweep:
            try:
                axes.append(
                    read_axis(text, request.document, self._session.registry, request.library, self._options.most)
                )
            except GraphError as error:
                faults += error.faults
        taken = set[str]() if request.out_path is None else redirected(request.document)
        for axis in axes:
            if taken.intersection(axis.targets(request.document)):
                message = f"--sweep {axis.name}: --out says already where files go"
                faults.append(Fault(message, hint="leave one of them out"))
        sweep = make_sweep(
            self._session,
            request.document,
            axes,
            faults=faults,
            given=request.given,
            beside=request.beside,
            at_once=1 if faults else self._options.at_once,
            most=self._options.most,
            run=self._run,
        )
        if absent := absent_devices(self._session.budget_bytes, self._session.devices):
            raise GraphError(absent)
        return sweep

    def _run(self, what: Row | Shared, plan: Plan) -> Result:
        if self._is_talkative:
            for line in offload_lines(plan):
                err.print(line, style="dim")
            self._is_talkative = False  # the others are offloaded alike
        if isinstance(what, Shared):
            self._display.share(what)
        else:
            self._display.begin(what, self._done, len(self.sweep))
        return run_plan(self._session, plan, _Within(self._display))

    def run(self, *, debug: bool) -> bool:
        """Run what is not run yet. Gives whether it came to its end; an interrupt stops it in order."""
        _ = self._session.executor  # may import torch: nothing runs yet, so an interrupt may still end the process
        with raised(), self._display:
            try:
                for row in self.sweep:
                    self._done += 1
                    self._display.end(row)
                    if debug and row.result is not None:
                        print_tracebacks(row.result)
            except (KeyboardInterrupt, Cancelled):
                return False
        return True

    def write(self, *, is_complete: bool) -> tuple[list[str], list[InputError]]:
        """Write the table and, of a sweep that came to its end, the sheet. Gives their paths, and what went wrong."""
        contents: dict[Path, bytes] = {}
        if (path := self._options.table) is not None:
            table = sweep_table(self.sweep.axes, self.sweep.rows, seconds=self._options.times)
            contents[path] = table.to_file(path.suffix.lower())
        if (path := self._options.grid) is not None and is_complete:
            buffer = io.BytesIO()
            kind = {".png": "PNG", ".webp": "WEBP"}.get(path.suffix.lower(), "JPEG")
            self.sweep.grid().save(buffer, kind, quality=95)
            contents[path] = buffer.getvalue()
        written, failed = list[str](), list[InputError]()
        for path, content in contents.items():
            try:
                write_output(path, content)
                written.append(str(path))
            except InputError as error:
                failed.append(error)
        return written, failed

    def finish(self, *, is_complete: bool, as_json: bool, quiet: bool, is_kept: bool) -> None:
        """Say what came of it, and end with its exit code. ``is_kept``: whether the next sweep goes on from here."""
        written, unwritten = self.write(is_complete=is_complete)
        rows = self.sweep.rows
        paths = [*(path for row in rows for path in row.files), *written]
        if as_json:
            print(json.dumps({"event": "files", "paths": paths}))
        elif quiet:
            for path in paths:
                print_path(path)
        else:
            show(rows_table(self.sweep.axes, rows))
            for path in written:
                print_path(path)
        for row in rows:
            if row.error is not None:
                err.print(Text.assemble(("✗ ", "red"), printable(f"{row}: {row.error}")))
        for error in unwritten:
            report(error)
        if not is_complete:
            raise typer.Exit(report(Cancelled(), is_kept=is_kept))
        if any(row.state == "failed" for row in rows):
            raise typer.Exit(FAILED)
        if unwritten:
            raise typer.Exit(WRONG_INPUT)


class _Within(Plain):
    """The events of one run, shown by a display that is open for all of them."""

    def __init__(self, display: SweepDisplay) -> None:
        self._display = display

    def show(self, event: ev.Event) -> None:
        """Show one event."""
        self._display.show(event)


def rows_table(axes: Sequence[Axis], rows: Sequence[Row]) -> RenderableType:
    """What became of each variant, for people."""
    table = table_of(*(axis.name for axis in axes), "took", "file")
    for row in rows:
        values = (Text(printable(short(value), one_line=True), style="cyan") for value in row.values.values())
        table.add_row(*values, took(row), printable("\n".join(row.files)))
    return table
