"""Masks grow by discs and shrink back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from limner.engine.testing import FakeContext
from limner.nodes import GrowMask
from limner.nodes.values import Mask


def grow(values: NDArray[np.uint8], pixels: int) -> NDArray[np.uint8]:
    return GrowMask(pixels=pixels).run(FakeContext(), Mask(values)).values


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 15), st.integers(0, 2**32))
def test_each_pixel_is_the_brightest_around_it(height: int, width: int, radius: int, seed: int) -> None:
    """Within the radius, in greys, also where that is larger than the mask."""
    generator = np.random.default_rng(seed)
    values = generator.integers(0, 256, (height, width), dtype=np.uint8) * (generator.random((height, width)) < 0.2)
    rows, columns = np.ogrid[:height, :width]
    expected = [[values[np.hypot(rows - y, columns - x) <= radius].max() for x in range(width)] for y in range(height)]
    np.testing.assert_array_equal(grow(values.astype(np.uint8), radius), expected)


def test_shrinking_is_growing_what_is_black() -> None:
    """What touches the border of the picture does not shrink away from it."""
    values = np.zeros((20, 20), np.uint8)
    values[5:15, :10] = 255
    expected = np.zeros((20, 20), np.uint8)
    expected[8:12, :7] = 255
    np.testing.assert_array_equal(grow(values, -3)[:, :6], expected[:, :6])
    assert grow(values, -3)[10, 6] == 255
    assert grow(values, -3)[10, 7] == 0
    assert not grow(values, -30)[6:, 10:].any()


@pytest.mark.parametrize("pixels", [0, 3, -3])
def test_what_is_all_one_shade_stays(pixels: int) -> None:
    for shade in (0, 100, 255):
        values = np.full((4, 5), shade, np.uint8)
        np.testing.assert_array_equal(grow(values, pixels), values)
