"""docs/references.md: its figures are those of the model's card, and its graph is one."""

from __future__ import annotations

import json
from pathlib import Path

from limner import Session

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "references.md").read_text()


def test_the_figures_are_those_of_the_card() -> None:
    """Who trains the embedded model again takes the rows along."""
    rows = [line for line in PAGE.splitlines() if line.startswith("| edit: ")]
    card = (ROOT / "tiny" / "README.md").read_text().splitlines()
    assert len(rows) == 6
    assert rows == [line for line in card if line.startswith("| edit: ")]


def test_the_graph_with_a_crop_is_sound(tmp_path: Path) -> None:
    """In place of the same nodes of the template ``inpaint``."""
    import PIL.Image

    PIL.Image.new("L", (64, 64), 255).save(tmp_path / "a.png")
    nodes = json.loads("{" + PAGE.partition("```json\n")[2].partition("```")[0] + "}")
    graph = json.loads((ROOT / "graphs" / "inpaint.json").read_text())
    graph["nodes"] |= nodes
    path = str(tmp_path / "a.png")
    assert Session().check(graph, {"image": path, "mask": path}).nodes
