"""Readers of a run's events for people and programs: live bars, plain lines, or JSON."""

from __future__ import annotations

import json
import sys
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from limner.engine import events as ev
from limner.terminal import printable

SLOW_BYTES = 1 << 30
"""A model from this size on takes seconds to load, so that people should be told; programs hear of every one."""


class Display(Protocol):
    """Shows events as they come; a context manager around the run."""

    def show(self, event: ev.Event) -> None:
        """Show one event."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Plain:
    """A display that needs nothing done around a run."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class Silent(Plain):
    """Shows nothing."""

    def show(self, event: ev.Event) -> None:
        """Pass over the event."""


class JsonLines(Plain):
    """One event a line on stdout, as JSON."""

    def show(self, event: ev.Event) -> None:
        """Write the event at once, so that a program can follow."""
        sys.stdout.write(json.dumps(ev.as_dict(event)) + "\n")
        sys.stdout.flush()


class Lines(Plain):
    """A line for each thing that happens, but for kinds of events that get none: for logs and pipes."""

    def __init__(self, console: Console, *, is_verbose: bool = False, untold: tuple[type[ev.Event], ...] = ()) -> None:
        self._console = console
        self._is_verbose = is_verbose
        self._untold = untold

    def show(self, event: ev.Event) -> None:
        """Write a line, where the event deserves one."""
        if isinstance(event, self._untold):
            return
        if (line := describe(event, is_verbose=self._is_verbose)) is not None:
            self._console.print(line)


class Bars:
    """Live bars in a terminal: one a running node, with steps and the time left, and one for all, where it has one."""

    def __init__(self, console: Console, *, is_verbose: bool = False, untold: tuple[type[ev.Event], ...] = ()) -> None:
        self._lines = Lines(console, is_verbose=is_verbose, untold=untold)
        self._all: TaskID | None = None
        self._tasks: dict[str, TaskID] = {}
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓[/]"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )

    def show(self, event: ev.Event) -> None:
        """Move the bars; print a line for what stays."""
        if isinstance(event, ev.NodeStarted):
            self._tasks[event.node] = self._progress.add_task(event.node, total=None)
        elif isinstance(event, ev.NodeProgress):
            self._progress.update(self._tasks[event.node], completed=event.step, total=event.total)
        elif isinstance(event, ev.ModelFetching) and event.done_bytes:
            done, total = event.done_bytes // 1_000_000, event.total_bytes // 1_000_000
            self._progress.update(
                self._tasks[event.node], description=f"{event.node}: download, MB", completed=done, total=total
            )
        else:
            if isinstance(event, (ev.NodeFinished, ev.NodeFailed, ev.NodeSkipped)) and event.node in self._tasks:
                self._progress.remove_task(self._tasks.pop(event.node))
            if isinstance(event, ev.ModelLoading):  # what was downloaded was one bar; the steps to come are another
                self._progress.remove_task(self._tasks[event.node])
                self._tasks[event.node] = self._progress.add_task(event.node, total=None)
            self._lines.show(event)

    def show_all(self, words: str, done: int, total: int) -> None:
        """Move the bar above the others, which is for everything that is to do."""
        if self._all is None:
            self._all = self._progress.add_task(words, total=total)
        self._progress.update(self._all, description=escape(words), completed=done, total=total)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()


def describe(event: ev.Event, *, is_verbose: bool = False) -> Text | None:
    """An event as a line for people; None where bars or the next line say it.

    ``is_verbose`` tells of every model that comes and goes, otherwise of those that take long.
    """
    match event:
        case ev.RunStarted(graph=graph, nodes=nodes, todo=todo):
            known = f", {nodes - todo} known or not needed" if todo < nodes else ""
            return Text.assemble((graph, "bold"), f": {todo} of {nodes} nodes to run{known}")
        case ev.NodeCached(node=node):
            return _line("=", "blue", node, "from the cache")
        case ev.NodeResumed(node=node, step=step):
            return _line("↻", "blue", node, f"goes on after step {step}")
        case ev.NodeFinished(node=node, seconds=seconds):
            return _line("✓", "green", node, f"{seconds:.2f} s")
        case ev.NodeWarned(node=node, message=message):
            return _line("!", "yellow", node, message)
        case ev.ModelFetching(node=node, model=model, done_bytes=0, total_bytes=size):
            return _line("↓", "blue", node, f"downloading {model} ({_size(size)})")
        case ev.ModelLoading(node=node, model=model, device=device, size_bytes=size) if size >= SLOW_BYTES:
            return _line("…", "blue", node, f"loading {model} to {device} ({_size(size)})")
        case ev.ModelLoaded(node=node, model=model, device=device, size_bytes=size, seconds=seconds) if is_verbose:
            return _line("+", "blue", node, f"{model} is on {device}: {_size(size)} in {seconds:.2f} s")
        case ev.ModelDropped(node=node, model=model, device=device, size_bytes=size):
            if not is_verbose and size < SLOW_BYTES:
                return None
            return _line("…", "blue", node, f"{model} leaves {device} to make room: {_size(size)}")
        case ev.NodeFailed(node=node):  # the reason stands at the end, where it is not scrolled away
            return _line("✗", "red", node, "failed")
        case ev.NodeSkipped(node=node, because=because):
            return _line("-", "yellow", node, f"not run: {because}")
        case ev.RunFinished(status=status, seconds=seconds):
            return Text.assemble((status, "bold"), f" in {seconds:.2f} s")
    return None


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e8 else f"{size_bytes / 1e6:.1f} MB"


def _line(mark: str, style: str, node: str, message: str) -> Text:
    return Text.assemble((f"{mark} ", style), (f"{node:<20} ", "bold"), printable(message))
