"""Cutting out what lies around a mask, and pasting it back, as diffusers' inpainting does it."""

from __future__ import annotations

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from limner.engine.errors import InputError
from limner.nodes._flux2 import pipelines
from limner.nodes.values import Mask, Region


def crop_to_mask(
    image: NDArray[np.uint8], mask: Mask, padding: int, size: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], Region]:
    """What lies around a mask in a picture (H, W, 3), enlarged to ``size``, (width, height); and so is the mask.

    The region has the shape of ``size``, and ``padding`` pixels around the mask where there is room. Raises InputError
    for a mask that is black.
    """
    picture, greys = PIL.Image.fromarray(image), _fitted(mask, image.shape[1], image.shape[0])
    if not mask.values.any():
        raise InputError("the mask is black: there is nothing to cut out", hint="what is white is repainted")
    width, height = size
    box = pipelines.pictures.get_crop_region(greys, width, height, pad=padding)

    def enlarged(part: PIL.Image.Image) -> PIL.Image.Image:
        resized: PIL.Image.Image = pipelines.pictures.resize(part.crop(box), height, width, resize_mode="fill")
        return resized

    return np.array(enlarged(picture)), np.array(enlarged(greys).convert("L")), Region(*box)


def paste(
    image: NDArray[np.uint8], original: NDArray[np.uint8], mask: Mask, region: Region | None
) -> NDArray[np.uint8]:
    """``original`` (H, W, 3) with ``image`` over it where the mask is white, in its region or all over it."""
    below = PIL.Image.fromarray(original)
    above, greys = PIL.Image.fromarray(image), _fitted(mask, *below.size)
    if region is None:
        above = pipelines.overlays.resize(above, below.height, below.width)
    box = None if region is None else (region.left, region.top, region.right, region.bottom)
    return np.array(pipelines.overlays.apply_overlay(greys, below, above, box))


def _fitted(mask: Mask, width: int, height: int) -> PIL.Image.Image:
    greys = PIL.Image.fromarray(mask.values)
    if greys.size == (width, height):
        return greys
    resized: PIL.Image.Image = pipelines.overlays.resize(greys, height, width)
    return resized
