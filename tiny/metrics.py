"""Measure a picture against the scene that was asked for: shape, place, colours."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cache

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from limner.tiny.colors import delta_e
from limner.tiny.render import distance_field, pixel_grid
from limner.tiny.scenes import POSITIONS, Object, Scene
from limner.tiny.shapes import ALL_SHAPES, templates

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

MASK_THRESHOLD = 40.0  # RGB distance from the background at which a pixel belongs to an object
LEAST_PIXELS = 40
LOST = 100.0  # dE of an object that is not there


@dataclass(frozen=True)
class Score:
    """One picture; object figures are means over its objects. Fractions are 0..1, ``*_de`` is CIE76."""

    shape: float
    position: float
    object_de: float
    iou: float
    background_de: float


@dataclass(frozen=True)
class Fit:
    """The template that a mask resembles most, and the mask's centre."""

    shape: str
    x: float
    y: float


@cache
def _cropped_templates() -> dict[str, Mask]:
    crops = {}
    for name, field in zip(ALL_SHAPES, templates()[:, 0].numpy(), strict=True):
        ys, xs = np.nonzero(field < 0)
        crops[name] = field[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1] < 0
    return crops


def fit(mask: Mask) -> Fit | None:
    """Match a mask with every template, stretched to its bounding box; None where there is next to nothing."""
    mask = _without_specks(mask)
    ys, xs = np.nonzero(mask)
    if len(xs) < LEAST_PIXELS:
        return None
    x0, x1, y0, y1 = xs.min(), xs.max() + 1, ys.min(), ys.max() + 1
    crop = mask[y0:y1, x0:x1]
    shape = max(ALL_SHAPES, key=lambda name: _likeness(crop, _cropped_templates()[name]))
    return Fit(shape, float(x0 + x1) / 2, float(y0 + y1) / 2)


def _without_specks(mask: Mask) -> Mask:
    """Drop pixels with fewer than five of nine neighbours set: lone pixels would blow the bounding box up."""
    padded = np.pad(mask, 1).astype(np.int64)
    near = sum(np.roll(padded, (dy, dx), (0, 1)) for dy in (-1, 0, 1) for dx in (-1, 0, 1))
    return np.asarray(mask & (np.asarray(near)[1:-1, 1:-1] >= 5), np.bool_)


def _likeness(crop: Mask, template: Mask) -> float:
    scaled = functional.interpolate(torch.tensor(template)[None, None].float(), size=crop.shape, mode="bilinear")
    other = scaled[0, 0].numpy() > 0.5
    aspect, asked = crop.shape[1] / crop.shape[0], template.shape[1] / template.shape[0]
    return _iou(crop, other) * float(min(aspect / asked, asked / aspect))


def _iou(a: Mask, b: Mask) -> float:
    return float((a & b).sum() / max((a | b).sum(), 1))


def measure(picture: npt.NDArray[np.uint8], scene: Scene) -> Score:
    """Score a (SIDE, SIDE, 3) picture against its scene."""
    pixels = picture.astype(np.float64)
    border = np.concatenate([pixels[:3].reshape(-1, 3), pixels[-3:].reshape(-1, 3)])
    sides = np.concatenate([pixels[:, :3].reshape(-1, 3), pixels[:, -3:].reshape(-1, 3)])
    background = np.median(np.concatenate([border, sides]), 0)
    mask = np.linalg.norm(pixels - background, axis=-1) > MASK_THRESHOLD
    background_de = delta_e(background, scene.background.rgb)
    parts = [_measure_object(pixels, mask & _territory(scene, k), thing) for k, thing in enumerate(scene.objects)]
    shape, position, object_de, iou = np.mean(parts, 0)
    return Score(float(shape), float(position), float(object_de), float(iou), background_de)


def _territory(scene: Scene, index: int) -> Mask:
    """Pixels nearer to one object's place than to any other's."""
    x, y = pixel_grid()
    squares = torch.stack([(x - o.x) ** 2 + (y - o.y) ** 2 for o in scene.objects])
    return np.asarray((squares.argmin(0) == index).numpy(), np.bool_)


def _measure_object(pixels: Floats, mask: Mask, thing: Object) -> tuple[float, float, float, float]:
    found = fit(mask)
    if found is None:
        return 0.0, 0.0, LOST, 0.0
    place = min(POSITIONS, key=lambda p: (POSITIONS[p][0] - found.x) ** 2 + (POSITIONS[p][1] - found.y) ** 2)
    true_mask = distance_field([thing])[0].numpy() < 0
    object_de = delta_e(fill_color(pixels[mask], thing), thing.color.rgb)
    return float(found.shape == thing.shape), float(place == thing.position), object_de, _iou(mask, true_mask)


def fill_color(pixels: Floats, thing: Object) -> Floats:
    """Median colour of an object, without its dark stripes or its black outline."""
    if thing.texture == "striped":
        pixels = pixels[pixels.sum(-1) >= np.median(pixels.sum(-1))]
    if thing.texture == "outlined":
        bright = pixels[pixels.sum(-1) > 0.5 * sum(thing.color.rgb)]
        pixels = bright if len(bright) > LEAST_PIXELS // 2 else pixels
    return np.asarray(np.median(pixels, 0), np.float64)


def summarize(scores: Sequence[Score]) -> dict[str, float]:
    """Means of every figure, and medians of the colour errors."""
    summary = {f.name: _mean(getattr(s, f.name) for s in scores) for f in fields(Score)}
    for name in ("object_de", "background_de"):
        summary[f"{name}_median"] = float(np.median([getattr(s, name) for s in scores]))
    return summary


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))
