"""``limner.sweep``: every combination once, whatever happens in between."""

from __future__ import annotations

import gc
import json
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import PIL.Image
import pytest
from pydantic import Field

import limner
from limner import Context, GraphError, InputError, Session
from limner.engine.node import Keep, Node
from limner.engine.plan import Plan
from limner.engine.registry import Registry
from limner.engine.result import Result
from limner.engine.sweep import Axis
from limner.new_sweep import make_sweep
from limner.nodes import NODES
from limner.nodes.values import Image
from limner.sweep_row import Row
from limner.sweeps import Shared, Sweep


class Word(Node):
    """Stands for what is dear and shared: a prompt that is encoded."""

    keep: ClassVar[Keep] = "disk"
    text: str = "word"

    def run(self, ctx: Context) -> str:
        return self.text


class Paint(Node):
    """Stands for what draws: a grey that depends on everything."""

    keep: ClassVar[Keep] = "disk"
    seed: int = Field(default=0, ge=0, le=200)
    strength: float = Field(default=1.0, ge=0, le=1)

    def run(self, ctx: Context, word: str) -> Image:
        if self.seed == 13:
            raise InputError("seed 13 brings bad luck")
        grey = self.seed + len(word)
        return Image(np.full((1, 64, 64, 3), round(grey * self.strength), dtype=np.uint8))


GRAPH: dict[str, Any] = {
    "limner": 1,
    "name": "painted",
    "parameters": {"text": "word.text", "seed": "paint.seed", "strength": "paint.strength", "path": "save.path"},
    "nodes": {
        "word": {"type": "Word"},
        "paint": {"type": "Paint", "wires": {"word": "word"}},
        "save": {"type": "SaveImage", "wires": {"images": "paint"}, "settings": {"path": "p.png"}},
    },
    "outputs": {"image": "paint"},
}

REGISTRY = Registry([*NODES, Word, Paint])
New = Callable[..., Session]


@pytest.fixture
def new(tmp_path: Path) -> Iterator[New]:
    """Sessions that share a disk cache, as processes of one user do."""
    sessions = []

    def make(**options: Any) -> Session:
        sessions.append(Session(registry=REGISTRY, **({"cache_dir": tmp_path / "kept"} | options)))
        return sessions[-1]

    yield make
    for session in sessions:
        session.close()


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """What the fake nodes did, in order."""
    log: list[tuple[str, Any]] = []
    for cls, name in ((Word, "text"), (Paint, "seed")):

        def run(self: Any, ctx: Context, *, _old: Any = cls.run, _name: str = name, **wires: Any) -> Any:
            log.append((type(self).__name__, getattr(self, _name)))
            return _old(self, ctx, **wires)

        monkeypatch.setattr(cls, "run", run)
    return log


def grey_of(path: str) -> int:
    with PIL.Image.open(path) as image:
        return int(np.asarray(image)[0, 0, 0])


def test_every_combination_is_a_file_and_a_row(new: New) -> None:
    """Rows come as they are done; the table has them in the order of the product, and files are called after them."""
    sweep = limner.sweep(GRAPH, {"seed": range(3), "text": ["ab", "abcd"]}, session=new(), strength=0.5)
    assert len(sweep) == 6
    seen = [(row.values["seed"], row.values["text"], grey_of(row.files[0])) for row in sweep]
    assert sorted(seen) == [(s, t, round((s + len(t)) / 2)) for s in range(3) for t in ("ab", "abcd")]
    assert [row.files for row in sweep.rows[:3]] == [
        ("p-seed=0-text=ab.png",),
        ("p-seed=0-text=abcd.png",),
        ("p-seed=1-text=ab.png",),
    ]
    assert {row.state for row in sweep.rows} == {"done"}
    assert sweep.table().columns == ("seed", "text", "file", "state", "error")


def test_what_is_shared_runs_once(new: New, ran: list[Any]) -> None:
    """Each text is made once for all seeds, and what stands early in the graph varies slowest."""
    limner.sweep(GRAPH, {"seed": [1, 2], "text": ["a", "bb"]}, session=new()).run()
    assert ran == [("Word", "a"), ("Paint", 1), ("Paint", 2), ("Word", "bb"), ("Paint", 1), ("Paint", 2)]


def test_what_is_done_is_not_run_again(new: New, ran: list[Any]) -> None:
    """Another process runs only what is missing or was changed, and table and sheet are the same bytes."""
    over = {"seed": [1, 2, 3]}
    first = limner.sweep(GRAPH, over, session=new())
    table, sheet = first.table().to_bytes(), first.grid().tobytes()
    Path("p-seed=2.png").unlink()
    Path("p-seed=3.png").write_bytes(b"something else")
    ran.clear()
    again = limner.sweep(GRAPH, over | {"seed": [1, 2]}, session=new())
    assert [(row.seconds, row.result is None) for row in again] == [(None, True), (None, False)]
    assert ran == []  # the picture was in the cache, only its file was not there
    Path("p-seed=3.png").unlink()
    last = limner.sweep(GRAPH, over, session=new())
    assert (last.table().to_bytes(), last.grid().tobytes()) == (table, sheet)


