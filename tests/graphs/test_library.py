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


def test_each_template_has_a_picture(tmp_path: Path) -> None:
    """A small WebP that it drew; the user's own have none, also where they have the same name."""
    for template in GraphLibrary(own=tmp_path).templates():
        assert template.picture is not None, template.name
        assert template.picture[8:12] == b"WEBP"
        assert len(template.picture) < 64_000
    write(tmp_path / "text_to_image.json", TEXT)
    (own,) = (one for one in GraphLibrary(own=tmp_path).templates() if one.is_own)
    assert own.picture is None


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


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the user's own templates."""
    monkeypatch.setenv("LIMNER_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "graphs"


def test_own_templates_are_found_by_name(own: Path) -> None:
    """A file in the user's folder is a template, for sessions and for Graph nodes of any other graph."""
    path = write(own / "mine.json", TEXT)
    assert "mine" in GraphLibrary().names()
    assert GraphLibrary().path("mine") == path
    assert [node.id for node in Session().check("mine").nodes] == ["t"]
    assert [node.id for node in Session().check(using("mine")).nodes] == ["inner/t"]


def test_own_templates_name_each_other_and_files_beside_them(own: Path) -> None:
    """From a template of the user's, other templates are found by name and files by paths from its folder."""
    write(own / "parts" / "inner.json", TEXT)
    write(own / "middle.json", using("parts/inner.json"))
    write(own / "outer.json", using("middle"))
    assert [node.id for node in Session().check("outer").nodes] == ["inner/inner/t"]


def test_a_cycle_of_own_templates_is_named(own: Path) -> None:
    """Templates that contain each other are a fault that names them in order."""
    write(own / "day.json", using("night"))
    write(own / "night.json", using("day"))
    with pytest.raises(GraphError, match="contains itself: night -> day -> night"):
        Session().check("day")


def test_an_own_template_that_hides_one_is_said(own: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The user's template wins over the built-in one of its name, and the log says so, once."""
    path = write(own / "text_to_image.json", TEXT)
    for _ in range(2):
        assert GraphLibrary().load("text_to_image") == TEXT
    assert caplog.messages == [f"text_to_image is your own template, {path}; it hides the built-in one"]


def test_what_is_no_graph_file_is_no_template(own: Path) -> None:
    """Hidden files, folders and files with other endings have no name."""
    write(own / ".hidden.json", TEXT)
    write(own / "notes.txt", TEXT)
    (own / "folder.json").mkdir()
    assert not [template for template in GraphLibrary().templates() if template.is_own]


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"LIMNER_HOME": "/a", "XDG_DATA_HOME": "/b"}, "/a/graphs"),
        ({"LIMNER_HOME": "", "XDG_DATA_HOME": "/b"}, "/b/limner/graphs"),
        ({"LIMNER_HOME": "", "XDG_DATA_HOME": "b", "HOME": "/c"}, "/c/.local/share/limner/graphs"),
    ],
)
def test_where_own_templates_are(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], folder: str) -> None:
    """LIMNER_HOME wins over XDG_DATA_HOME, of which only an absolute path counts."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert GraphLibrary().own == Path(folder)
