"""What a picture shows: one or two objects on a plain background, drawn at random."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from limner.tiny import colors
from limner.tiny.colors import Color
from limner.tiny.shapes import SHAPES

SIDE = 128  # pixels; 8 x 8 tokens

Size = Literal["small", "medium", "large"]
Texture = Literal["solid", "striped", "outlined"]

RADII: dict[Size, float] = {"small": 20.0, "medium": 30.0, "large": 40.0}
TEXTURES: tuple[Texture, ...] = ("solid", "striped", "outlined")
POSITIONS: dict[str, tuple[float, float]] = {
    "center": (64, 64),
    "left": (34, 64),
    "right": (94, 64),
    "top": (64, 34),
    "bottom": (64, 94),
    "top left": (34, 34),
    "top right": (94, 34),
    "bottom left": (34, 94),
    "bottom right": (94, 94),
}
# Two objects stand where they cannot touch: in opposite or neighbouring places off the centre.
PAIRS: tuple[tuple[str, str], ...] = (
    ("left", "right"),
    ("top", "bottom"),
    ("top left", "bottom right"),
    ("top right", "bottom left"),
    ("top left", "top right"),
    ("bottom left", "bottom right"),
    ("top left", "bottom left"),
    ("top right", "bottom right"),
)


@dataclass(frozen=True)
class Object:
    """One shape; ``x``, ``y`` and ``radius`` are pixels of a SIDE x SIDE picture."""

    shape: str
    color: Color
    size: Size = "medium"
    position: str = "center"
    texture: Texture = "solid"
    x: float = 64.0
    y: float = 64.0
    radius: float = 30.0

    @property
    def has_thin_parts(self) -> bool:
        """Whether parts of it are few pixels wide: their colours are lost first."""
        return self.size == "small" and self.texture != "solid"


@dataclass(frozen=True)
class Scene:
    """A plain background and the objects on it, in the order captions name them."""

    background: Color
    objects: tuple[Object, ...]


def place(rng: random.Random, thing: Object) -> Object:
    """Put an object where its words say, a little off, so that seeds differ and nothing is cut off."""
    radius = RADII[thing.size] * rng.uniform(0.96, 1.04)
    x, y = (c + rng.uniform(-2, 2) for c in POSITIONS[thing.position])
    return replace(thing, x=_inside(x, radius), y=_inside(y, radius), radius=radius)


def move(rng: random.Random, thing: Object, position: str) -> Object:
    """Put an object elsewhere and keep its exact size."""
    moved = place(rng, replace(thing, position=position))
    return replace(moved, x=_inside(moved.x, thing.radius), y=_inside(moved.y, thing.radius), radius=thing.radius)


def sample_object(
    rng: random.Random,
    background: Color,
    position: str,
    shapes: Sequence[str] = SHAPES,
    sizes: Sequence[Size] = ("small", "medium", "large"),
    apart_from: tuple[colors.Rgb, ...] = (),
) -> Object:
    """Draw an object that contrasts with the background."""
    texture = "solid" if rng.random() < 0.6 else rng.choice(TEXTURES[1:])
    color = colors.sample(rng, (background.rgb, *apart_from))
    return place(rng, Object(rng.choice(shapes), color, rng.choice(sizes), position, texture))


def sample_scene(rng: random.Random, count: int | None = None, shapes: Sequence[str] = SHAPES) -> Scene:
    """Draw a scene of ``count`` objects (by default one, or in 30 % two)."""
    background = colors.sample(rng)
    if count is None:
        count = 2 if rng.random() < 0.3 else 1
    if count == 1:
        position = "center" if rng.random() < 0.25 else rng.choice(list(POSITIONS))
        return Scene(background, (sample_object(rng, background, position, shapes),))
    first, second = rng.sample(rng.choice(PAIRS), 2)
    one = sample_object(rng, background, first, shapes, ("small", "medium"))
    two = sample_object(rng, background, second, shapes, ("small", "medium"))
    return Scene(background, (one, two))


def _inside(center: float, radius: float) -> float:
    return min(max(center, radius), SIDE - radius)
