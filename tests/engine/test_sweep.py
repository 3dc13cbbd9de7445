"""The product of values, the names of its variants, and what cannot be swept together."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab import graph, node

from limner.engine.document import Document
from limner.engine.sweep import MAX_NAME_BYTES, Axis, axis_faults, file_names, label, variants, written

VALUES = st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(), st.booleans(), st.none())
AXES = st.lists(
    st.tuples(st.text(min_size=1, max_size=60), st.lists(VALUES, min_size=1, max_size=5, unique_by=written)),
    min_size=1,
    max_size=4,
    unique_by=lambda axis: axis[0],
).map(lambda axes: [Axis(name, tuple(values)) for name, values in axes])


@given(AXES)
def test_the_product_is_complete_and_in_order(axes: list[Axis]) -> None:
    """Every combination is there once, the last axis varying fastest."""
    found = [tuple(values.values()) for values in variants(axes)]
    assert found == list(itertools.product(*(axis.values for axis in axes)))


@given(AXES)
def test_names_differ_and_are_safe(axes: list[Axis]) -> None:
    """No two variants are called the same, not even where upper case counts for nothing, and any disk takes them."""
    names = file_names(axes)
    assert len({name.casefold() for name in names}) == len(names) == len(list(variants(axes)))
    for name in names:
        assert re.fullmatch(r"[\w.+=~-]+", name), name
        assert len(name.encode()) <= MAX_NAME_BYTES
        assert not name.startswith(".")


def test_names_are_readable() -> None:
    """Numbers and words stay as they are; the node of a setting is named only where it must be."""
    axes = [Axis("denoise.seed", (1, 2)), Axis("guidance", (2.0, 4.5)), Axis("prompt", ("a red circle!", "東京"))]
    assert file_names(axes)[0] == "seed=1-guidance=2-prompt=a_red_circle"
    assert file_names(axes)[-1] == "seed=2-guidance=4.5-prompt=東京"
    two = [Axis("a.seed", (1,)), Axis("b.seed", (1,))]
    assert file_names(two) == ["a.seed=1-b.seed=1"]
    assert file_names(axes, unnamed={"prompt"})[0] == "seed=1-guidance=2"


def test_a_name_does_not_change_with_the_values_beside_it() -> None:
    """A sweep that is made longer finds its files again."""
    few, more = [Axis("p", ("a b", "c"))], [Axis("p", ("c", "d!", "a b"))]
    assert set(file_names(few)) < set(file_names(more))


def test_a_label_is_one_line() -> None:
    assert label({"seed": 5, "prompt": "a\nb " * 40, "guidance": 2.0}) == (
        "seed=5 prompt=" + ("a b " * 40)[:57] + "... guidance=2"
    )


DOCUMENT = Document.model_validate(
    graph({"a": node("Start"), "b": node("Add", {"value": "a"})}, parameters={"both": ["a.value", "b.amount"]})
)


def messages(axes: list[Axis], *given: str, most: int = 10) -> str:
    return "\n".join(map(str, axis_faults(axes, DOCUMENT, given, most)))


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ([("a.value", (1, 1))], "1 stands there 2 times"),
        ([("a.value", (1, 1.0))], "1 stands there 2 times"),
        ([("a.value", ())], "there are no values"),
        ([("both", (1,)), ("b.amount", (2,))], "b.amount is swept by both as well"),
        ([("a.value", (1,)), ("a.value", (2,))], "a.value is swept by a.value as well"),
        ([("a.value", range(4)), ("b.amount", range(3))], "make 12 variants, and 10 are allowed"),
    ],
)
def test_what_does_not_go_together_is_a_fault(axes: Any, message: str) -> None:
    """Values and settings named twice, none, and too many variants, before anything is looked up."""
    assert message in messages([Axis(name, tuple(values)) for name, values in axes])


def test_values_that_only_look_alike_may_stand_together() -> None:
    assert messages([Axis("a.value", (1, "1", True, None, "null"))]) == ""


def test_what_is_set_is_not_swept() -> None:
    """Setting a parameter to one value and sweeping what it stands for contradict each other."""
    assert "is set to one value as well" in messages([Axis("b.amount", (1,))], "both")
    assert messages([Axis("b.amount", (1,))], "a.value") == ""
