"""The options of ``limner run`` that are about sweeps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from limner.engine.errors import Fault
from limner.engine.sweep import MAX_VARIANTS
from limner.nodes._new_file import file_faults
from limner.nodes.save_image import SUFFIXES as PICTURES
from limner.nodes.tables import SUFFIXES as TABLES
from limner.output_file import folder_fault
from limner.variants import MOST_AT_ONCE, AtOnce

_PANEL: Final = "Sweeps"
SweepOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUES",
        help="Run once for each value: [cyan]seed=1..8[/], [cyan]guidance=2,4[/], [cyan]prompt=@prompts.txt[/]. "
        "Several: each combination.",
        rich_help_panel=_PANEL,
    ),
]
GridOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write all pictures on one labelled sheet.", rich_help_panel=_PANEL),
]
TableOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write what became of each variant: .csv, .json, .md.", rich_help_panel=_PANEL),
]
TimesOption = Annotated[
    bool, typer.Option("--times", help="Put into the table what each variant took.", rich_help_panel=_PANEL)
]
BatchOption = Annotated[
    str | None,
    typer.Option(
        metavar="N",
        help="Draw N seeds that follow each other at once, or [cyan]auto[/]: as many as fit. Changes the last bits.",
        rich_help_panel=_PANEL,
    ),
]
MaxVariantsOption = Annotated[
    int | None,
    typer.Option(
        metavar="N", min=1, help=f"Allow so many combinations, instead of {MAX_VARIANTS}.", rich_help_panel=_PANEL
    ),
]


@dataclass(frozen=True)
class SweepOptions:
    """What a command line says about a sweep."""

    sweep: tuple[str, ...] = ()
    grid: Path | None = None
    table: Path | None = None
    times: bool = False
    batch: str | None = None
    max_variants: int | None = None
    trace: Path | None = None

    @property
    def most(self) -> int:
        """How many variants are allowed."""
        return MAX_VARIANTS if self.max_variants is None else self.max_variants

    @property
    def at_once(self) -> AtOnce:
        """How many seeds are drawn at once."""
        return "auto" if self.batch == "auto" else int(self.batch or 1)

    def faults(self) -> Iterator[Fault]:
        """What is wrong with the options themselves."""
        if not self.sweep:
            given = {"--grid": self.grid, "--table": self.table, "--times": self.times, "--batch": self.batch}
            for name in (name for name, value in given.items() if value):
                yield Fault(f"{name}: nothing is swept", hint="it goes with --sweep NAME=VALUES")
            return
        for option, path, endings in (("--grid", self.grid, PICTURES), ("--table", self.table, TABLES)):
            if path is None:
                continue
            for message in file_faults(str(path), endings):
                yield Fault(f"{option}: {message}")
            if fault := folder_fault(path):
                yield Fault(f"{option}: {fault}", hint="name a folder that you may write to")
        if self.times and self.table is None:
            yield Fault("--times: no table is written", hint="it goes with --table FILE")
        if not _is_batch(self.batch):
            hint = f"a number up to {MOST_AT_ONCE}, or auto"
            yield Fault(f"--batch {self.batch}: no number of pictures", hint=hint)
        if self.trace is not None:
            yield Fault("--trace: a trace is of one run, and a sweep is many", hint="leave one of them out")


def _is_batch(text: str | None) -> bool:
    return text in (None, "auto") or (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MOST_AT_ONCE)
