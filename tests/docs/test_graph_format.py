"""The page about the format shows graphs that are right, and the same graph from Python."""

import json
import re
from pathlib import Path

import limner

PAGE = (Path(__file__).parents[2] / "docs" / "graph-format.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_graphs_on_the_page_are_right() -> None:
    """Each JSON example can be checked without a fault."""
    assert len(blocks("json")) >= 2
    for text in blocks("json"):
        limner.Session().check(json.loads(text))


def test_the_graph_of_graphs_is_the_same_from_python() -> None:
    """The Python example composes the JSON example."""
    (code,) = blocks("python")
    names: dict[str, limner.Graph] = {}
    exec(code, names)  # the example itself
    (shown,) = [document for text in blocks("json") if (document := json.loads(text))["name"] == "pair"]
    assert json.loads(names["graph"].document().to_json()) == shown
