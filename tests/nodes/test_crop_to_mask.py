"""What lies around a mask is cut out in the shape of the picture, from all of its pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from limner.engine.errors import InputError
from limner.engine.testing import FakeContext
from limner.nodes import CropToMask
from limner.nodes.sizes import PictureSizes
from limner.nodes.values import Image, Mask, Region


def spot(width: int, height: int, *box: int) -> Mask:
    values = np.zeros((height, width), np.uint8)
    left, top, right, bottom = box
    values[top:bottom, left:right] = 255
    return Mask(values)


def black(width: int, height: int, count: int = 1) -> Image:
    return Image(np.zeros((count, height, width, 3), np.uint8))


def test_the_crop_has_the_pictures_shape_and_size() -> None:
    """As far around the mask as was asked for, and then as far as the shape needs."""
    picture = black(200, 100)
    picture.pixels[0, 40:60, 90:110] = 255
    crop = CropToMask(padding=5).run(FakeContext(), picture, spot(200, 100, 90, 40, 110, 60))
    assert crop.region == Region(70, 35, 130, 65)
    assert crop.image.pixels.shape == (1, 96, 192, 3)
    assert crop.mask.values.shape == (96, 192)
    white = crop.image.pixels[0, ..., 0] > 127
    np.testing.assert_array_equal(white, crop.mask.values > 127)
    assert white.sum() == pytest.approx(192 * 96 * (20 / 60) * (20 / 30), rel=0.05)


def test_a_large_picture_is_cut_from_all_of_its_pixels() -> None:
    """Not from what it is scaled down to: a small thing keeps its detail."""
    crop = CropToMask(padding=0).run(FakeContext(), black(2000, 1500), spot(2000, 1500, 10, 10, 50, 40))
    assert crop.region == Region(10, 10, 50, 40)
    assert crop.image.pixels.shape == (1, 880, 1168, 3)
    known = CropToMask().forecast("cpu", {"image": PictureSizes(((2000, 1500),))})
    assert known is not None
    assert known.outputs[0] == PictureSizes(((1168, 880),))


def test_the_cut_may_have_a_size_of_its_own() -> None:
    """That which the model was trained for; the region then has its shape."""
    node = CropToMask(padding=0, width=128, height=128)
    crop = node.run(FakeContext(), black(300, 200), spot(300, 200, 100, 50, 140, 70))
    assert crop.region == Region(100, 40, 140, 80)
    assert crop.image.pixels.shape == (1, 128, 128, 3)
    known = node.forecast("cpu", {"image": PictureSizes(((300, 200),))})
    assert known is not None
    assert known.outputs[0] == PictureSizes(((128, 128),))


def test_a_mask_of_another_shape_is_said() -> None:
    ctx = FakeContext()
    crop = CropToMask(padding=0).run(ctx, black(100, 100), spot(50, 100, 0, 0, 25, 50))
    assert (crop.region.left, crop.region.top) == (0, 0)
    assert 50 <= crop.region.right == crop.region.bottom < 60  # scaling softens the edge
    assert ctx.warnings == ["the mask is 50x100, and the picture 100x100: the mask is stretched"]


@pytest.mark.parametrize(
    ("image", "mask", "message"),
    [
        (black(64, 64), spot(64, 64, 0, 0, 0, 0), "the mask is black"),
        (black(64, 64, 2), spot(64, 64, 0, 0, 9, 9), "there are 2 pictures"),
    ],
)
def test_what_cannot_be_cut_is_refused(image: Any, mask: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        CropToMask().run(FakeContext(), image, mask)
