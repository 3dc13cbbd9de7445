"""Runs in which something goes wrong: which node fails, why, and what goes on."""

from __future__ import annotations

import asyncio
import gc
import threading
import traceback
import weakref
from pathlib import Path
from typing import ClassVar

import pytest
from lab import Lab, chain, graph, node, plain
from pydantic import Field

from limner.engine import events as ev
from limner.engine.cache import Cache
from limner.engine.context import Context
from limner.engine.errors import InputError
from limner.engine.errors import NodeFailed as NodeFailedError
from limner.engine.executor import Executor
from limner.engine.node import Keep, Node
from limner.engine.store import Store


def test_a_twin_of_a_failed_node_tries_for_itself(lab: Lab) -> None:
    """Each of three equal nodes that fail is reported as failed, and what depends on each is skipped."""
    raw = graph(
        {f"n{i}": node("Fail") for i in range(3)} | {f"m{i}": node("Add", {"value": f"n{i}"}) for i in range(3)}
    )
    assert lab.run(raw).status == "failed"
    assert sorted(lab.nodes(ev.NodeFailed)) == ["n0", "n1", "n2"]
    assert sorted(lab.nodes(ev.NodeSkipped)) == ["m0", "m1", "m2"]


@pytest.mark.parametrize("kind", ["ValueError", "SystemExit", "KeyboardInterrupt"])
def test_whatever_a_node_raises_its_lane_goes_on(lab: Lab, kind: str) -> None:
    """A node's exception, even SystemExit, is that node's failure and chains its cause."""
    result = lab.run(graph({"bad": node("Fail", kind=kind), "good": node("Start", value=5)}))
    assert type(result.failures["bad"].cause).__name__ == kind
    assert plain(result.outputs) == {"good": 5}
    assert lab.run(chain(3)).status == "completed"
    with pytest.raises(NodeFailedError, match="bad \\(Fail\\) failed"):
        result.raise_for_failures()


class AsyncExit(Node):
    kind: str = "SystemExit"

    async def run(self, ctx: Context) -> int:
        raise SystemExit(3) if self.kind == "SystemExit" else KeyboardInterrupt


class AsyncTwo(Node):
    async def run(self, ctx: Context) -> int:
        return 2


@pytest.mark.parametrize("kind", ["SystemExit", "KeyboardInterrupt"])
def test_an_async_node_cannot_end_the_loop(lab: Lab, kind: str) -> None:
    """SystemExit in a coroutine is that node's failure; other async nodes, then and later, run."""
    lab.add(AsyncExit, AsyncTwo)
    result = lab.run(graph({"bad": node("AsyncExit", kind=kind), "good": node("AsyncTwo")}))
    assert type(result.failures["bad"].cause).__name__ == kind
    assert plain(result.outputs) == {"good": 2}
    lab.executor.cache.clear()
    assert lab.run(graph({"good": node("AsyncTwo")})).status == "completed"


class Wrong(Node):
    """Gives what it is told, whatever its type says."""

    what: str = "text"

    def run(self, ctx: Context) -> int:
        return {"text": "one", "none": None, "bool": True, "float": 1.0, "tuple": (1,)}[self.what]  # type: ignore[return-value]  # that is what is tested


@pytest.mark.parametrize("what", ["text", "none", "bool", "float", "tuple"])
def test_a_wrong_output_is_refused(lab: Lab, what: str) -> None:
    """A node that gives another class than it says fails, and the message names both."""
    failure = lab.add(Wrong).run(graph({"n": node("Wrong", what=what)})).failures["n"]
    assert isinstance(failure.cause, TypeError)
    assert "not int" in failure.message


class Ratio(Node):
    def run(self, ctx: Context) -> float:
        return 1


def test_an_integer_for_a_number_becomes_one(lab: Lab) -> None:
    """What comes out is what the disk would give back: a float."""
    result = lab.add(Ratio).run(graph({"n": node("Ratio")}))
    assert type(result.outputs["n"]["float"]) is float


class Ranged(Node):
    low: int = Field(default=1, ge=1, le=10)
    files: tuple[str, ...] = ("a",)

    def run(self, ctx: Context) -> int:
        return self.low * 100 + len(self.files)


def test_a_wired_setting_is_checked_when_its_value_is_known(lab: Lab) -> None:
    """A good value arrives, beside settings of any kind; one out of range fails that node with a clear message."""
    lab.add(Ranged)
    wired = {"s": node("Start", value=7), "r": node("Ranged", {"low": "s"}, files=["a", "b"])}
    assert plain(lab.run(graph(wired)).outputs) == {"r": 702}
    wired["s"] = node("Start", value=11)
    failure = lab.run(graph(wired)).failures["r"]
    assert isinstance(failure.cause, InputError)
    assert "low: at most 10" in failure.message


