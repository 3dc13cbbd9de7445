"""Runs: what runs, when, how often, and what is left of it."""

from __future__ import annotations

import gc
import weakref
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab import NODES, Lab, chain, graph, node
from pydantic import Field

from limner.engine import events as ev
from limner.engine.cache import Cache
from limner.engine.context import Context
from limner.engine.errors import Cancelled, InputError
from limner.engine.errors import NodeFailed as NodeFailedError
from limner.engine.executor import Executor
from limner.engine.node import Node
from limner.engine.registry import Registry


@st.composite
def dags(draw: st.DrawFn, can_fail: bool = False) -> dict[str, Any]:
    """A random graph of numbers, its nodes in any order in the file."""
    nodes: dict[str, Any] = {}
    ports: list[str] = []
    for index in range(draw(st.integers(1, 14))):
        kinds = ["Start"] + (["Add", "Sum", "Split"] + (["Fail"] if can_fail else []) if ports else [])
        kind = draw(st.sampled_from(kinds))
        port = st.sampled_from(ports) if ports else st.nothing()
        if kind == "Start":
            nodes[f"n{index}"] = node(kind, value=draw(st.integers(0, 2)))
        elif kind == "Sum":
            wires: dict[str, Any] = {"values": draw(st.lists(port, max_size=4))}
            if draw(st.booleans()):
                wires["last"] = draw(port)
            nodes[f"n{index}"] = node(kind, wires)
        else:
            nodes[f"n{index}"] = node(kind, {"value": draw(port)})
        ports += [f"n{index}.low", f"n{index}.high"] if kind == "Split" else [f"n{index}"]
    return graph({name: nodes[name] for name in draw(st.permutations(list(nodes)))})


def sources_of(one: dict[str, Any]) -> list[str]:
    wires = list(one["wires"].values())
    return [w.partition(".")[0] for wire in wires for w in ([wire] if isinstance(wire, str) else wire)]


def evaluate(raw: dict[str, Any]) -> dict[str, Any]:
    """What every node of a graph gives, worked out plainly: None where it fails or cannot run."""
    found: dict[str, Any] = {}

    def value(wire: str) -> Any:
        name, _, port = wire.partition(".")
        given = solve(name)
        return given[port] if port and given is not None else given

    def solve(name: str) -> Any:
        if name not in found:
            one = raw["nodes"][name]
            wires, given = one["wires"], one["settings"]
            if any(solve(source) is None for source in sources_of(one)) or one["type"] == "Fail":
                found[name] = None
            elif one["type"] == "Start":
                found[name] = given["value"]
            elif one["type"] == "Add":
                found[name] = value(wires["value"]) + given.get("amount", 1)
            elif one["type"] == "Split":
                half = value(wires["value"]) // 2
                found[name] = {"low": half, "high": value(wires["value"]) - half}
            else:
                total = sum((place + 2) * value(wire) for place, wire in enumerate(wires["values"])) % 1_000_003
                found[name] = total + (value(wires["last"]) if "last" in wires else 0)
        return found[name]

    return {name: solve(name) for name in raw["nodes"]}


def goals_of(raw: dict[str, Any]) -> set[str]:
    used = {source for one in raw["nodes"].values() for source in sources_of(one)}
    return set(raw["nodes"]) - used


def plain(outputs: Any) -> dict[str, Any]:
    return {name: next(iter(ports.values())) if len(ports) == 1 else dict(ports) for name, ports in outputs.items()}


def descendants(raw: dict[str, Any], name: str) -> set[str]:
    found = {name}
    while True:
        more = {n for n, one in raw["nodes"].items() if found & set(sources_of(one))} - found
        if not more:
            return found
        found |= more


