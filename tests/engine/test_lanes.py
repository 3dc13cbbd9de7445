"""Lanes: what overlaps and what takes turns, stopping, and what is left of threads."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from typing import Any, ClassVar

import pytest
from lab import TIMEOUT_S, Lab, chain, eventually, graph, node

from limner.engine import events as ev
from limner.engine.cache import Cache
from limner.engine.context import Context
from limner.engine.executor import Executor
from limner.engine.node import Node


class Shared:
    """What the nodes below meet at; each test sets what it needs."""

    barrier: threading.Barrier
    began: threading.Semaphore
    gate: threading.Event
    inside: int
    most: int
    cleaned: list[str]


@pytest.fixture(autouse=True)
def _fresh() -> Any:
    Shared.barrier = threading.Barrier(4)
    Shared.began = threading.Semaphore(0)
    Shared.gate = threading.Event()
    Shared.inside = Shared.most = 0
    Shared.cleaned = []
    yield
    Shared.gate.set()
    Shared.barrier.abort()


def began(count: int = 1) -> None:
    for _ in range(count):
        assert Shared.began.acquire(timeout=TIMEOUT_S), "a node did not begin"


class Meet(Node):
    """Ends only when three others run at the same time."""

    number: int = 0

    def run(self, ctx: Context) -> int:
        Shared.barrier.wait(TIMEOUT_S)
        return self.number


class MeetAsync(Node):
    """The same for coroutines."""

    number: int = 0

    async def run(self, ctx: Context) -> int:
        Shared.inside += 1
        while Shared.inside < 4:
            await asyncio.sleep(0.001)
        return self.number


class Exclusive(Node):
    """Counts how many of its kind are inside at once."""

    on_device: ClassVar[bool] = True
    number: int = 0

    def run(self, ctx: Context) -> int:
        Shared.inside += 1
        Shared.most = max(Shared.most, Shared.inside)
        time.sleep(0.001)
        Shared.inside -= 1
        return self.number


class Steps(Node):
    """Works step by step until it is told to stop."""

    number: int = 0

    def run(self, ctx: Context) -> int:
        Shared.began.release()
        for step in range(1, 10_000):
            Shared.gate.wait(0.005)
            ctx.progress(step, 10_000)
        raise AssertionError("nobody stopped it")


class Sleep(Node):
    """Waits for ever, and cleans up when it is stopped."""

    number: int = 0
    cleanup: float = 0.0

    async def run(self, ctx: Context) -> int:
        Shared.began.release()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(self.cleanup)
            Shared.cleaned.append(f"sleep {self.number}")
        return 0


class Gate(Node):
    """Blocks until the gate opens."""

    number: int = 0

    def run(self, ctx: Context) -> int:
        Shared.began.release()
        assert Shared.gate.wait(TIMEOUT_S)
        return self.number


@pytest.fixture
def lab(lab: Lab) -> Lab:
    return lab.add(Meet, MeetAsync, Exclusive, Steps, Sleep, Gate)


@pytest.mark.parametrize("kind", ["Meet", "MeetAsync"])
def test_independent_nodes_overlap(lab: Lab, kind: str) -> None:
    """Four nodes that block, or wait, are all inside at the same time."""
    assert lab.run(graph({f"n{i}": node(kind, number=i) for i in range(4)})).status == "completed"


def test_different_devices_overlap(lab: Lab) -> None:
    """A node on each of two devices, one on the processor and one without a device run at the same time."""
    places = ["cuda:0", "cuda:1", "cpu", "auto"]
    raw = graph({f"n{i}": node("Meet", device=place, number=i) for i, place in enumerate(places)})
    assert lab.run(raw).status == "completed"


def test_one_device_runs_one_node_at_a_time(lab: Lab) -> None:
    """Two runs of independent nodes on one device never have two of them inside."""
    raws = [graph({f"n{i}": node("Exclusive", device="cuda:0", number=i + k) for i in range(20)}) for k in (0, 100)]
    runs = [lab.executor.start(lab.plan(raw)) for raw in raws]
    assert all((result := run.wait(TIMEOUT_S)) and result.status == "completed" for run in runs)
    assert Shared.most == 1


def test_a_blocked_worker_does_not_hold_up_the_others(lab: Lab) -> None:
    """While nodes block in most workers, a long chain beside them goes to its end."""
    raw = chain(300)
    raw["nodes"] |= {f"g{i}": node("Gate", number=i) for i in range(7)}
    run = lab.start(raw)
    assert eventually(lambda: lab.executor.cache.get(run.keys[_place(run, "n299")], _type(run, "n299")) is not None)
    Shared.gate.set()
    assert lab.finish(run).status == "completed"


def _place(run: Any, name: str) -> int:
    return next(i for i, step in enumerate(run.plan.steps) if step.node.id == name)


def _type(run: Any, name: str) -> Any:
    return run.plan.steps[_place(run, name)].node.type


def test_cancelling_stops_a_node_that_reports_steps(lab: Lab) -> None:
    """The node stops at its next step; what depends on it and what did not begin is skipped; nothing failed."""
    run = lab.start(graph({"a": node("Steps"), "b": node("Add", {"value": "a"})}))
    began()
    run.cancel()
    run.cancel()
    result = lab.finish(run)
    assert result.status == "cancelled"
    assert sorted(lab.nodes(ev.NodeSkipped)) == ["a", "b"]
    assert not result.failures


def test_cancelling_stops_coroutines_at_once_and_lets_them_clean_up(lab: Lab) -> None:
    """Async nodes are cancelled where they wait; a second cancel does not interrupt their cleaning up."""
    run = lab.start(graph({f"n{i}": node("Sleep", number=i, cleanup=0.05) for i in range(3)}))
    began(3)
    run.cancel()
    run.cancel()
    assert lab.finish(run).status == "cancelled"
    assert sorted(Shared.cleaned) == ["sleep 0", "sleep 1", "sleep 2"]


def test_cancelling_before_a_node_begins(lab: Lab) -> None:
    """What waits for its lane when the run is cancelled never begins, be it plain or async."""
    run = lab.start(
        graph({"a": node("Gate", device="cpu"), "b": node("Add", {"value": "a"}), "c": node("Exclusive", device="cpu")})
    )
    began()
    run.cancel()
    Shared.gate.set()
    assert lab.finish(run).status == "cancelled"
    assert lab.nodes(ev.NodeStarted) == ["a"]
    assert sorted(lab.nodes(ev.NodeSkipped)) == ["b", "c"]


def test_cancelling_at_any_moment_ends_the_run(lab: Lab) -> None:
    """Whenever the cancelling comes, every run ends, with each node settled and the end as the last event."""
    for attempt in range(40):
        lab.executor.cache.clear()
        raw = chain(30)
        raw["nodes"] |= {f"s{i}": node("Sleep", number=i) for i in range(3)}
        raw["nodes"] |= {f"e{i}": node("Exclusive", device=f"cuda:{i % 2}", number=i) for i in range(4)}
        run = lab.start(raw)
        time.sleep(attempt * 0.0002)
        run.cancel()
        assert lab.finish(run).status == "cancelled"
        settled = lab.nodes(ev.NodeFinished) + lab.nodes(ev.NodeSkipped)
        assert sorted(settled) == sorted(raw["nodes"])
        assert isinstance(lab.log[-1], ev.RunFinished)


def test_runs_share_an_executor(lab: Lab) -> None:
    """Eight threads start runs at once; each gets the result of its own graph."""
    found: dict[int, Any] = {}

    def go(number: int) -> None:
        raw = chain(200, change=number + 1)
        for i in range(200):
            raw["nodes"][f"n{i}"]["device"] = ["auto", "cpu", "cuda:0"][i % 3]
        result = lab.executor.run(lab.plan(raw))
        found[number] = result.outputs["n199"]["int"]

    threads = [threading.Thread(target=go, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT_S)
    assert found == dict.fromkeys(range(8), 199 * 200 // 2 + 1000000)


def ours() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("limner ")}


def test_closing_leaves_no_thread() -> None:
    """A moment after closing, workers, watchers and the event loop's thread have ended."""
    before = ours()
    with Executor() as executor:
        lab = Lab(executor).add(Meet, MeetAsync)
        lab.run(graph({f"n{i}": node("Meet", number=i) for i in range(4)}))
        lab.run(graph({f"n{i}": node("MeetAsync", device="cpu", number=i) for i in range(4)}))
        assert ours() - before
    assert eventually(lambda: not ours() - before)


