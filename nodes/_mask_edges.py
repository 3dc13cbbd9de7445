"""Growing and blurring masks, as arrays of greys."""

from __future__ import annotations

import math

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from PIL import ImageFilter


def grown(values: NDArray[np.uint8], radius: int) -> NDArray[np.uint8]:
    """Greys (H, W), each the brightest of those within ``radius``: a disc of that many pixels around.

    Row by row of the disc: the brightest of a stretch of pixels is the brighter of two stretches of half the length.
    """
    height, width = values.shape
    wide = np.pad(values, ((0, 0), (radius, radius)))
    stretches = [wide]  # the brightest of 1, 2, 4, ... pixels from each on
    while 2 ** len(stretches) <= 2 * radius + 1:
        last, step = stretches[-1], 2 ** (len(stretches) - 1)
        stretches.append(np.maximum(last[:, : last.shape[1] - step], last[:, step:]))
    result = values.copy()
    for down in range(-min(radius, height - 1), min(radius, height - 1) + 1):
        reach = math.isqrt(radius**2 - down**2)
        level = (2 * reach + 1).bit_length() - 1
        stretch, first = stretches[level], radius - reach
        second = first + 2 * reach + 1 - 2**level
        row = np.maximum(stretch[:, first : first + width], stretch[:, second : second + width])
        below, above = slice(max(0, down), height + min(0, down)), slice(max(0, -down), height + min(0, -down))
        np.maximum(result[below], row[above], out=result[below])
    return result


def blurred(values: NDArray[np.uint8], radius: float) -> NDArray[np.uint8]:
    """Greys (H, W), blurred with a Gaussian of that radius."""
    return np.array(PIL.Image.fromarray(values).filter(ImageFilter.GaussianBlur(radius)))
