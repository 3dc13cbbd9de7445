"""What a benchmark of the server found, beside its goal."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One thing that was measured. ``is_met`` is None where there is no goal."""

    what: str
    found: str
    goal: str = ""
    is_met: bool | None = None


def at_most(what: str, found: float, unit: str, goal: float | None = None, digits: int = 0) -> Figure:
    """A figure that should be small."""
    text = f"{found:,.{digits}f} {unit}"
    return Figure(what, text) if goal is None else Figure(what, text, f"at most {goal:g} {unit}", found <= goal)


def table(figures: list[Figure]) -> str:
    """The figures as a Markdown table."""
    words = {None: "", True: "met", False: "missed"}
    rows = [f"| {one.what} | {one.found} | {one.goal} | {words[one.is_met]} |" for one in figures]
    return "\n".join(["| | found | goal | |", "|---|--:|---|---|", *rows])
