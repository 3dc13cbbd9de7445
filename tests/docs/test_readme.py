"""What the README shows is what Limner does."""

import json
import re
from pathlib import Path

import pytest

from limner.engine.graph import Graph
from limner.engine.registry import Registry

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def test_python_and_json_are_the_same_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python example writes the JSON example."""
    monkeypatch.chdir(tmp_path)
    composed, _, _ = block("python").partition("\nrun(")
    exec(composed, {})  # the example itself, without its run
    assert json.loads((tmp_path / "star.json").read_text()) == json.loads(block("json"))
    assert Graph.load(tmp_path / "star.json").document().name == "star"


def test_the_table_of_nodes_is_complete() -> None:
    """Every node that is installed stands in the table, with its inputs and outputs."""
    rows = [line for line in README.splitlines() if line.startswith("| `")]
    for node in Registry.installed().values():
        (row,) = [line for line in rows if f"`{node.name}`" in line.split("|")[1]]
        _, _, takes, gives, *_ = row.split("|")
        assert re.findall(r"`(\w+)`", takes) == list(node.inputs), node.name
        assert {port.name for port in node.outputs} <= set(re.findall(r"`(\w+)`", gives)), node.name


@pytest.mark.parametrize(
    "page", sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("tiny/*.md")]), ids=str
)
def test_links_lead_somewhere(page: Path) -> None:
    """Every link to a file of the repository finds it."""
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
