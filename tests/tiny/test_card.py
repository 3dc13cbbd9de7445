"""The tables of the card stand between comments, and are replaced there."""

from pathlib import Path

import pytest

from limner.tiny.card import CARD, PAGE, put, rows, steps_row

ROW = {
    "success": 0.75,
    "shape": 0.9166,
    "position": 1.0,
    "iou": 0.9,
    "object_de": 13.71,
    "object_de_median": 8.06,
    "background_de": 1.7,
    "background_de_median": 1.74,
}


def test_rows_have_the_columns_of_the_head() -> None:
    """Sets without success leave it blank."""
    text = {name: value for name, value in ROW.items() if name != "success"}
    assert rows({"edit: move": ROW, "one object": text}) == [
        "| edit: move | 0.75 | 0.92 | 1.00 | 0.90 | 13.7 / 8.1 | 1.7 / 1.7 |",
        "| one object |  | 0.92 | 1.00 | 0.90 | 13.7 / 8.1 | 1.7 / 1.7 |",
    ]
    assert steps_row(4, {"one": ROW, "JSON": ROW}) == "| 4 | 0.92 / 0.92 | 8.1 / 8.1 | 1.7 / 1.7 |"


def test_what_is_around_a_table_stays(tmp_path: Path) -> None:
    """Only what is between the comments goes; a page without them is left as it is and named."""
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- edits -->\nold\n<!-- /edits -->\nb\n")
    put(page, "edits", ["new", "rows"])
    assert page.read_text() == "a\n<!-- edits -->\nnew\nrows\n<!-- /edits -->\nb\n"
    with pytest.raises(ValueError, match=r"page\.md has no <!-- figures -->"):
        put(page, "figures", ["x"])
    assert "figures" not in page.read_text()


@pytest.mark.parametrize(("path", "name"), [(CARD, "figures"), (CARD, "steps"), (PAGE, "edits")])
def test_the_pages_have_their_places(path: Path, name: str) -> None:
    """Else a measurement of many minutes ends in an error."""
    text = path.read_text()
    assert text.index(f"<!-- {name} -->\n") < text.index(f"<!-- /{name} -->\n")
