"""The sheet of a sweep: each picture at the place that its labels say, and no sheet without end."""

from __future__ import annotations

import math

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ImageFont

from limner.engine.errors import InputError
from limner.engine.sweep import Axis
from limner.sheet_font import SYSTEM_FONTS, _has, sheet_font
from limner.sweep_layout import MAX_SIDE, SMALLEST, layout
from limner.sweep_sheet import Pixels, sweep_sheet


def axes_of(*sizes: int) -> list[Axis]:
    return [Axis(name, tuple(range(size))) for name, size in zip("abcdef", sizes, strict=False)]


def plain(value: int, size: tuple[int, int] = (64, 64)) -> Pixels:
    return np.full((*size, 3), value, dtype=np.uint8)


def greys(sheet: PIL.Image.Image) -> list[list[int]]:
    """The pictures' greys as they stand, row by row: every grey that fills an area, and is neither paper nor line."""
    pixels = np.asarray(sheet.convert("L")).astype(int)
    rows: list[list[int]] = []
    for line in pixels[::8]:
        found = [int(v) for v in line[::8] if 30 <= v <= 200]
        row = [v for i, v in enumerate(found) if found.count(v) >= 4 and v not in found[:i]]
        if row and (not rows or rows[-1] != row):
            rows.append(row)
    return rows


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ((3,), [[40, 50, 60]]),
        ((2, 3), [[40, 50, 60], [70, 80, 90]]),
        ((3, 2), [[40, 60, 80], [50, 70, 90]]),
        ((2, 1, 2), [[40, 50, 60, 70]]),
    ],
)
def test_pictures_stand_where_their_labels_say(sizes: tuple[int, ...], expected: list[list[int]]) -> None:
    """One axis fills a row, two are rows and columns with the longer one across, more are panels."""
    sheet = sweep_sheet("g", axes_of(*sizes), [plain(40 + 10 * i) for i in range(math.prod(sizes))])
    assert greys(sheet) == expected


def test_the_same_pictures_are_the_same_sheet() -> None:
    def draw() -> bytes:
        return sweep_sheet("g", axes_of(2, 2), [plain(40), "failed", plain(60), plain(70, (32, 64))]).tobytes()

    assert draw() == draw()


def test_what_is_missing_is_said_in_its_place() -> None:
    """A variant that failed has a box of its own, so that the others stay where they belong."""
    whole = sweep_sheet("g", axes_of(2), [plain(40), plain(50)])
    sheet = sweep_sheet("g", axes_of(2), [plain(40), "failed"])
    assert sheet.size == whole.size
    assert greys(sheet) == [[40]]
    assert sweep_sheet("g", axes_of(2), ["failed", "not run"]).width > 100


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=4).filter(lambda sizes: math.prod(sizes) <= 10_000))
def test_no_sheet_is_without_end(sizes: list[int]) -> None:
    """Whatever is swept, the pictures of a sheet take a bounded number of pixels, and every one has one place."""
    found = layout(axes_of(*sizes))
    count = math.prod(sizes)
    if found.panels:
        numbers = [number for panel in found.panels for row in panel.cells for number in row]
        across = found.across * len(found.panels[0].cells[0])
        down = math.ceil(len(found.panels) / found.across) * len(found.panels[0].cells)
        assert sorted(numbers) == list(range(count))
    else:
        across, down = found.across, math.ceil(count / found.across)
    assert found.side >= SMALLEST
    assert max(across, down) * found.side <= MAX_SIDE
    assert across * down >= count


def test_labels_are_short_of_their_room() -> None:
    """A long text is wrapped and cut: the sheet does not grow with it, and one of other scripts does no harm."""
    axes = [Axis("prompt", ("a word " * 200, "東京 🙂", "x" * 5000)), Axis("seed", (1, 2, 3, 4))]
    assert sweep_sheet("n" * 200, axes, [plain(40)] * 12).width < 2000
    assert sweep_sheet("g", axes[:1], [plain(40)] * 3).height < 700


def test_a_long_axis_runs_down() -> None:
    """Up to twelve values run across; of more, people see a row at once and scroll."""
    for sizes, shape in (((12, 2), (2, 12)), ((13, 2), (13, 2)), ((2, 13), (13, 2)), ((3, 3), (3, 3))):
        cells = layout(axes_of(*sizes)).panels[0].cells
        assert (len(cells), len(cells[0])) == shape


def test_other_letters_take_a_font_that_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """ASCII is always drawn alike; other letters by the first font that has them all, and where none does, by ours."""
    fonts = {SYSTEM_FONTS[1]: ImageFont.load_default(20), SYSTEM_FONTS[3]: ImageFont.load_default(30)}
    asked: list[str] = []
    monkeypatch.setattr("limner.sheet_font._system_font", lambda name, size: asked.append(name) or fonts.get(name))
    monkeypatch.setattr("limner.sheet_font._has", lambda font, letter: letter == "é" or font.size == 30)

    def chosen(*words: str) -> float:
        font = sheet_font(words, 14)
        assert isinstance(font, ImageFont.FreeTypeFont)
        return font.size

    assert chosen("abc", "1") == 14
    assert not asked
    assert chosen("a", "é") == 20
    assert chosen("é", "東") == 30
    del fonts[SYSTEM_FONTS[3]]
    assert chosen("é", "東") == 14


def test_letters_that_a_font_lacks_are_known() -> None:
    own = ImageFont.load_default(14)
    assert _has(own, "a")
    assert not _has(own, "東")


def test_too_many_pictures_are_refused() -> None:
    with pytest.raises(InputError, match="too many for one sheet"):
        sweep_sheet("g", axes_of(10_001), ["no picture"] * 10_001)
