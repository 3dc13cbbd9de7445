"""The cache: what is kept, for how long, and what a broken disk costs."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab import Kept, Lab, graph, node
from test_store import Blob

from limner.engine import events as ev
from limner.engine.cache import ENTRY_BYTES, Cache
from limner.engine.context import Context
from limner.engine.executor import Executor
from limner.engine.keys import part_key
from limner.engine.node import Keep, Node, NodeType
from limner.engine.store import Store


class InMemory(Node):
    def run(self, ctx: Context) -> Blob:
        return Blob(b"")


class OnDisk(InMemory):
    keep: ClassVar[Keep] = "disk"


class Nowhere(InMemory):
    keep: ClassVar[Keep] = "nothing"


MEMORY, DISK, NOTHING = (NodeType.of(cls) for cls in (InMemory, OnDisk, Nowhere))


@given(
    room=st.integers(0, 5),
    uses=st.lists(st.tuples(st.booleans(), st.integers(0, 6), st.integers(0, 3)), max_size=40),
)
def test_the_least_recently_used_leaves_first(room: int, uses: list[tuple[bool, int, int]]) -> None:
    """The cache holds what a plain list in order of use would, and never more bytes than it may."""
    unit = ENTRY_BYTES + 100
    cache, model = Cache(room * unit), dict[int, int]()
    for is_put, key, units in uses:
        if is_put:
            size = max(0, units * unit - ENTRY_BYTES)
            cache.put(str(key), MEMORY, (Blob(bytes(size)),))
            if ENTRY_BYTES + size <= room * unit:
                model.pop(key, None)
                model[key] = ENTRY_BYTES + size
                while sum(model.values()) > room * unit:
                    del model[next(iter(model))]
        else:
            assert (cache.get(str(key), MEMORY) is not None) == (key in model)
            if key in model:
                model[key] = model.pop(key)
        assert cache.used_bytes == sum(model.values()) <= room * unit


def test_a_value_is_kept_where_its_node_says(tmp_path: Path) -> None:
    """``memory`` and ``disk`` are found again at once; only ``disk`` after a restart; ``nothing`` never."""
    for kind, in_memory, on_disk in ((MEMORY, True, False), (DISK, True, True), (NOTHING, False, False)):
        cache = Cache(store=Store(tmp_path / kind.name))
        cache.put("ab", kind, (Blob(b"x"),))
        assert (cache.get("ab", kind) is not None) == in_memory
        assert (Cache(store=Store(tmp_path / kind.name)).get("ab", kind) is not None) == on_disk
        cache.clear()
        assert cache.used_bytes == 0
        assert (cache.get("ab", kind) is not None) == on_disk


def test_a_damaged_entry_is_computed_again(tmp_path: Path) -> None:
    """The run goes on as if it had never been kept, gives the same, and mends the entry."""
    raw = graph({"k": node("Kept", value=3)})
    for expected in (["k"], [], ["k"], []):
        with Executor(cache=Cache(store=Store(tmp_path))) as executor:
            lab = Lab(executor)
            assert lab.run(raw).outputs["k"] == {"int": 3}
            assert lab.nodes(ev.NodeStarted) == expected
        if not expected and lab.log:
            for path in (tmp_path / "v1" / "keys").rglob("*.json"):
                path.write_bytes(path.read_bytes().replace(b"3", b"4"))


def test_a_disk_that_fails_is_reported_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing fails because the disk does; the log says it one time, and again after it had worked."""
    (tmp_path / "cache").write_text("a file, no folder")
    cache = Cache(store=Store(tmp_path / "cache"))
    with caplog.at_level(logging.WARNING):
        for number in range(3):
            cache.put(f"k{number}", DISK, (Blob(b"x"),))
            cache.put_step(f"k{number}", 1, Blob(b"x"))
        assert cache.get("k1", DISK) is not None
        assert len(caplog.records) == 1
        (tmp_path / "cache").unlink()
        cache.put("k4", DISK, (Blob(b"x"),))
        assert len(caplog.records) == 1
    assert Store(tmp_path / "cache").count() == 1


