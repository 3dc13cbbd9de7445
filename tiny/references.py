"""The six reference tasks: one or two pictures and a caption that says what to do with them."""

import random
from dataclasses import dataclass, replace
from typing import Literal, get_args

from limner.tiny import colors, words
from limner.tiny.captions import Caption, Mention
from limner.tiny.scenes import POSITIONS, Object, Scene, move, sample_scene
from limner.tiny.shapes import SHAPES

TaskName = Literal["background", "recolor", "swap", "move", "borrow_color", "borrow_background"]
TASKS: tuple[TaskName, ...] = get_args(TaskName)


@dataclass(frozen=True)
class Edit:
    """Reference scenes, the scene wanted, and the prompt that asks for it."""

    task: TaskName
    references: tuple[Scene, ...]
    target: Scene
    caption: Caption


@dataclass(frozen=True)
class Family:
    """Two source scenes and the targets of all six tasks: eight pictures that serve six edits."""

    first: Scene
    second: Scene
    targets: dict[TaskName, Scene]


def sample_family(rng: random.Random) -> Family:
    """Draw sources whose borrowed colours still contrast, and every edit of them."""
    while True:
        first, second = sample_scene(rng, 1), sample_scene(rng, 1)
        a, b = first.objects[0], second.objects[0]
        if _apart(b.color, first.background) and _apart(a.color, second.background):
            break
    other_shape = rng.choice([s for s in SHAPES if s != a.shape])
    other_place = rng.choice([p for p in POSITIONS if p != a.position])
    targets: dict[TaskName, Scene] = {
        "background": Scene(colors.sample(rng, (a.color.rgb, first.background.rgb)), (a,)),
        "recolor": _with(first, replace(a, color=colors.sample(rng, (a.color.rgb, first.background.rgb)))),
        "swap": _with(first, replace(a, shape=other_shape)),
        "move": _with(first, move(rng, a, other_place)),
        "borrow_color": _with(first, replace(a, color=b.color)),
        "borrow_background": Scene(second.background, (a,)),
    }
    return Family(first, second, targets)


def make_edit(rng: random.Random, family: Family, task: TaskName, noun: str | None = None) -> Edit:
    """Turn one task of a family into references, target and a freshly worded prompt; ``noun`` is what it calls it."""
    target = family.targets[task]
    two = task in ("borrow_color", "borrow_background")
    references = (family.first, family.second) if two else (family.first,)
    return Edit(task, references, target, word_edit(rng, task, family.first.objects[0], target, noun))


def sample_edit(rng: random.Random, task: TaskName | None = None) -> Edit:
    """Draw an edit of a fresh family."""
    chosen: TaskName = rng.choice(TASKS) if task is None else task
    return make_edit(rng, sample_family(rng), chosen)


def word_edit(rng: random.Random, task: TaskName, source: Object, target: Scene, noun: str | None = None) -> Caption:
    """Say what to do with "image 1" (and "image 2"); ``noun`` is what the object is called, by default any word."""
    result, ground = target.objects[0], target.background
    noun = noun or rng.choice((*words.SHAPE_WORDS[source.shape][:3], "shape", "object"))
    known = source.shape if noun not in ("shape", "object") else None
    color, place = result.color.word, rng.choice(words.PLACE_WORDS[result.position])
    swapped = rng.choice(words.SHAPE_WORDS[result.shape])
    templates: dict[TaskName, tuple[str, ...]] = {
        "background": (
            f"image 1 with a {ground.word} background",
            f"change the background of image 1 to {ground.word}",
            f"make the background of image 1 {ground.word}",
        ),
        "recolor": (
            f"make the {noun} of image 1 {color}",
            f"image 1 with the {noun} in {color}",
            f"change the color of the {noun} in image 1 to {color}",
        ),
        "swap": (
            f"replace the {noun} of image 1 with a {swapped}",
            f"turn the {noun} of image 1 into a {swapped}",
            f"swap the {noun} in image 1 for a {swapped}",
        ),
        "move": (
            f"move the {noun} of image 1 to the {place}",
            f"image 1 with the {noun} moved to the {place}",
            f"put the {noun} of image 1 at the {place}",
        ),
        "borrow_color": (
            f"image 1 with the {noun} in the color of image 2",
            f"give the {noun} of image 1 the color of the object in image 2",
        ),
        "borrow_background": (
            f"the {noun} of image 1 on the background of image 2",
            f"put the {noun} of image 1 on the background of image 2",
        ),
    }
    said = {
        "background": Caption("", background=ground.rgb),
        "recolor": Caption("", objects=(Mention(shape=known, rgb=result.color.rgb),)),
        "swap": Caption("", objects=(Mention(shape=result.shape),)),
        "move": Caption("", objects=(Mention(shape=known, position=result.position),)),
        "borrow_color": Caption("", objects=(Mention(shape=known),)),
        "borrow_background": Caption("", objects=(Mention(shape=known),)),
    }[task]
    return replace(said, text=rng.choice(templates[task]), task=task)


def _apart(a: colors.Color, b: colors.Color) -> bool:
    return colors.distance(a.rgb, b.rgb) > colors.CONTRAST


def _with(scene: Scene, thing: Object) -> Scene:
    return replace(scene, objects=(thing,))
