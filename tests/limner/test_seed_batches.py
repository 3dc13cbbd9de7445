"""Which seeds are drawn at once, and the graph that does so."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner import Session
from limner.engine.document import Document
from limner.engine.errors import GraphError
from limner.engine.sweep import Axis
from limner.seed_batches import SeedBatch, batches, drawn_at_once, largest, seed_axis


@given(st.lists(st.integers(0, 40), unique=True), st.integers(1, 9))
def test_each_seed_is_drawn_once_with_its_neighbours(seeds: list[int], at_once: int) -> None:
    """Batches are runs of seeds that follow each other, no longer than allowed, and say which place a seed has."""
    found = batches(seeds, at_once)
    assert set(found) == set(seeds)
    for seed, batch in found.items():
        assert seed == batch.first + batch.number - 1
        assert 1 <= batch.number <= batch.count <= at_once
        assert all(other in found for other in range(batch.first, batch.first + batch.count))
    assert sum(batch.number == 1 for batch in found.values()) == len({batch.first for batch in found.values()})


@given(st.integers(1, 64), st.integers(1, 64))
def test_the_largest_that_fits_is_found(most: int, limit: int) -> None:
    assert largest(most, lambda count: count <= limit) == min(most, limit)


def template() -> Document:
    return Session().document("text_to_image")


def test_others_take_one_picture_of_the_batch() -> None:
    """Every wire from the Denoise node, and every output of the graph, comes from the pick; the rest is as it was."""
    document = template()
    document = document.model_copy(update={"outputs": {"latent": "denoise.latent", "image": "decode"}})
    found = drawn_at_once(document, ["denoise"], SeedBatch(5, 3, 2))
    assert found.nodes["denoise"].settings == {"seed": 5, "batch": 3}
    assert found.nodes["denoise_pick"].settings == {"number": 2}
    assert found.nodes["decode"].wires["latent"] == "denoise_pick"
    assert found.outputs == {"latent": "denoise_pick", "image": "decode"}
    assert found.nodes["save"] == document.nodes["save"]
    Session().check(found)
    assert drawn_at_once(document, ["denoise"], SeedBatch(5, 1, 1)) is document


def test_the_seeds_of_a_denoise_node_are_found() -> None:
    """By the name of a parameter or of the setting."""
    axes = [Axis("steps", (1,)), Axis("denoise.seed", (3, 4))]
    assert seed_axis(template(), axes) == (axes[1], ["denoise"])
    assert seed_axis(template(), [Axis("seed", (3,))])[1] == ["denoise"]


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("steps", {}, "no seed of a Denoise node is swept"),
        ("nobody.seed", {}, "no seed of a Denoise node is swept"),
        ("seed", {"batch": 2}, "denoise draws a batch of its own"),
    ],
)
def test_what_cannot_be_drawn_at_once_is_a_fault(name: str, settings: dict[str, Any], message: str) -> None:
    document = template()
    node = document.nodes["denoise"].model_copy(update={"settings": settings})
    document = document.model_copy(update={"nodes": {**document.nodes, "denoise": node}})
    with pytest.raises(GraphError, match=message):
        seed_axis(document, [Axis(name, (1, 2))])