def test_checkpoints_need_a_store(tmp_path: Path) -> None:
    cache = Cache()
    cache.put_step("ab", 1, Blob(b"x"))
    assert cache.get_step("ab", Blob) is None
    cache.drop_step("ab")
    stored = Cache(store=Store(tmp_path))
    stored.put_step("ab", 1, Blob(b"x"))
    assert stored.get_step("ab", Blob) == (1, Blob(b"x"))
    stored.drop_step("ab")
    assert stored.get_step("ab", Blob) is None


class Parts(Node):
    """One part a letter, each computed once wherever it is found."""

    version: ClassVar[int] = 1
    letters: str
    computed: ClassVar[list[str]] = []

    def run(self, ctx: Context) -> Blob:
        parts = []
        for letter in self.letters:
            if (part := ctx.recall(letter, Blob)) is None:
                Parts.computed.append(letter)
                part = Blob(letter.encode())
                ctx.remember(letter, part)
            parts.append(part)
        return Blob(b"".join(part.content for part in parts))


class OtherParts(Parts):
    """Another type with the same parts."""


def test_parts_of_work_are_found_by_other_work(tmp_path: Path) -> None:
    """Of a node that differs in one part one is computed, also by the next process; what is damaged is again."""
    Parts.computed.clear()
    for letters, expected in (("aba", "ab"), ("abcb", "c"), ("cab", "")):
        with Executor(cache=Cache(store=Store(tmp_path))) as executor:
            result = Lab(executor).add(Parts).run(graph({"p": node("Parts", letters=letters)}))
        assert result.outputs["p"] == {"blob": Blob(letters.encode())}
        assert "".join(Parts.computed) == expected
        Parts.computed.clear()
    for path in (tmp_path / "v1" / "objects").rglob("*.blob"):
        if path.read_bytes() == b"blob:b":
            path.write_bytes(b"blob:x")
    with Executor(cache=Cache(store=Store(tmp_path))) as executor:
        result = Lab(executor).add(Parts).run(graph({"p": node("Parts", letters="bac")}))
    assert result.outputs["p"] == {"blob": Blob(b"bac")}
    assert Parts.computed == ["b"]


def test_parts_are_the_nodes_type_and_versions_own(tmp_path: Path) -> None:
    """Neither another type nor another version, device or package finds them."""
    node_type, other = NodeType.of(Parts), NodeType.of(OtherParts)
    keys = [
        part_key(node_type, "a"),
        part_key(other, "a"),
        part_key(NodeType.of(type("Parts", (Parts,), {"version": 2, "__module__": Parts.__module__})), "a"),
        part_key(node_type, "b"),
        part_key(node_type, "a", "cuda torch 2.13.0"),
    ]
    assert len(set(keys)) == len(keys)
    cache = Cache(store=Store(tmp_path))
    cache.put_part(keys[0], Blob(b"a"))
    assert [cache.get_part(key, Blob) for key in keys] == [Blob(b"a"), None, None, None, None]


class Long(Node):
    """Ten steps; each is offered as a checkpoint. Fails where it is told to."""

    keep: ClassVar[Keep] = "disk"
    fail_at: ClassVar[int | None] = None

    def run(self, ctx: Context) -> Blob:
        step, state = ctx.resume(Blob) or (0, Blob(b""))
        while step < 10:
            step += 1
            state = Blob(state.content + bytes([step]))
            ctx.checkpoint(step, state)
            ctx.progress(step, 10)
            if step == Long.fail_at:
                raise MemoryError
        return state


def test_unfinished_work_goes_on_from_its_last_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a crash at step 6 the next run does steps 7 to 10, ends in the same bytes and forgets the checkpoint."""
    raw = graph({"long": node("Long")})
    monkeypatch.setattr(Long, "fail_at", 6)
    store = Store(tmp_path)
    for is_first in (True, False):
        with Executor(cache=Cache(store=store), checkpoint_interval_s=0) as executor:
            lab = Lab(executor).add(Long)
            result = lab.run(raw)
        monkeypatch.setattr(Long, "fail_at", None)
        assert result.status == ("failed" if is_first else "completed")
        steps = [event.step for event in lab.log if isinstance(event, ev.NodeProgress)]
        assert steps == (list(range(1, 7)) if is_first else list(range(7, 11)))
    assert [event.step for event in lab.log if isinstance(event, ev.NodeResumed)] == [6]
    assert result.outputs["long"]["blob"] == Blob(bytes(range(1, 11)))
    assert not list((tmp_path / "v1" / "steps").iterdir())
    assert Kept.keep == "disk"
