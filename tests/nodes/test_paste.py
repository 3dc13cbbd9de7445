"""What is pasted changes nothing where the mask is black, all where it is white, and fades between."""

from __future__ import annotations

import numpy as np
import pytest

from limner.engine.errors import InputError
from limner.engine.testing import FakeContext
from limner.nodes import Paste
from limner.nodes.sizes import PictureSizes
from limner.nodes.values import Image, Mask, Region

GENERATOR = np.random.default_rng(0)
ORIGINAL = Image(GENERATOR.integers(0, 256, (1, 100, 150, 3), dtype=np.uint8))


def ramp(width: int = 150, height: int = 100) -> Mask:
    """Black at the left, white at the right, greys between."""
    return Mask(np.tile(np.clip(np.linspace(-200, 455, width), 0, 255).astype(np.uint8), (height, 1)))


def test_black_keeps_every_pixel_and_white_none() -> None:
    """Each picture of a batch, scaled to the original where it is of another size."""
    images = Image(np.stack([np.full((96, 144, 3), shade, np.uint8) for shade in (0, 200)]))
    pasted = Paste().run(FakeContext(), images, ORIGINAL, ramp()).pixels
    kept, gone = ramp().values == 0, ramp().values == 255
    for picture, shade in zip(pasted, (0, 200), strict=True):
        np.testing.assert_array_equal(picture[kept], ORIGINAL.pixels[0][kept])
        assert (picture[gone] == shade).all()
    between = ~kept & ~gone
    share = ramp().values[between][:, None] / 255
    faded = ORIGINAL.pixels[0][between] * (1 - share) + 200 * share
    assert np.abs(pasted[1][between] - faded).max() < 3


def test_a_crop_goes_back_to_its_region() -> None:
    """Nothing outside of it changes, whatever the mask says there."""
    images = Image(np.full((1, 96, 144, 3), 200, np.uint8))
    mask = Mask(np.zeros((100, 150), np.uint8))
    mask.values[20:40, 30:60] = 255
    pasted = Paste().run(FakeContext(), images, ORIGINAL, mask, Region(15, 10, 90, 60)).pixels[0]
    assert (pasted[20:40, 30:60] == 200).all()
    np.testing.assert_array_equal(pasted[mask.values == 0], ORIGINAL.pixels[0][mask.values == 0])


def test_a_mask_of_another_shape_is_said() -> None:
    ctx = FakeContext()
    pasted = Paste().run(ctx, ORIGINAL, ORIGINAL, ramp(90, 90))
    assert np.abs(pasted.pixels.astype(int) - ORIGINAL.pixels).max() <= 2  # greys are mixed in whole numbers
    assert ctx.warnings == ["the mask is 90x90, and the picture 150x100: the mask is stretched"]


def test_there_is_one_original() -> None:
    two = Image(np.zeros((2, 100, 150, 3), np.uint8))
    with pytest.raises(InputError, match="there are 2 originals"):
        Paste().run(FakeContext(), ORIGINAL, two, ramp())


def test_the_size_is_the_originals() -> None:
    known = Paste().forecast("cpu", {"images": PictureSizes(((96, 96),) * 3), "original": PictureSizes(((100, 150),))})
    assert known is not None
    assert known.outputs == (PictureSizes(((100, 150),) * 3),)
