"""Templates of one's own: ``limner templates`` and ``limner new``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

TEXT = {"limner": 1, "name": "inner", "nodes": {"t": {"type": "Text"}}, "outputs": {"text": "t"}}


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the user's own templates."""
    monkeypatch.setenv("LIMNER_HOME", str(tmp_path / "home"))
    folder = tmp_path / "home" / "graphs"
    folder.mkdir(parents=True)
    return folder


def listed(limner: Any) -> dict[str, Any]:
    return {template["name"]: template for template in limner("templates", "--json").json}


def test_built_in_templates_have_no_faults(limner: Any) -> None:
    """What a template leaves to its parameters, such as a LoRA's file, is no fault of it."""
    assert len(listed(limner)) > 10
    assert not [name for name, template in listed(limner).items() if template["faults"]]


def test_own_templates_are_listed_with_where_they_are_from(limner: Any, own: Path) -> None:
    """The list says whose a template is, which file, and whether it hides another."""
    (own / "mine.json").write_text(json.dumps(TEXT))
    (own / "lora.json").write_text(json.dumps(TEXT))
    found = listed(limner)
    assert (found["mine"]["from"], found["mine"]["path"]) == ("yours", str(own / "mine.json"))
    assert [name for name, template in found.items() if template["hides_builtin"]] == ["lora"]
    assert found["text_to_image"]["from"] == "built-in"
    shown = {line.split()[0]: line for line in limner("templates").stdout.splitlines()}
    assert "yours, hides a built-in one" in shown["lora"]
    assert str(own) in limner("templates").stderr


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("{", "not JSON"),
        ("[]", "a graph is a JSON object"),
        ('{"limner": 99, "nodes": {}}', "format version 99"),
        ('{"limner": 1, "nodes": {"a": {"type": "Denose"}}}', "unknown node type Denose"),
        ('{"limner": 1, "nodes": {"a": {"type": "Graph", "settings": {"graph": "broken"}}}}', "contains itself"),
        ('{"limner": 1, "nodes": {"a": {"type": "Integer", "settings": {"value": "x"}}}}', "must be an integer"),
        ('{"limner": 1, "name": "\\u001b[31m", "nodes": {}}', "has control characters"),
    ],
)
def test_a_broken_one_is_listed_as_broken(limner: Any, own: Path, content: str, fault: str) -> None:
    """A file that is no sound graph is in the list with its fault, and hides none of the others."""
    (own / "broken.json").write_text(content)
    (own / "mine.json").write_text(json.dumps(TEXT))
    found = listed(limner)
    assert fault in found["broken"]["faults"][0]["message"]
    assert not found["mine"]["faults"]
    answer = limner("templates")
    assert answer.code == 0
    assert f"broken: {found['broken']['faults'][0]['message'][:10]}" in answer.stdout


def test_new_writes_a_template(limner: Any, own: Path) -> None:
    """``limner new NAME --from TEMPLATE --set`` makes a template under that name, and says where and what next."""
    answer = limner("new", "stars", "--from", "text_to_image", "--set", "prompt=a yellow star", "--set", "steps=3")
    assert (answer.code, answer.stdout) == (0, f"{own / 'stars.json'}\n")
    assert "limner run stars" in answer.stderr
    template = listed(limner)["stars"]
    assert template["parameters"]["prompt"]["default"] == "a yellow star"
    assert template["parameters"]["steps"]["default"] == 3
    assert limner("validate", "stars").stdout.startswith("✓ stars: 5 nodes")


def test_new_takes_what_is_not_complete_yet(limner: Any) -> None:
    """A template that needs a file is copied without one; only what --set makes wrong is a fault."""
    assert limner("new", "mine", "--from", "lora").code == 0
    answer = limner("new", "other", "--from", "lora", "--set", "steps=0", "--set", "stpes=2")
    assert answer.code == 2
    assert "steps: at least 1" in answer.stderr
    assert "stpes: lora has no such parameter" in answer.stderr
    assert "path: is required" not in answer.stderr
    assert not listed(limner).get("other")


def test_new_replaces_nothing(limner: Any, own: Path) -> None:
    """A name that is taken is refused, and the file stays as it was."""
    (own / "mine.json").write_text("mine")
    answer = limner("new", "mine", "--from", "text_to_image")
    assert answer.code == 2
    assert "is there already" in answer.stderr
    assert (own / "mine.json").read_text() == "mine"


@pytest.mark.parametrize(("arguments", "path"), [(["stars", "--here"], "stars.json"), (["a/stars"], "a/stars.json")])
def test_new_writes_elsewhere(limner: Any, own: Path, arguments: list[str], path: str) -> None:
    """With --here, or a path, the library is left alone."""
    assert limner("new", *arguments, "--from", "text_to_image").stdout == f"{path}\n"
    assert json.loads(Path(path).read_text())["name"] == "stars"
    assert not list(own.iterdir())


@pytest.mark.parametrize("name", ["", ".", "..", "a b", "a.b", "$HOME", "x" * 200, "-x"])
def test_names_are_checked(limner: Any, own: Path, name: str) -> None:
    """What is no plain name is refused, and nothing is written."""
    answer = limner("new", "--from", "text_to_image", "--", name)
    assert answer.code == 2
    assert not list(own.iterdir())


def test_a_name_that_is_too_long_says_so(limner: Any, own: Path) -> None:
    """The limit and the length are in the message; a name of that length passes."""
    answer = limner("new", "x" * 101, "--from", "text_to_image")
    assert "a name has at most 100 letters, and this one 101" in answer.stderr
    assert limner("new", "x" * 100, "--from", "text_to_image").code == 0


def test_new_from_a_picture(limner: Any, quick: Any) -> None:
    """The graph that a picture carries becomes a template that draws it again."""
    quick("text_to_image", "--set", "seed=3", "--out", "a.png")
    assert limner("new", "again", "--from", "a.png").code == 0
    assert listed(limner)["again"]["parameters"]["seed"]["default"] == 3
    assert limner("new", "no", "--from", "b.png").code == 2


def test_a_template_from_a_picture_replaces_no_file(limner: Any, quick: Any) -> None:
    """``--out`` made the picture's graph replace it; a template that was made from it must not."""
    quick("text_to_image", "--out", "star.png")
    before = Path("star.png").read_bytes()
    limner("new", "stars", "--from", "star.png")
    assert limner("run", "stars", "--set", "seed=8").stdout == "star-2.png\n"
    assert Path("star.png").read_bytes() == before


def test_new_keeps_graphs_that_are_named_by_path(limner: Any, tmp_path: Path) -> None:
    """A copy in another folder still finds the files that the original took as nodes."""
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "inner.json").write_text(json.dumps(TEXT))
    nodes = {"part": {"type": "Graph", "settings": {"graph": "parts/inner.json"}}}
    (tmp_path / "outer.json").write_text(json.dumps({"limner": 1, "name": "outer", "nodes": nodes}))
    assert limner("new", "copy", "--from", "outer.json").code == 0
    assert limner("validate", "copy").stdout == "✓ copy: 1 nodes, no faults\n"


def test_a_hidden_template_is_said_aloud(limner: Any) -> None:
    """Making a template that hides a built-in one says so, and so does running it."""
    assert "hides the built-in template lora" in limner("new", "lora", "--from", "text_to_image").stderr