@given(raw=dags())
def test_every_node_runs_once_after_what_it_needs(raw: dict[str, Any]) -> None:
    """Order is respected, every node is settled exactly once, and the result is the plain evaluation's."""
    with Executor() as executor:
        lab = Lab(executor)
        result = lab.run(raw)
    settled = lab.nodes(ev.NodeFinished) + lab.nodes(ev.NodeCached)
    assert sorted(settled) == sorted(raw["nodes"])
    at = {e.node: e.seq for e in lab.log if isinstance(e, (ev.NodeFinished, ev.NodeCached))}
    began = {e.node: e.seq for e in lab.log if isinstance(e, ev.NodeStarted)}
    for name, one in raw["nodes"].items():
        assert all(at[source] < began.get(name, at[name]) for source in sources_of(one))
    assert result.status == "completed"
    assert plain(result.outputs) == {name: evaluate(raw)[name] for name in goals_of(raw)}


@given(raw=dags(), data=st.data())
def test_the_cache_never_changes_a_result(raw: dict[str, Any], data: st.DataObject) -> None:
    """A second run computes nothing; after a change only what depends on it runs, and gives what a fresh one would."""
    starts = [name for name, one in raw["nodes"].items() if one["type"] == "Start"]
    changed = data.draw(st.sampled_from(starts))
    other = graph(raw["nodes"] | {changed: node("Start", value=data.draw(st.integers(-9, 9)))})
    with Executor() as executor:
        lab = Lab(executor)
        first = lab.run(raw)
        assert lab.run(raw).outputs == first.outputs
        assert not lab.nodes(ev.NodeStarted)
        again = lab.run(other)
    assert set(lab.nodes(ev.NodeStarted)) <= descendants(other, changed)
    assert plain(again.outputs) == {name: evaluate(other)[name] for name in goals_of(other)}


@given(raw=dags(can_fail=True))
def test_a_failure_skips_exactly_what_depends_on_it(raw: dict[str, Any]) -> None:
    """Each node fails, is skipped, or gives what it would have given alone; every one is settled before the end."""
    with Executor() as executor:
        lab = Lab(executor)
        result = lab.run(raw)
    truth = evaluate(raw)
    failed, skipped = set(lab.nodes(ev.NodeFailed)), set(lab.nodes(ev.NodeSkipped))
    assert failed | skipped == {name for name, value in truth.items() if value is None}
    assert failed == {n for n in failed | skipped if not any(truth[s] is None for s in sources_of(raw["nodes"][n]))}
    assert len(lab.nodes(ev.NodeSkipped)) == len(skipped)
    assert plain(result.outputs) == {n: truth[n] for n in goals_of(raw) if truth[n] is not None}
    assert isinstance(lab.log[-1], ev.RunFinished)
    assert result.status == ("failed" if failed else "completed")


@given(raw=dags(can_fail=True), workers=st.integers(2, 4))
def test_lanes_change_nothing_in_the_result(raw: dict[str, Any], workers: int) -> None:
    """Spread over devices, a graph gives what it gives on one; the event stream stays without gaps."""
    for place, name in enumerate(raw["nodes"]):
        raw["nodes"][name]["device"] = ["auto", "cpu", "cuda:0", "cuda:1"][place % workers]
    with Executor(cache=Cache(0)) as executor:
        lab = Lab(executor)
        result = lab.run(raw)
    truth = evaluate(raw)
    assert plain(result.outputs) == {n: truth[n] for n in goals_of(raw) if truth[n] is not None}
    assert [event.seq for event in lab.log] == list(range(1, len(lab.log) + 1))
    assert isinstance(lab.log[-1], ev.RunFinished)


@dataclass(eq=False)
class Box:
    """A value whose life can be watched."""

    number: int
    size_bytes: int = 8


alive: weakref.WeakSet[Box] = weakref.WeakSet()


class MakeBox(Node):
    number: int = 0

    def run(self, ctx: Context) -> Box:
        box = Box(self.number)
        alive.add(box)
        return box


class NextBox(Node):
    number: int = 0

    def run(self, ctx: Context, box: Box) -> Box:
        gc.collect()
        assert sum(1 for one in alive) <= 2, "an earlier value is still there"
        new = Box(box.number + 1)
        alive.add(new)
        return new


def boxes(length: int) -> dict[str, Any]:
    first = {"n0": node("MakeBox")}
    return graph(first | {f"n{i}": node("NextBox", {"box": f"n{i - 1}"}, number=i) for i in range(1, length)})


