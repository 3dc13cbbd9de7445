"""Pictures side by side: who is compared with whom, and what is said of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from limner.engine.errors import InputError
from limner.engine.offload import NONE
from limner.engine.testing import FakeContext
from limner.nodes import Compare, LoadModel, Quantize
from limner.nodes._flux2.loader import Flux2Loader
from limner.nodes.compare import Comparison
from limner.nodes.values import Image


def flat(*greys: int, side: int = 64) -> Image:
    """A batch of one picture a grey."""
    return Image(np.stack([np.full((side, side, 3), grey, dtype=np.uint8) for grey in greys]))


def compare(*images: Image, **settings: Any) -> Comparison:
    return Compare(**settings).run(FakeContext(), list(images))


def test_every_row_is_compared_with_the_first() -> None:
    """The first label is the reference; the others get PSNR of the mean error and mean SSIM over their pictures."""
    found = compare(flat(100, 50), flat(101, 50), flat(100, 50), labels=["full", "near", "same"])
    full, near, same = found.table.records()
    assert full == {"label": "full", "psnr_db": None, "ssim": pytest.approx(1)}
    assert near["label"] == "near"
    assert near["psnr_db"] == pytest.approx(51.1411)  # 10 log10(255^2 / 0.5)
    assert near["ssim"] == pytest.approx((1 + (2 * 100 * 101 + 2.55**2) / (100**2 + 101**2 + 2.55**2)) / 2)
    assert same == {"label": "same", "psnr_db": None, "ssim": pytest.approx(1)}


def test_labels_share_the_wires_in_order() -> None:
    """With four wires for two labels, the first two are the reference, whether pictures come alone or in batches."""
    for wires in ([flat(10), flat(20), flat(11), flat(21)], [flat(10, 20), flat(11, 21)]):
        _, other = compare(*wires, labels=["a", "b"]).table.records()
        assert other["psnr_db"] == pytest.approx(48.1308036)


def test_the_sheet_has_a_picture_a_wire_with_words_below() -> None:
    """Rows by label and columns in order; between the pictures the sheet is white, but for the words."""
    red, blue = flat(0), flat(0)
    red.pixels[..., 0], blue.pixels[..., 2] = 200, 200
    (sheet,) = compare(flat(0), red, flat(0), blue, labels=["a", "b"], width=64).sheet.pixels
    for channel, is_below in ((0, False), (2, True)):
        colour = np.zeros(3)
        colour[channel] = 200
        ys, xs = np.nonzero((sheet == colour).all(-1))
        assert len(ys) == 64 * 64
        assert xs.min() == 12 + 64 + 12
        assert (ys.mean() > sheet.shape[0] / 2) == is_below
    below = sheet[12 + 64 : 12 + 64 + 20, 12 : 12 + 64]
    assert below.min() < 60, "there are words"
    assert np.median(below) == 255


def test_headings_take_room_above() -> None:
    plain, headed = (
        compare(flat(0), flat(1), labels=["a", "b"], headings=headings).sheet.pixels.shape
        for headings in ([], ["a star " * 40])
    )
    assert headed[1] > plain[1]
    assert headed[2] == plain[2]


def test_pictures_are_drawn_at_the_width_that_is_set() -> None:
    """And compared at their own."""
    small, large = (compare(flat(0), flat(9), labels=["a", "b"], width=width) for width in (64, 256))
    assert large.sheet.pixels.shape[2] - small.sheet.pixels.shape[2] == 192
    assert large.table == small.table


@pytest.mark.parametrize(
    ("images", "settings", "message"),
    [
        ([flat(0), flat(0, side=32)], {}, "the pictures of b are 32x32, and those of a 64x64"),
        ([flat(0), flat(0, 1)], {}, "the pictures of b are 64x64, 64x64, and those of a 64x64"),
        ([flat(0, side=8), flat(0, side=8)], {}, "11 pixels a side"),
        ([flat(0), flat(0)], {"headings": ["x", "y"]}, "2 headings for 1 columns"),
    ],
)
def test_what_cannot_be_compared_is_refused(images: list[Image], settings: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        compare(*images, labels=["a", "b"], **settings)


def test_labels_that_do_not_fit_the_wires_are_faults() -> None:
    """Before anything runs."""
    node = Compare(labels=["a", "b"])
    assert list(node.problems({"images": 4})) == []
    ((setting, message),) = node.problems({"images": 3})
    assert (setting, message) == ("labels", "3 wires lead to images, and 2 labels cannot share them evenly")
    assert [message for _, message in Compare(labels=["a", "a"]).problems()] == ["two rows have the same label"]
    with pytest.raises(ValidationError):
        Compare(labels=[])


def test_the_bytes_of_the_models_are_those_in_memory() -> None:
    """Each row says what its model takes, as near as the loaded module has it; labels and models go together."""
    specs = [LoadModel().run(FakeContext()).transformer]
    specs += [Quantize(method=method).run(FakeContext(), specs[0]) for method in ("nf4", "layerwise-fp8")]
    node = Compare(labels=["full", "nf4", "fp8"])
    found = node.run(FakeContext(), [flat(0), flat(1), flat(2)], specs)
    for spec, row in zip(specs, found.table.records(), strict=True):
        loader = Flux2Loader()
        module = loader.load(spec, "cpu", NONE)
        assert row["weights_bytes"] == pytest.approx(loader.footprint(module, "cpu", NONE).held["cpu"], rel=0.05)
    assert [message for _, message in node.problems({"images": 3, "models": 2})] == [
        "2 wires lead to models, and there are 3 labels"
    ]
