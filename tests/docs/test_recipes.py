"""docs/recipes.md: the table of what each template needs is what the plan computes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from limner import Session
from limner.graphs import GraphLibrary
from limner.memory_option import read_memory
from limner.session import machine_with

PAGE = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text()
_ROW = re.compile(
    r"^\| \[`(\w+)`\]\([^)]*\) \| `([^`]+)` \| cuda:0=(\d+GB), cpu=(\d+GB) \| ([\d.]+ GB) \| ([\d.]+ GB)? ?\|",
    re.MULTILINE,
)


class Row(NamedTuple):
    """A line of the table."""

    template: str
    model: str
    card: str
    ram: str
    on_card: str
    in_ram: str


ROWS = [Row(*found) for found in _ROW.findall(PAGE)]


def test_every_template_of_this_page_has_its_line() -> None:
    """What is not about memory has none: references and LoRAs add to whatever they are used with."""
    assert {row.template for row in ROWS} == set(GraphLibrary().names()) - {
        "edit_with_references",
        "inpaint",
        "lora",
        "lora_stack",
    }


@pytest.mark.parametrize("row", ROWS, ids=[f"{row.template}-{row.card}" for row in ROWS])
def test_a_line_is_what_the_plan_computes(row: Row) -> None:
    """Peaks on the card and in RAM, to the digits that the page shows; and it fits."""
    given, _ = read_memory([f"cuda:0={row.card}", f"cpu={row.ram}"])
    session = Session(devices=machine_with(given), budget_bytes=given)
    memory = session.plan(row.template, {"model": row.model}).memory
    assert memory is not None
    assert memory.fits
    said = {"cuda:0": row.on_card} | ({"cpu": row.in_ram} if row.in_ram else {})
    assert {device: f"{peak / 1e9:.1f} GB" for device, peak in memory.peak_bytes.items() if peak} == said
