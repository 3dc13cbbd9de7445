"""The benchmark of quantization sets the template's own nodes, and adds its figures up as they are meant."""

from __future__ import annotations

from pathlib import Path

import pytest
from quantization import BEGIN, END, FULL, METHODS, PAGE, PLACES, TEMPLATE, Figures, add_likeness, add_times, groups
from quantization import settings_of as settings_of_rows

from limner import Session
from limner.engine import events as ev


def test_every_group_of_methods_is_a_sound_graph() -> None:
    """The first group is the template as it is; all are checked without a fault, the last one filled up."""
    session = Session()
    rows = list(groups(["nf4", "nf4 double_quant", "int8", "layerwise fp8", "fp4"]))
    assert [list(row) for row in rows] == [[FULL, *list(METHODS)[:4]], [FULL, "fp4"]]
    assert list(rows[0].values()) == ["full", *PLACES]
    for row in rows:
        session.check(TEMPLATE, settings_of_rows(row))
    own = session.document(TEMPLATE)
    changed = session.document(TEMPLATE, settings_of_rows(rows[0]))
    for place in PLACES:
        settings = {"double_quant": False} | own.nodes[place].settings
        assert changed.nodes[place].settings == settings
    assert changed.nodes["compare"].settings["labels"] == own.nodes["compare"].settings["labels"]


def test_loading_is_no_part_of_drawing() -> None:
    """A node that waited for its model drew for the rest of its time; nodes of others are passed over."""
    figures = Figures()
    add_times(
        [
            ev.ModelLoaded(1, 0.0, "a", "the transformer", "cpu", 5, 2.0),
            ev.NodeFinished(2, 0.0, "a", 3.5),
            ev.NodeFinished(3, 0.0, "b", 1.0),
            ev.NodeFinished(4, 0.0, "other", 9.0),
        ],
        {"a": figures, "b": figures},
    )
    assert (figures.load_s, figures.draw_s) == (2.0, [1.5, 1.0])


def test_errors_are_those_that_the_decibels_stand_for() -> None:
    """An empty PSNR is no error; 20 dB is a hundredth of the largest."""
    figures = Figures()
    add_likeness(figures, 20.0, 0.5)
    add_likeness(figures, None, 1.0)
    assert figures.errors == pytest.approx([0.01, 0.0])
    assert figures.likenesses == [0.5, 1.0]


def test_the_page_has_a_place_for_the_figures() -> None:
    page = Path(PAGE).read_text()
    assert page.count(BEGIN) == page.count(END) == 1
    assert page.index(BEGIN) < page.index(END)
