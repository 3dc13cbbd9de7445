"""A picture to work on is read as references are, without their limits; what is none is refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from limner.engine.errors import InputError
from limner.engine.testing import FakeContext
from limner.nodes import LoadImage
from limner.nodes.sizes import PictureSizes


def test_a_picture_is_read_as_it_looks(tmp_path: Path) -> None:
    """Turned as its EXIF says; of any shape; its size is known before."""
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    PIL.Image.new("RGB", (100, 8), "red").save(tmp_path / "a.jpg", exif=exif)
    node = LoadImage(file=str(tmp_path / "a.jpg"))
    assert list(node.problems()) == []
    assert node.run(FakeContext()).pixels.shape == (1, 100, 8, 3)
    assert node.forecast("cpu", {}).outputs == (PictureSizes(((8, 100),)),)


def test_a_picture_counts_by_content(tmp_path: Path) -> None:
    for name, color in (("a", "red"), ("b", "red"), ("c", "blue")):
        PIL.Image.new("RGB", (8, 8), color).save(tmp_path / f"{name}.png")
    first, same, other = (LoadImage(file=str(tmp_path / f"{name}.png")).fingerprint() for name in "abc")
    assert first == same != other


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("", "the path of a picture is required"),
        ("gone.png", "there is no file gone.png"),
        (" ", "the name of a picture is empty"),
        (".", ". is not a file"),
        ("page.png", "page.png is no picture that can be read: use PNG, JPEG or WebP"),
        ("*.png", "there is no file *.png"),
        ("a\0b", "'a\\x00b' is no path: embedded null byte"),
    ],
)
def test_what_is_none_is_found_before_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("page.png").write_text("<!doctype html>")
    assert list(LoadImage(file=file).problems()) == [("file", message)]


def test_a_broken_body_shows_when_it_is_read(tmp_path: Path) -> None:
    PIL.Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:-200])
    node = LoadImage(file=str(tmp_path / "a.png"))
    assert list(node.problems()) == []
    with pytest.raises(InputError, match=r"a\.png is damaged"):
        node.run(FakeContext())
