"""What nodes write stays inside the run's folder."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab import DEVICES, Lab, Word, graph, node

from limner.engine.check import check
from limner.engine.context import Context
from limner.engine.errors import InputError
from limner.engine.node import Node
from limner.engine.output_folder import escapes, leads_out
from limner.engine.plan import make_plan

OUT = [
    "../a.txt",
    "a/../../b.txt",
    "/etc/a.txt",
    "~/a.txt",
    "..\\a.txt",
    "C:\\a.txt",
    "C:a.txt",
    "\\\\host\\a",
    "a\0.txt",
]


class Write(Node):
    """Writes its name into a file."""

    effect: ClassVar[bool] = True
    writes_to: ClassVar[frozenset[str]] = frozenset({"path"})
    path: str = "a.txt"

    def run(self, ctx: Context) -> str:
        path = Path(self.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("written")
        return self.path


def run(lab: Lab, raw: object, folder: Path) -> object:
    lab.add(Write)
    result = lab.executor.start(make_plan(check(raw, lab.registry), DEVICES), output_folder=folder).wait(20)
    assert result is not None
    return result


def test_a_path_is_taken_from_the_folder(lab: Lab, tmp_path: Path) -> None:
    """A relative path of a graph is one below the run's folder."""
    run(lab, graph({"w": node("Write", path="deep/er/a.txt")}), tmp_path)
    assert (tmp_path / "deep" / "er" / "a.txt").read_text() == "written"


@pytest.mark.parametrize("name", OUT)
def test_no_path_leads_out(lab: Lab, tmp_path: Path, name: str) -> None:
    """A path that leads out fails its node, and is found by looking at the graph; nothing is written."""
    raw = graph({"w": node("Write", path=name)})
    result = run(lab, raw, tmp_path / "inner")
    assert isinstance(result.failures["w"].cause, InputError)
    assert [fault.where for fault in escapes(check(raw, lab.registry))] == ["nodes.w.settings.path"]
    assert not list(tmp_path.rglob("*"))


def test_a_path_that_comes_on_a_wire_stays_inside_too(lab: Lab, tmp_path: Path) -> None:
    """What only running can tell is checked then."""
    raw = graph({"name": node("Word", text="../a.txt"), "w": node("Write", {"path": "name"})})
    assert Word.__name__ in lab.registry
    result = run(lab, raw, tmp_path / "inner")
    assert "leads out" in str(result.failures["w"])
    assert not list(escapes(check(raw, lab.registry)))


@given(st.text(alphabet="./\\~:aC\0", max_size=12))
def test_what_does_not_lead_out_is_inside(name: str) -> None:
    """No path made of the dangerous characters is passed and lies outside."""
    if not leads_out(name):
        assert Path("/folder", name).resolve().is_relative_to("/folder")