def test_a_value_goes_after_its_last_use() -> None:
    """In a chain, only a node's input is alive; after the run, only the result; then nothing."""
    with Executor(cache=Cache(0)) as executor:
        lab = Lab(executor).add(MakeBox, NextBox)
        run = lab.start(boxes(12))
        result = lab.finish(run)
        result.raise_for_failures()
        gc.collect()
        assert [box.number for box in alive] == [11]
        del result, run
        gc.collect()
        assert not list(alive), "an idle lane still holds the run"


def test_the_cache_keeps_values_alive() -> None:
    """What the cache has room for stays, and goes when the cache is cleared."""
    class_limit = Registry([MakeBox])
    with Executor() as executor:
        lab = Lab(executor, class_limit)
        lab.run(graph({"a": node("MakeBox")}))
        gc.collect()
        assert len(list(alive)) == 1
        executor.cache.clear()
        gc.collect()
        assert not list(alive)


class Once(Node):
    """Counts how often it runs, everywhere."""

    count: int = 0

    def run(self, ctx: Context) -> int:
        Counter.runs += 1
        return self.count


class Counter:
    runs = 0


def test_equal_nodes_compute_once_even_without_a_cache() -> None:
    """Twins share one computation, on whichever lanes they are."""
    Counter.runs = 0
    raw = graph({f"n{i}": node("Once", device=["auto", "cpu", "cuda:0"][i % 3], count=3) for i in range(30)})
    with Executor(cache=Cache(0)) as executor:
        lab = Lab(executor).add(Once)
        result = lab.run(raw)
    assert Counter.runs == 1
    assert plain(result.outputs) == {f"n{i}": 3 for i in range(30)}
    assert len(lab.nodes(ev.NodeCached)) == 29


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
        return {"text": "one", "none": None, "bool": True, "float": 1.0, "tuple": (1,)}[self.what]  # type: ignore[return-value]


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


class Write(Node):
    effect = True
    written: int = 0

    def run(self, ctx: Context, value: int) -> None:
        Counter.runs += 1


def test_effects_happen_each_time(lab: Lab) -> None:
    """A node that changes the world runs in every run, also when equal ones ran; what it needs is not run again."""
    Counter.runs = 0
    raw = graph({"s": node("Start"), "a": node("Write", {"value": "s"}), "b": node("Write", {"value": "s"})})
    lab.add(Write)
    lab.run(raw)
    lab.run(raw)
    assert Counter.runs == 4
    assert sorted(lab.nodes(ev.NodeStarted)) == ["a", "b"]


def test_only_what_a_goal_needs_is_looked_at(lab: Lab) -> None:
    """When the last node is known, nothing before it is even asked for."""
    lab.run(chain(50))
    lab.run(chain(50))
    assert lab.nodes(ev.NodeCached) == ["n49"]


def test_a_chain_of_100_000_nodes(lab: Lab) -> None:
    """Nothing recurses, in checking, planning, running or failing."""
    length = 100_000
    result = lab.executor.run(lab.plan(chain(length)))
    assert plain(result.outputs) == {f"n{length - 1}": length * (length - 1) // 2}
    raw = chain(5000)
    raw["nodes"]["n0"] = node("Fail")
    lab.run(raw)
    assert len(lab.nodes(ev.NodeSkipped)) == 4999


def test_cancelled_is_raised_from_a_result(lab: Lab) -> None:
    """A run cancelled before its nodes begin has no outputs, and its result says so."""
    plan = lab.plan(chain(3))
    run = lab.executor.start(plan)
    run.wait(20)
    run.cancel()  # after the end: nothing happens
    result = run.wait(20)
    assert result is not None
    assert result.status == "completed"
    from limner.engine.result import Result

    with pytest.raises(Cancelled):
        Result("cancelled", {}).raise_for_failures()


def test_the_shared_nodes_are_known() -> None:
    """The registry of the lab holds what the tests refer to."""
    assert {one.__name__ for one in NODES} == set(Registry(NODES))
