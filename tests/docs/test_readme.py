"""What the README shows is what Limner does."""

import json
import re
from pathlib import Path

import pytest

from limner.comfy.names import is_thin
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
    """Every node that is installed stands in a table, with its inputs and outputs; ComfyUI's on their own page."""
    pages = README, (ROOT / "docs" / "from-comfyui.md").read_text()
    tables = [[line for line in page.splitlines() if line.startswith("| `")] for page in pages]
    for node in Registry.installed().values():
        rows = tables[is_thin(node)]
        (row,) = [line for line in rows if f"`{node.name}`" in line.split("|")[1]]
        _, _, takes, gives, *_ = row.split("|")
        assert re.findall(r"`(\w+)`", takes) == list(node.inputs), node.name
        assert {port.name for port in node.outputs} <= set(re.findall(r"`(\w+)`", gives)), node.name


def test_the_checks_without_make_are_those_of_make() -> None:
    """What the README lists for those without make is what ``make check`` runs, in the same order."""
    recipe = (ROOT / "Makefile").read_text().partition("\ncheck:")[2].partition("\n\n")[0]
    tools = re.findall(r"\$\(BIN\)\)?/(.+)", recipe)
    shown = README.partition('pip install -e ".[dev]"\n')[2].partition("```")[0]
    assert [
        line.removeprefix("$ ").removeprefix("(cd typings && ").removesuffix(")") for line in shown.splitlines()
    ] == [tool.strip() for tool in tools]


def test_every_variable_that_is_read_is_documented() -> None:
    """docs/cli.md names each environment variable that Limner's code mentions."""
    page = (ROOT / "docs" / "cli.md").read_text()
    for folder in ("limner", "engine", "nodes", "graphs", "server"):
        for path in (ROOT / folder).rglob("*.py"):
            for name in re.findall(r'"((?:[A-Z]+_)+[A-Z]+)"', "\n".join(_lines_about_the_environment(path))):
                assert f"`{name}`" in page, f"{path.name} reads {name}"


def _lines_about_the_environment(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if "environ" in line or "envvar" in line]


@pytest.mark.parametrize(
    "page", sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("tiny/*.md")]), ids=str
)
def test_links_lead_somewhere(page: Path) -> None:
    """Every link to a file of the repository finds it."""
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
