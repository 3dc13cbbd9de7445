"""The held-out prompts: fixed by name, drawn from generators that no training stage uses."""

import random
from dataclasses import dataclass

from limner.tiny.captions import describe
from limner.tiny.references import TASKS, Edit, TaskName, sample_edit
from limner.tiny.scenes import Scene, sample_scene
from limner.tiny.shapes import HELD_OUT


@dataclass(frozen=True)
class Prompts:
    """Scenes and a prompt for each."""

    scenes: list[Scene]
    texts: list[str]


def _generator(name: str) -> random.Random:
    # Training seeds are "number:step" or small numbers (see loop.py, latents.py): these can never be among them.
    return random.Random(f"held-out {name}")


def _prompts(name: str, scenes: list[Scene], style: str) -> Prompts:
    rng = _generator(f"{name} captions")
    return Prompts(scenes, [describe(rng, scene, style, full=True).text for scene in scenes])


def one_object(count: int) -> Prompts:
    """Plain prompts that say everything about one object."""
    rng = _generator("one object")
    return _prompts("one object", [sample_scene(rng, 1) for _ in range(count)], "plain")


def one_object_json(count: int) -> Prompts:
    """The scenes of ``one_object``, asked for in the JSON form."""
    return _prompts("json", one_object(count).scenes, "json")


def two_objects(count: int) -> Prompts:
    """Plain prompts about two objects."""
    rng = _generator("two objects")
    return _prompts("two objects", [sample_scene(rng, 2) for _ in range(count)], "plain")


def new_concept(count: int) -> Prompts:
    """Plain prompts about the shape that is never trained."""
    rng = _generator("new concept")
    return _prompts("new concept", [sample_scene(rng, 1, HELD_OUT) for _ in range(count)], "plain")


def edits(task: TaskName, count: int) -> list[Edit]:
    """Edits of one reference task."""
    assert task in TASKS
    rng = _generator(f"edit {task}")
    return [sample_edit(rng, task) for _ in range(count)]
