"""Finding graphs: by a template's name, by path, beside the graph that asks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from limner import GraphError, InputError, Session
from limner.graphs import GraphLibrary

TEXT = {"limner": 1, "name": "inner", "nodes": {"t": {"type": "Text"}}, "outputs": {"text": "t"}}


def write(path: Path, graph: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(graph))
    return path


def using(name: str) -> dict[str, object]:
    return {"limner": 1, "name": "outer", "nodes": {"inner": {"type": "Graph", "settings": {"graph": name}}}}


def test_templates_have_names() -> None:
    """Names are those of the files, sorted."""
    names = GraphLibrary().names()
    assert names == sorted(names)
    assert GraphLibrary().load("text_to_image")["name"] == "text_to_image"


def test_an_unknown_name_gets_the_nearest() -> None:
    """A misspelt template is answered with the one that was meant."""
    with pytest.raises(InputError, match="did you mean text_to_image"):
        GraphLibrary().load("texttoimage")


@pytest.mark.parametrize("name", ["graph", "graph.txt", "./graph", "graph.json"])
def test_any_file_name_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A graph file needs no ending."""
    monkeypatch.chdir(tmp_path)
    write(Path(name), TEXT)
    assert GraphLibrary().load(name) == TEXT


def test_a_template_wins_over_a_file_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bare name that is a template's means the template; ``./name`` means the file."""
    monkeypatch.chdir(tmp_path)
    write(Path("text_to_image"), TEXT)
    assert GraphLibrary().load("text_to_image")["name"] == "text_to_image"
    assert GraphLibrary().load("./text_to_image")["name"] == "inner"


@pytest.mark.parametrize("name", ["parts/inner.json", "./parts/inner.json"])
def test_paths_begin_at_the_graph_that_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A graph finds its parts beside itself, wherever it is started from."""
    outer = write(tmp_path / "project" / "outer.json", using(name))
    write(tmp_path / "project" / "parts" / "inner.json", TEXT)
    monkeypatch.chdir("/")
    assert [node.id for node in Session().check(outer).nodes] == ["inner/t"]


def test_paths_of_inner_graphs_begin_at_the_inner_graph(tmp_path: Path) -> None:
    """A part that has parts of its own finds them beside itself too."""
    outer = write(tmp_path / "outer.json", using("parts/middle.json"))
    write(tmp_path / "parts" / "middle.json", using("leaves/inner.json"))
    write(tmp_path / "parts" / "leaves" / "inner.json", TEXT)
    assert [node.id for node in Session().check(outer).nodes] == ["inner/inner/t"]


def test_a_graph_that_contains_itself_is_a_fault(tmp_path: Path) -> None:
    """A file that uses itself, by whatever path, is named as a cycle and never expanded for ever."""
    outer = write(tmp_path / "outer.json", using("./outer.json"))
    with pytest.raises(GraphError, match="contains itself"):
        Session().check(outer)


@pytest.mark.parametrize("name", ["../x", "%2e%2e/x.json", "..\\x", "a\0b.json", "~no_such_user/x.json", "x" * 5000])
def test_names_that_lead_nowhere_are_refused(name: str) -> None:
    """A trick in a name is at most a file that is not there."""
    with pytest.raises(InputError):
        GraphLibrary().load(name)
    with pytest.raises(GraphError):
        Session().check(using(name))