def test_closing_cancels_what_runs(lab: Lab) -> None:
    """Runs that were going on end as cancelled, and nobody waits for ever."""
    raw = graph({"a": node("Steps"), "s": node("Sleep"), "b": node("Add", {"value": "a"})})
    run = lab.start(raw)
    began(2)
    waiting = lab.executor.start(lab.plan(graph({f"g{i}": node("Sleep", number=i) for i in range(5)})))
    lab.executor.close()
    assert lab.finish(run).status == "cancelled"
    result = waiting.wait(TIMEOUT_S)
    assert result is not None
    assert result.status == "cancelled"
    with pytest.raises(RuntimeError, match="closed"):
        lab.executor.start(lab.plan(raw))
    lab.executor.close()


def test_dropping_an_executor_is_harmless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without close, idle threads end by themselves and the executor can be collected."""
    monkeypatch.setattr("limner.engine.lanes.IDLE_S", 0.05)
    before = ours()
    executor = Executor(cache=Cache(0))
    lab = Lab(executor).add(MeetAsync)
    lab.run(chain(20))
    lab.run(graph({f"n{i}": node("MeetAsync", number=i) for i in range(4)}))
    del executor, lab
    assert eventually(lambda: bool(gc.collect() or True) and not ours() - before)


def test_an_idle_lane_wakes_again(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that ended because they were idle are replaced; no wake-up is lost in between."""
    monkeypatch.setattr("limner.engine.lanes.IDLE_S", 0.001)
    for attempt in range(60):
        raw = graph({f"n{i}": node("Exclusive", device=["auto", "cpu", "cuda:0"][i % 3], number=i) for i in range(6)})
        lab.executor.cache.clear()
        time.sleep((attempt % 4) * 0.001)
        assert lab.run(raw).status == "completed"
