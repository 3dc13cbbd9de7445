"""The procedural data: what is drawn can be measured, what is captioned is true."""

import json
import random

import pytest

from limner.tiny import colors, words
from limner.tiny.captions import describe
from limner.tiny.heldout import edits, one_object, one_object_json, two_objects
from limner.tiny.metrics import measure, summarize
from limner.tiny.references import TASKS, sample_edit
from limner.tiny.render import render, to_bytes
from limner.tiny.scenes import sample_scene
from limner.tiny.shapes import ALL_SHAPES


@pytest.mark.parametrize("count", [1, 2])
def test_metrics_agree_with_the_renderer(count: int) -> None:
    """A picture drawn from a scene scores nearly full marks against that scene."""
    rng = random.Random(3)
    scenes = [sample_scene(rng, count, ALL_SHAPES) for _ in range(32)]
    pictures = to_bytes(render(scenes))
    summary = summarize([measure(p, s) for p, s in zip(pictures, scenes, strict=True)])
    assert summary["shape"] >= 0.98
    assert summary["position"] >= 0.98
    assert summary["object_de"] <= 4
    assert summary["background_de"] == 0


def test_metrics_notice_a_wrong_picture() -> None:
    """A picture of another scene scores badly."""
    rng = random.Random(4)
    scenes = [sample_scene(rng, 1) for _ in range(32)]
    pictures = to_bytes(render(scenes))
    summary = summarize([measure(p, s) for p, s in zip(pictures, scenes[1:] + scenes[:1], strict=True)])
    assert summary["shape"] < 0.5
    assert summary["background_de"] > 20


def test_full_captions_mention_everything() -> None:
    """A full caption names shape, size, place and both colours of every object."""
    rng = random.Random(5)
    for _ in range(200):
        scene = sample_scene(rng)
        text = describe(rng, scene, full=True).text
        assert scene.background.word in text
        for thing in scene.objects:
            assert thing.color.word in text
            assert any(word in text for word in words.SHAPE_WORDS[thing.shape])
            assert any(word in text for word in words.SIZE_WORDS[thing.size])
            assert thing.position == "center" or any(word in text for word in words.PLACE_WORDS[thing.position])


def test_captions_claim_nothing_they_do_not_say() -> None:
    """What a caption's meaning names is in its words."""
    rng = random.Random(6)
    for _ in range(200):
        scene = sample_scene(rng, 1)
        caption = describe(rng, scene)
        text = caption.text.lower()
        assert (scene.background.word in text) or caption.background is None
        [mention] = caption.objects
        if mention.shape:
            assert any(word in text for word in words.SHAPE_WORDS[mention.shape])
        if mention.rgb:
            assert scene.objects[0].color.word in text


def test_json_captions_parse() -> None:
    """JSON captions are JSON, with one entry a subject."""
    for text in one_object_json(50).texts:
        prompt = json.loads(text)
        subjects = next(v for k, v in prompt.items() if k in ("subjects", "subject", "objects"))
        assert len(subjects if isinstance(subjects, list) else [subjects]) == 1


def test_edits_change_what_they_say_and_nothing_else() -> None:
    """Every task alters one property of the first picture."""
    rng = random.Random(7)
    for task in TASKS:
        for _ in range(10):
            edit = sample_edit(rng, task)
            before, after = edit.references[0], edit.target
            assert (before.background != after.background) == task.endswith("background")
            assert (before.objects[0].shape != after.objects[0].shape) == (task == "swap")
            assert (before.objects[0].position != after.objects[0].position) == (task == "move")
            assert (before.objects[0].color != after.objects[0].color) == (task in ("recolor", "borrow_color"))
            assert f"image {len(edit.references)}" in edit.caption.text


def test_colors_of_one_picture_contrast() -> None:
    """No object hides in its background, in targets of edits either."""
    rng = random.Random(8)
    scenes = [sample_scene(rng) for _ in range(50)] + [sample_edit(rng).target for _ in range(50)]
    for scene in scenes:
        for thing in scene.objects:
            assert colors.distance(thing.color.rgb, scene.background.rgb) > colors.CONTRAST


def test_held_out_prompts_are_fixed_and_never_trained() -> None:
    """The held-out scenes are the same at every call, and none of them is in a training stream."""
    held = [*one_object(16).scenes, *two_objects(16).scenes, *(e.target for e in edits("swap", 4))]
    assert held[:16] == one_object(16).scenes
    trained = set()
    for seed in ("1", "2", "3", "4", "1:0", "2:0", "3:0", "4:0"):
        for rng in (random.Random(seed), random.Random(int(seed[0]))):
            trained |= {sample_scene(rng) for _ in range(200)}
    assert not trained & set(held)
