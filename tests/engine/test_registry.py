"""Node types by name: from classes, modules and a user's own files."""

from __future__ import annotations

from pathlib import Path

import pytest
from lab import Add, Start

from limner.engine.errors import InputError, NodeTypeError, suggest
from limner.engine.node import Node
from limner.engine.registry import Registry

GOOD = '''
from __future__ import annotations
from limner.engine.context import Context
from limner.engine.node import Node

class Mark:
    pass

class Stamp(Node):
    """Makes a mark."""
    def run(self, ctx: Context) -> Mark:
        return Mark()
'''


def test_adding_twice_is_adding_once() -> None:
    registry = Registry([Start, Add, Start])
    assert list(registry) == ["Start", "Add"]
    assert len(registry) == 2
    assert registry["Add"].cls is Add
    assert registry.get("Gone") is None


def test_two_types_of_one_name_clash() -> None:
    other = type("Start", (Node,), {"run": Start.run, "__module__": "elsewhere"})
    with pytest.raises(NodeTypeError, match="two node types are called Start"):
        Registry([Start, other])


def test_a_file_of_nodes(tmp_path: Path) -> None:
    """Its classes are added, hints resolved in the file; what it imports is not."""
    path = tmp_path / "mine.py"
    path.write_text(GOOD)
    registry = Registry()
    assert [found.name for found in registry.add_file(path)] == ["Stamp"]
    assert registry["Stamp"].outputs[0].name == "mark"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1 +", "SyntaxError"),
        ("raise KeyError('x')", "KeyError"),
        ("raise SystemExit(3)", "SystemExit"),
        ("import not_there_at_all", "ModuleNotFoundError"),
        ("x = 1", "defines no node"),
    ],
)
def test_a_file_that_is_no_good(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "bad.py"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        Registry().add_file(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        Registry().add_file(tmp_path / "gone.py")
    (tmp_path / "text.txt").write_text("")
    with pytest.raises(InputError, match="not a Python file"):
        Registry().add_file(tmp_path / "text.txt")


def test_a_broken_package_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One line says which package, why and how to remove it; all others are there, and nothing of the broken one."""
    broken = {
        "raises": "raise RuntimeError('two\\nlines')",
        "leaves": "raise SystemExit(3)",
        "half": GOOD + "\nclass Wrong(Node):\n    pass\n",
        "clashes": GOOD.replace("Stamp", "LoadModel"),
    }
    for name, content in (broken | {"zgood": GOOD}).items():
        (tmp_path / f"limner_test_{name}.py").write_text(content)
        folder = tmp_path / f"limner_test_{name}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: limner-test-{name}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(f"[limner.nodes]\n{name} = limner_test_{name}\n")
    monkeypatch.syspath_prepend(tmp_path)
    registry = Registry.installed()
    assert {"LoadModel", "Stamp"} <= set(registry)
    assert registry["Stamp"].cls.__module__ == "limner_test_zgood"
    assert "Wrong" not in registry
    assert len(caplog.messages) == len(broken)
    for name, message in zip(sorted(broken), sorted(caplog.messages), strict=True):
        assert f"limner-test-{name} are left out" in message
        assert f"pip uninstall limner-test-{name}" in message
        assert "\n" not in message


def test_suggestions() -> None:
    """The nearest name whatever its case; a short list where none is near; nothing where there is nothing."""
    assert suggest("denose", ["Denoise", "Text"]) == "did you mean Denoise?"
    assert suggest("xyz", ["Denoise", "Text"]) == "known: Denoise, Text"
    assert suggest("x", [f"name{i:02}" for i in range(20)]) == (
        "known: " + ", ".join(f"name{i:02}" for i in range(12)) + " and 8 more"
    )
    assert suggest("x", []) is None
