"""PSNR and SSIM: the values of their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from limner.nodes._likeness import WINDOW, psnr_db, squared_error, ssim

RANDOM = np.random.default_rng(7)


def noise(height: int = 24, width: int = 17) -> np.ndarray:
    return RANDOM.integers(0, 256, (height, width, 3), dtype=np.uint8)


def grey(value: int, side: int = 16) -> np.ndarray:
    return np.full((side, side, 3), value, dtype=np.uint8)


@pytest.mark.parametrize(
    ("a", "b", "error", "decibels"),
    [(0, 255, 65025.0, 0.0), (100, 101, 1.0, 48.1308036), (100, 110, 100.0, 28.1308036), (9, 9, 0.0, math.inf)],
)
def test_psnr_of_flat_pictures(a: int, b: int, error: float, decibels: float) -> None:
    """10 log10(255^2 / MSE): 0 dB for black and white, 48.13 dB for one step, 20 dB less for ten; infinite for none."""
    assert squared_error(grey(a), grey(b)) == error
    assert psnr_db(error) == pytest.approx(decibels)


def test_an_error_in_one_colour_of_one_pixel_is_a_share_of_all() -> None:
    a, b = grey(50), grey(50)
    b[3, 4, 1] += 12
    assert squared_error(a, b) == pytest.approx(144 / (16 * 16 * 3))


def test_equal_pictures_are_wholly_alike() -> None:
    """SSIM of a picture with itself is 1, and swapping two pictures changes nothing."""
    a, b = noise(), noise()
    assert ssim(a, a) == pytest.approx(1.0)
    assert ssim(a, b) == pytest.approx(ssim(b, a))
    assert -0.2 < ssim(a, b) < 0.2


@pytest.mark.parametrize(("a", "b"), [(0, 255), (100, 110), (30, 200)])
def test_ssim_of_flat_pictures_compares_their_light(a: int, b: int) -> None:
    """Without structure only luminance counts: (2ab + C1) / (a^2 + b^2 + C1), C1 = (0.01 * 255)^2."""
    c1 = 2.55**2
    assert ssim(grey(a), grey(b)) == pytest.approx((2 * a * b + c1) / (a * a + b * b + c1))


def test_ssim_is_that_of_its_definition() -> None:
    """Window by window with plain sums, as equation 13 of the paper says it."""
    a, b = noise(), noise() // 2 + 40
    weights = np.array([[math.exp(-(y * y + x * x) / 4.5) for x in range(-5, 6)] for y in range(-5, 6)])
    weights /= weights.sum()
    c1, c2 = 2.55**2, 7.65**2
    luma = [0.299 * p[..., 0] + 0.587 * p[..., 1] + 0.114 * p[..., 2] for p in (a.astype(float), b.astype(float))]
    values = []
    for top in range(24 - WINDOW + 1):
        for left in range(17 - WINDOW + 1):
            x, y = (plane[top : top + WINDOW, left : left + WINDOW] for plane in luma)
            mx, my = (weights * x).sum(), (weights * y).sum()
            vx, vy = (weights * (x - mx) ** 2).sum(), (weights * (y - my) ** 2).sum()
            covariance = (weights * (x - mx) * (y - my)).sum()
            values.append((2 * mx * my + c1) * (2 * covariance + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2)))
    assert ssim(a, b) == pytest.approx(np.mean(values))


def test_a_picture_smaller_than_the_window_is_refused() -> None:
    with pytest.raises(ValueError, match="11 pixels a side, not 10x30"):
        ssim(noise(30, 10), noise(30, 10))
