"""Runs: what runs, when, how often, and what is left of it."""

from __future__ import annotations

import gc
import weakref
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab import Lab, chain, eventually, graph, node, plain

from limner.engine import events as ev
from limner.engine.cache import Cache
from limner.engine.context import Context
from limner.engine.errors import Cancelled
from limner.engine.executor import Executor
from limner.engine.node import Node
from limner.engine.registry import Registry
from limner.engine.result import Result


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


def test_what_a_run_gave_goes_without_a_collector() -> None:
    """Large values do not stay until a collector looks, which may be much later."""
    with Executor(cache=Cache(0)) as executor:
        lab = Lab(executor).add(MakeBox, NextBox)
        gc.disable()
        try:
            lab.finish(lab.start(boxes(1))).raise_for_failures()
            assert eventually(lambda: not list(alive))
        finally:
            gc.enable()


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


def test_cancelling_after_the_end_changes_nothing(lab: Lab) -> None:
    """A run that has ended stays as it ended; the result of a cancelled one raises Cancelled."""
    run = lab.start(chain(3))
    run.wait(20)
    run.cancel()
    assert lab.finish(run).status == "completed"
    with pytest.raises(Cancelled):
        Result("cancelled", {}).raise_for_failures()