def test_a_file_of_others_is_not_replaced(new: New) -> None:
    """A name that is taken is left alone, also by one picture of the same sweep with another setting."""
    Path("p-seed=1.png").write_bytes(b"mine")
    limner.sweep(GRAPH, {"seed": [1]}, session=new()).run()
    sweep = limner.sweep(GRAPH, {"seed": [1]}, session=new(), strength=0.5)
    assert sweep.run()[0].files == ("p-seed=1-3.png",)
    assert Path("p-seed=1.png").read_bytes() == b"mine"


def test_a_picture_whose_writing_was_not_noted_is_found(new: New, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is killed between writing a picture and noting it leaves no second copy."""
    with monkeypatch.context() as patch:
        patch.setattr("limner.sweep_records.Records.keep", lambda *arguments: None)
        limner.sweep(GRAPH, {"seed": [1]}, session=new()).run()
    (row,) = limner.sweep(GRAPH, {"seed": [1]}, session=new()).run()
    assert (row.files, row.result) == (("p-seed=1.png",), None)
    assert [path.name for path in Path().glob("p*.png")] == ["p-seed=1.png"]


def test_without_a_disk_cache_nothing_is_taken_from_files(new: New, ran: list[Any]) -> None:
    for _ in range(2):
        limner.sweep(GRAPH | {"nodes": overwriting()}, {"seed": [1]}, session=new(cache_dir=None)).run()
    assert ran.count(("Paint", 1)) == 2


def overwriting() -> dict[str, Any]:
    nodes: dict[str, Any] = json.loads(json.dumps(GRAPH["nodes"]))
    nodes["save"]["settings"]["overwrite"] = True
    return nodes


def test_a_variant_that_fails_does_not_stop_the_others(new: New) -> None:
    """Its row says why, and is a box on the sheet; the next sweep tries it again."""
    sweep = limner.sweep(GRAPH, {"seed": [12, 13, 14]}, session=new())
    assert [row.state for row in sweep] == ["done", "failed", "done"]
    assert sweep.rows[1].error == "paint (Paint) failed: seed 13 brings bad luck"
    assert [row["state"] for row in sweep.table().records()] == ["done", "failed", "done"]
    assert sweep.grid().width > 3 * 64
    again = limner.sweep(GRAPH, {"seed": [12, 13, 14]}, session=new())
    assert [row.result is None for row in again] == [True, False, True]


def test_a_picture_replays_alone(new: New) -> None:
    """What a picture carries is its own plain graph, with no trace of the others."""
    from limner.picture_graph import graph_inside

    limner.sweep(GRAPH, {"seed": [1, 2], "text": ["a", "bb"]}, session=new(), strength=0.5).run()
    document, _ = graph_inside(Path("p-seed=2-text=bb.png"))
    assert {name: node.settings for name, node in document.nodes.items()} == {
        "word": {"text": "bb"},
        "paint": {"seed": 2, "strength": 0.5},
        "save": {"path": "p-seed=2-text=bb.png"},
    }
    (files,) = new(cache_dir=None).run(document, path="again.png").outputs["save"].values()
    assert grey_of(files.paths[0]) == grey_of("p-seed=2-text=bb.png") == 2


def test_a_graph_in_a_graph_is_swept_by_its_parameters(new: New, ran: list[Any]) -> None:
    """The parameters of a Graph node vary like settings, and the picture carries the graph without it."""
    from limner.picture_graph import graph_inside

    Path("painted.json").write_text(json.dumps(GRAPH))
    outer = {
        "limner": 1,
        "parameters": {"seed": "inner.seed"},
        "nodes": {
            "inner": {"type": "Graph", "settings": {"graph": "painted.json"}},
            "save": {"type": "SaveImage", "wires": {"images": "inner.image"}, "settings": {"path": "o.png"}},
        },
    }
    Path("outer.json").write_text(json.dumps(outer))
    sweep = limner.sweep("outer.json", {"seed": [1, 2], "inner.text": ["a", "bb"]}, session=new())
    assert [grey_of(row.files[0]) for row in sweep.run() and sweep.rows] == [2, 3, 3, 4]
    assert ran == [("Word", "a"), ("Paint", 1), ("Paint", 2), ("Word", "bb"), ("Paint", 1), ("Paint", 2)]
    assert "inner-paint" in graph_inside(Path("o-seed=2-text=bb.png"))[0].nodes
    with pytest.raises(GraphError, match="painted has no such parameter"):
        limner.sweep("outer.json", {"inner.seeds": [1]}, session=new())


def test_pictures_are_values_too(new: New) -> None:
    """A row gives the pictures that it or an earlier sweep wrote, or those of a graph that writes none."""
    shown = GRAPH | {"nodes": {k: v for k, v in GRAPH["nodes"].items() if k != "save"}, "parameters": {}}
    sweep = limner.sweep(shown, {"paint.seed": [1, 2]}, session=new())
    assert [int(row.images[0].pixels[0, 0, 0, 0]) for row in sweep] == [5, 6]
    assert sweep.grid().width > 128
    for _ in range(2):
        rows = list(limner.sweep(GRAPH, {"seed": [1, 2]}, session=new()))
        assert [int(row.images[0].pixels[0, 0, 0, 0]) for row in rows] == [5, 6]


def test_files_that_are_swept_themselves_keep_their_names(new: New) -> None:
    sweep = limner.sweep(GRAPH, {"path": ["x.png", "y.png"], "seed": [1, 2]}, session=new())
    assert [row.files[0] for row in sweep.run()] == ["x-seed=1.png", "x-seed=2.png", "y-seed=1.png", "y-seed=2.png"]


def test_names_of_files_never_meet(new: New) -> None:
    """Values that look alike in a file's name, one written into the other, long ones: each has a file of its own."""
    texts = ["a b", "a_b", "A b", "a/b", "", "..", "-", "x" * 500, "x" * 501, "東京", "../../up"]
    sweep = limner.sweep(GRAPH, {"text": texts, "seed": [1, 2]}, session=new(), strength=0)
    files = [row.files[0] for row in sweep.run()]
    assert len(set(files)) == len(texts) * 2
    assert all(Path(file).parent == Path() and Path(file).is_file() for file in files)


@pytest.mark.parametrize(
    ("over", "values", "expected"),
    [
        ({"seed": [1, 300]}, {}, ["seed=300: at most 200 @ nodes.paint.settings.seed"]),
        (
            {"seed": ["1"], "strength": [2, True]},
            {},
            ["seed=1: must be an integer", "strength=2: at most", "strength=true: must be"],
        ),
        ({"sede": [1], "strength": [2]}, {}, ["did you mean seed?", "strength=2: at most 1"]),
        ({"seed": [1, 1], "strength": [2]}, {"txet": 1}, ["stands there 2 times", "did you mean text?", "strength=2"]),
        ({"seed": [1]}, {"strength": 7, "seed": 2}, ["set to one value", "strength: at most 1"]),
        ({"text": "abc"}, {}, ["'abc' is one value"]),
        ({"seed": 5}, {}, ["5 is one value"]),
        ({"seed": []}, {}, ["there are no values"]),
        ({}, {}, ["nothing is swept"]),
        (
            {"seed": range(100), "strength": range(100)},
            {},
            ["make 10,000 variants", "strength=2, 3, 4 and 95 more: at"],
        ),
    ],
)
def test_all_faults_come_at_once(new: New, over: Any, values: Any, expected: list[str], ran: list[Any]) -> None:
    """Names, values, repetitions and sizes, before anything runs, each once however many variants have it."""
    with pytest.raises(GraphError) as caught:
        limner.sweep(GRAPH, over, session=new(), **values)
    for part in expected:
        assert part in str(caught.value)
    messages = [str(fault) for fault in caught.value.faults]
    assert len(messages) == len(set(messages)) == len(expected)
    assert ran == []


def test_a_thousand_variants_hold_few_pictures(new: New, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many variants there are, no more values are alive than the cache may hold."""
    alive: weakref.WeakSet[Any] = weakref.WeakSet()
    most = 0

    def run(self: Paint, ctx: Context, word: str) -> Image:
        nonlocal most
        image = Image(np.zeros((1, 64, 64, 3), dtype=np.uint8))
        alive.add(image)
        most = max(most, len(alive))
        return image

    monkeypatch.setattr(Paint, "run", run)
    session = new(cache_dir=None, memory_bytes=100_000)
    over = {"seed": range(200), "strength": [0, 0.25, 0.5, 0.75, 1]}
    sweep: Sweep = limner.sweep(GRAPH, over, session=session)
    assert sum(row.state == "done" for row in sweep) == 1000
    gc.collect()
    assert most < 20
    assert max(sweep.grid().size) < 6500


def test_a_file_that_changes_while_it_is_read_is_never_taken_for_the_old_one(new: New) -> None:
    """What was made of the new content is not noted as made of the old."""

    def picture(grey: int) -> None:
        PIL.Image.new("RGB", (64, 64), (grey, grey, grey)).save("in.png")

    nodes = {
        "load": {"type": "LoadImage", "settings": {"file": "in.png"}},
        "save": {"type": "SaveImage", "wires": {"images": "load"}, "settings": {"path": "p.png"}},
    }
    session = new()
    document = session.document({"limner": 1, "nodes": nodes})

    def changing(what: Row | Shared, plan: Plan) -> Result:
        picture(200)
        return session.executor.run(plan)

    picture(100)
    axes = [Axis("save.quality", (90,))]
    (row,) = make_sweep(session, document, axes, run=changing).run()
    assert row.state == "done"
    picture(100)
    (again,) = make_sweep(session, document, axes).run()
    assert grey_of(again.files[0]) == 100
