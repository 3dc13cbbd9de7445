"""How alike two pictures are: PSNR and SSIM, as pure functions of pixels."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Plane = NDArray[np.float64]

PEAK: Final = 255.0
WINDOW: Final = 11
"""Side of the window in which SSIM compares, in pixels; pictures must not be smaller."""
_SIGMA = 1.5
_C1, _C2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2


def squared_error(a: Pixels, b: Pixels) -> float:
    """The mean squared difference of two pictures of one shape, over pixels and colours."""
    return float(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2))


def psnr_db(error: float) -> float:
    """Peak signal-to-noise ratio in decibels, 10 log10(255^2 / MSE), of a mean squared error; infinite for none."""
    return math.inf if error == 0 else 10 * math.log10(PEAK**2 / error)


def ssim(a: Pixels, b: Pixels) -> float:
    """Mean structural similarity of two pictures (H, W, 3): 1 for equal ones, and about 0 for unrelated ones.

    Wang, Bovik, Sheikh and Simoncelli, "Image Quality Assessment: From Error Visibility to Structural Similarity",
    IEEE Transactions on Image Processing 13(4), 2004: equation 13 on luma (ITU-R BT.601), a Gaussian window of 11 x 11
    with sigma 1.5 at every place where it fits, K1 = 0.01, K2 = 0.03. Raises ValueError for pictures that are smaller.
    """
    if min(a.shape[:2]) < WINDOW:
        raise ValueError(f"SSIM needs {WINDOW} pixels a side, not {a.shape[1]}x{a.shape[0]}")
    x, y = _luma(a), _luma(b)
    mean_x, mean_y = _blur(x), _blur(y)
    var_x, var_y = _blur(x * x) - mean_x**2, _blur(y * y) - mean_y**2
    covariance = _blur(x * y) - mean_x * mean_y
    likeness = (2 * mean_x * mean_y + _C1) * (2 * covariance + _C2)
    return float(np.mean(likeness / ((mean_x**2 + mean_y**2 + _C1) * (var_x + var_y + _C2))))


def _luma(picture: Pixels) -> Plane:
    red, green, blue = np.moveaxis(picture.astype(np.float64), -1, 0)
    luma: Plane = 0.299 * red + 0.587 * green + 0.114 * blue
    return luma


def _blur(plane: Plane) -> Plane:
    """Weighted means over the window: (H, W) -> (H - 10, W - 10). A Gaussian is one pass a direction."""
    offsets = np.arange(WINDOW) - WINDOW // 2
    weights = np.exp(-(offsets**2) / (2 * _SIGMA**2))
    weights /= weights.sum()
    for axis in (0, 1):
        plane = np.asarray(np.lib.stride_tricks.sliding_window_view(plane, WINDOW, axis) @ weights)
    return plane