class Unmeasured:
    @property
    def size_bytes(self) -> int:
        raise RuntimeError("no idea")


class GiveUnmeasured(Node):
    def run(self, ctx: Context) -> Unmeasured:
        return Unmeasured()


class Take(Node):
    def run(self, ctx: Context, value: Unmeasured) -> int:
        return 1


def test_a_value_that_cannot_be_kept_is_still_given(lab: Lab) -> None:
    """A value whose size cannot be taken is not cached; the run says so and goes on."""
    result = lab.add(GiveUnmeasured, Take).run(graph({"a": node("GiveUnmeasured"), "b": node("Take", {"value": "a"})}))
    assert plain(result.outputs) == {"b": 1}
    assert lab.nodes(ev.NodeWarned) == ["a"]


class ReadLate(Node):
    """Reads a file that somebody changes right before."""

    keep: ClassVar[Keep] = "disk"
    path: str
    others: str = "old"

    def fingerprint(self) -> str:
        return Path(self.path).read_text()

    def run(self, ctx: Context) -> str:
        Path(self.path).write_text(self.others)
        return Path(self.path).read_text()


class ReadLateAsync(ReadLate):
    async def run(self, ctx: Context) -> str:  # type: ignore[override]  # a node is plain or async
        return super().run(ctx)


@pytest.mark.parametrize("kind", ["ReadLate", "ReadLateAsync"])
def test_a_file_that_changes_during_a_run_fails_its_reader(tmp_path: Path, kind: str) -> None:
    """What was read may be of before or of after: nothing is kept under the key of before, and running again helps."""
    path = tmp_path / "file.txt"
    path.write_text("old")
    with Executor(cache=Cache(store=Store(tmp_path / "cache"))) as executor:
        lab = Lab(executor).add(ReadLate, ReadLateAsync)
        raw = graph({"r": node(kind, path=str(path), others="new"), "s": node("Start")})
        failure = lab.run(raw).failures["r"]
        assert isinstance(failure.cause, InputError)
        assert "changed while it was being read" in failure.message
        assert failure.cause.hint == "run again"
        assert not list((tmp_path / "cache").rglob("*.json"))
        again = lab.run(raw)
    assert plain(again.outputs)["r"] == "new"
    with Executor(cache=Cache(store=Store(tmp_path / "cache"))) as executor:
        lab = Lab(executor).add(ReadLate, ReadLateAsync)
        lab.run(raw)
        assert "r" in lab.nodes(ev.NodeCached)


class Held:
    """A value that takes long to keep."""

    is_let_go = threading.Event()
    begun = threading.Event()

    @property
    def size_bytes(self) -> int:
        Held.begun.set()
        assert Held.is_let_go.wait(10), "the loop waited for this"
        return 1


class GiveHeld(Node):
    async def run(self, ctx: Context) -> Held:
        return Held()


class LetGo(Node):
    async def run(self, ctx: Context) -> int:
        while not Held.begun.is_set():
            await asyncio.sleep(0.001)
        Held.is_let_go.set()
        return 1


def test_keeping_what_an_async_node_gave_holds_up_no_other(lab: Lab) -> None:
    """The loop goes on while a value is being kept; its node is finished only after that."""
    result = lab.add(GiveHeld, LetGo).run(graph({"a": node("GiveHeld"), "b": node("LetGo")}))
    assert result.status == "completed"
    assert not lab.nodes(ev.NodeWarned)
    assert sorted(lab.nodes(ev.NodeFinished)) == ["a", "b"]


class Tensor:
    """Something large."""


SEEN: list[weakref.ref[Tensor]] = []


def fall(*tensors: Tensor) -> None:
    SEEN.extend(map(weakref.ref, tensors))
    raise ValueError("out of memory")


def use_up(weights: Tensor) -> None:
    try:
        fall(weights, Tensor())
    except ValueError as error:
        activations = Tensor()
        SEEN.append(weakref.ref(activations))
        raise RuntimeError("in the third block") from error


class UseUp(Node):
    def run(self, ctx: Context) -> int:
        use_up(Tensor())
        return 1


class AsyncUseUp(Node):
    async def run(self, ctx: Context) -> int:
        use_up(Tensor())
        return 1


@pytest.mark.parametrize("kind", [UseUp, AsyncUseUp])
def test_a_failure_keeps_nothing_that_the_node_used(lab: Lab, kind: type[Node]) -> None:
    """Who keeps the result, to show what went wrong, keeps the error and where it was raised, and no tensor."""
    SEEN.clear()
    result = lab.add(kind).run(graph({"n": node(kind.__name__)}))
    gc.collect()
    assert [tensor() for tensor in SEEN] == [None] * 3
    shown = "".join(traceback.format_exception(result.failures["n"]))
    assert "in use_up" in shown
    assert "in fall" in shown
