"""The pool as a run meets it: what it does is told, and a run can be stopped while it loads."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any

import pytest
from lab import Lab, graph, node
from pooled import FakeLoader, Spec

from limner.engine import events as ev
from limner.engine.context import Context
from limner.engine.executor import Executor
from limner.engine.models import NoModels, Report
from limner.engine.node import Node
from limner.engine.pool import ModelPool


@pytest.fixture
def loader() -> FakeLoader:
    return FakeLoader()


class Hold(Node):
    """What a model's size is."""

    def run(self, ctx: Context) -> int:
        with ctx.hold(Spec("a")) as module:
            return int(module.size)


@dataclass
class EndlessLoader(FakeLoader):
    """Downloads for ever, or until the report stops it."""

    has_begun: threading.Event = field(default_factory=threading.Event)

    def fetch(self, spec: Any, report: Report) -> None:
        for done_bytes in range(100_000):
            report(ev.ModelFetching, spec.name, done_bytes, 100_000)
            self.has_begun.set()
            time.sleep(0.001)


def test_what_the_pool_does_is_told_in_the_run(loader: FakeLoader) -> None:
    with Executor(models=ModelPool(loader)) as executor:
        lab = Lab(executor).add(Hold)
        lab.run(graph({"hold": node("Hold")}))
    assert [type(event).__name__ for event in lab.log[1:-1]] == [
        "NodeStarted",
        "ModelFetching",
        "ModelLoading",
        "ModelLoaded",
        "NodeFinished",
    ]
    assert [event[2:] for event in lab.log if isinstance(event, ev.ModelLoading)] == [
        ("hold", str(Spec("a")), lab.plan(graph({"hold": node("Hold")})).steps[0].device, 10)
    ]


def test_cancelling_a_run_stops_a_download() -> None:
    loader = EndlessLoader()
    with Executor(models=ModelPool(loader)) as executor:
        lab = Lab(executor).add(Hold)
        run = lab.start(graph({"hold": node("Hold")}))
        assert loader.has_begun.wait(10)
        run.cancel()
        assert lab.finish(run).status == "cancelled"
    assert lab.nodes(ev.NodeSkipped) == ["hold"]
    assert loader.loads == []


def test_without_a_pool_holding_says_so() -> None:
    with pytest.raises(LookupError, match="no model pool"):
        NoModels().hold(Spec("a"), "cpu")
