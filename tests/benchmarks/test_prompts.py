"""The benchmark of prompts compares what it says it compares."""

from __future__ import annotations

import random

import numpy as np
from prompts import BEGIN, CONTRAST, EMPTY, END, PAGE, TEMPLATE, compare, distance, other_background, pairs, table

from limner import Session
from limner.nodes import StructuredPrompt
from limner.tiny.heldout import one_object_json
from limner.tiny.render import render, to_bytes


def test_a_pair_is_judged_by_what_it_shows() -> None:
    """The same object on another background is the same shape and color; one background is not the other."""
    rng = random.Random(1)
    for scene in one_object_json(6).scenes:
        changed = other_background(rng, scene)
        assert all(distance(changed.background.rgb, thing.color.rgb) > CONTRAST for thing in scene.objects)
        first, second = to_bytes(render([scene, changed]))
        found = compare(first, second, changed)
        assert found.background_de < 1
        assert found.object_de < 1
        assert found.iou > 0.9
        assert compare(first, first, changed).background_de > 10


def test_the_prompt_is_what_was_pasted_but_for_the_background() -> None:
    """Nothing of the template's own product is left, and each background is asked for once."""
    asked: list[tuple[str, str]] = []

    def draw(prompt: str, background: str, seeds: int) -> list[np.ndarray]:
        asked.append((prompt, background))
        with Session() as session:
            checked = session.check(
                TEMPLATE, EMPTY | {"structured.paste": prompt, "background": background, "batch": seeds}
            )
        (text,) = (node.settings.text() for node in checked.nodes if node.type.cls is StructuredPrompt)
        assert "product" not in text
        assert background in text
        return [np.full((128, 128, 3), seed, np.uint8) for seed in range(seeds)]

    assert len(list(pairs(2, 3, draw))) == 6
    assert len(asked) == 4
    assert asked[0][0] == asked[1][0]
    assert asked[0][1] != asked[1][1]


def test_the_page_has_a_place_for_the_figures() -> None:
    """The table goes between the marks, and is there."""
    page = PAGE.read_text()
    assert page.count(BEGIN) == page.count(END) == 1
    header = table([(compare(*[np.zeros((128, 128, 3), np.uint8)] * 2, one_object_json(1).scenes[0]),) * 2])
    assert header.splitlines()[0] in page.partition(BEGIN)[2].partition(END)[0]
