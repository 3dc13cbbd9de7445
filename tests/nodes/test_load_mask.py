"""Masks are read from brightness or transparency, whatever the kind of file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from limner.engine.errors import InputError
from limner.engine.testing import FakeContext
from limner.nodes import LoadMask

GREYS = np.linspace(0, 255, 12 * 9).reshape(9, 12).astype(np.uint8)
"""A ramp, 12 wide and 9 high."""


def load(path: Path, **settings: Any) -> Any:
    return LoadMask(file=str(path), **settings).run(FakeContext()).values


@pytest.mark.parametrize(("kind", "mode"), [("PNG", "L"), ("PNG", "RGB"), ("PNG", "RGBA"), ("PNG", "LA"), ("PNG", "P")])
def test_white_is_repainted(tmp_path: Path, kind: str, mode: str) -> None:
    """Every shade is kept; an alpha channel in which nothing is transparent does not count."""
    PIL.Image.fromarray(GREYS).convert(mode).save(tmp_path / "mask", kind)
    np.testing.assert_array_equal(load(tmp_path / "mask"), GREYS)
    np.testing.assert_array_equal(load(tmp_path / "mask", invert=True), 255 - GREYS)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_other_files_are_read_too(tmp_path: Path, kind: str) -> None:
    PIL.Image.fromarray(GREYS).convert("RGB").save(tmp_path / "mask", kind, quality=100)
    assert np.abs(load(tmp_path / "mask").astype(int) - GREYS).max() < 8


def test_two_shades_and_sixteen_bits(tmp_path: Path) -> None:
    PIL.Image.fromarray(GREYS > 99).save(tmp_path / "two.png")
    np.testing.assert_array_equal(load(tmp_path / "two.png"), np.where(GREYS > 99, 255, 0))
    PIL.Image.fromarray(GREYS.astype(np.uint16) * 256).save(tmp_path / "deep.png")
    np.testing.assert_array_equal(load(tmp_path / "deep.png"), GREYS)


def test_what_was_erased_is_repainted(tmp_path: Path) -> None:
    """Where anything is transparent, transparency is the mask, unless brightness is asked for."""
    picture = PIL.Image.new("RGBA", (12, 9), "white")
    picture.putalpha(PIL.Image.fromarray(GREYS))
    picture.save(tmp_path / "erased.png")
    for channel in ("auto", "alpha"):
        np.testing.assert_array_equal(load(tmp_path / "erased.png", channel=channel), 255 - GREYS)
    assert (load(tmp_path / "erased.png", channel="grey") == 255).all()


def test_a_mask_is_turned_like_its_picture(tmp_path: Path) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    PIL.Image.fromarray(GREYS).save(tmp_path / "mask.png", exif=exif)
    assert load(tmp_path / "mask.png").shape == (12, 9)


def test_no_alpha_is_said(tmp_path: Path) -> None:
    PIL.Image.fromarray(GREYS).save(tmp_path / "mask.png")
    with pytest.raises(InputError, match=r"mask\.png has no alpha channel") as caught:
        load(tmp_path / "mask.png", channel="alpha")
    assert caught.value.hint == "set channel to grey"


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "there is no file "), (b"", "is no picture"), (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "is damaged")],
    ids=["gone", "empty", "cut"],
)
def test_what_is_none_is_found_before_running(tmp_path: Path, content: bytes | None, message: str) -> None:
    """Named, with the setting that is wrong."""
    path = tmp_path / "mask.png"
    if content is not None:
        path.write_bytes(content)
    ((setting, said),) = LoadMask(file=str(path)).problems()
    assert setting == "file"
    assert str(path) in said
    assert message in said
    assert list(LoadMask().problems()) == [("file", "the path of a mask is required")]


def test_masks_count_by_content(tmp_path: Path) -> None:
    PIL.Image.fromarray(GREYS).save(tmp_path / "mask.png")
    first = LoadMask(file=str(tmp_path / "mask.png")).fingerprint()
    PIL.Image.fromarray(255 - GREYS).save(tmp_path / "mask.png")
    assert LoadMask(file=str(tmp_path / "mask.png")).fingerprint() != first
