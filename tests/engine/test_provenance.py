"""What a run says of itself: settings as they were, what was read, and on what, in words that hold elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from limner.engine.check import check
from limner.engine.context import Context, Provenance
from limner.engine.device import Device, DeviceTable
from limner.engine.errors import ModelError
from limner.engine.executor import Executor
from limner.engine.flat import flat_ids
from limner.engine.forecast import Forecast
from limner.engine.node import Node
from limner.engine.plan import make_plan
from limner.engine.provenance import Machine, provenance_of
from limner.engine.registry import Registry


class Number(Node):
    """A plain value."""

    value: int = 1

    def known_outputs(self) -> tuple[int]:
        return (self.value,)

    def run(self, ctx: Context) -> int:
        return self.value


class Draw(Node):
    """Draws with a model whose own number of steps is 4."""

    on_device = True
    steps: int | None = None
    seed: int = 0
    tag: str | None = None

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast:
        return Forecast(resolved={"steps": self.steps or 4})

    def run(self, ctx: Context) -> str:
        return ""


class Read(Node):
    """Reads a file, of which only the fingerprint is said."""

    name: str = "a"

    def fingerprint(self) -> str:
        if self.name == "gone":
            raise ModelError("it is gone")
        return "secret of " + self.name

    def run(self, ctx: Context) -> str:
        return ""


class Named(Read):
    """The same, with words for others."""

    def sources(self) -> Mapping[str, str]:
        return {self.name: "sha256:1"}


class Write(Node):
    """Makes a value that only running tells."""

    seed: int = 2

    def run(self, ctx: Context) -> int:
        return self.seed * 3


class Save(Node):
    """Says what it sees of its run."""

    effect = True

    def run(self, ctx: Context, drawn: str) -> Provenance:
        return ctx.provenance


def provenance(nodes: dict[str, Any]) -> Provenance:
    registry = Registry()
    for node in (Number, Draw, Read, Named):
        registry.add(node)
    graph = check({"limner": 1, "nodes": nodes}, registry)
    plan = make_plan(graph, DeviceTable([Device("cpu"), Device("cuda:0")]))
    machine = Machine({"cpu": "a processor", "cuda:0": "a card"}, {"limner": "1"})
    return provenance_of(plan, ["key"] * len(plan.steps), flat_ids(graph), machine)


def test_settings_that_the_graph_does_not_say_are_there_as_they_were() -> None:
    """Defaults, what a wire brought, and the model's own; what the graph says is said once, there."""
    found = provenance(
        {
            "n": {"type": "Number", "settings": {"value": 7}},
            "a": {"type": "Draw", "settings": {"tag": "x"}, "wires": {"seed": "n"}},
            "b": {"type": "Draw", "settings": {"steps": 9}},
            "c": {"type": "Draw", "settings": {"steps": None, "seed": 2}},
        }
    )
    assert found.resolved == {"a": {"steps": 4, "seed": 7}, "b": {"seed": 0}, "c": {"steps": 4}}


def test_what_was_read_is_said_by_content() -> None:
    """A node that has no words for others is known by a hash; one that cannot tell any more loses no picture."""
    found = provenance(
        {
            "a": {"type": "Read"},
            "b": {"type": "Read", "settings": {"name": "b"}},
            "c": {"type": "Named"},
            "d": {"type": "Number"},
        }
    )
    assert found.sources["c"] == {"a": "sha256:1"}
    assert set(found.sources) == {"a", "b", "c"}
    assert found.sources["a"] != found.sources["b"]
    assert "secret" not in str(found)
    gone = provenance({"a": {"type": "Read", "settings": {"name": "gone"}}})
    assert gone.sources == {"a": {"content": "unreadable"}}


def test_only_hardware_that_was_used_is_named() -> None:
    """Nobody needs to know of the card that was idle."""
    found = provenance({"a": {"type": "Draw"}, "n": {"type": "Number"}})
    assert found.devices == {"a": "cpu", "n": "host"}
    assert found.hardware == {"cpu": "a processor"}
    assert found.software == {"limner": "1"}


def test_what_only_running_told_is_said_too() -> None:
    """A setting that a node wrote, also where that node and its reader came from the cache."""
    nodes = {
        "w": {"type": "Write"},
        "a": {"type": "Draw", "wires": {"seed": "w"}},
        "s": {"type": "Save", "wires": {"drawn": "a"}},
    }
    graph = check({"limner": 1, "nodes": nodes}, Registry([Write, Draw, Save]))
    with Executor() as executor:
        for _ in range(2):
            (found,) = executor.run(make_plan(graph, DeviceTable())).values(Provenance)
            assert found.resolved["a"]["seed"] == 6
            assert found.saved_by == "s"


class Tell(Write):
    """Writes a text."""

    seed: int = 2

    def run(self, ctx: Context) -> str:
        return f"written {self.seed}"


class Encode(Node):
    """Reads a text that nothing but running looks at."""

    only_for_run = frozenset({"prompt"})
    prompt: str = ""

    def run(self, ctx: Context) -> str:
        return self.prompt


class Later(Node):
    """Runs after something was saved."""

    def run(self, ctx: Context, after: Provenance) -> int:
        return 5


def test_every_picture_says_what_was_written_for_it() -> None:
    """A setting that only running looks at is what was written, never its default; also of what ran after one saved."""
    nodes = {
        "w1": {"type": "Tell"},
        "a1": {"type": "Encode", "wires": {"prompt": "w1"}},
        "s1": {"type": "Save", "wires": {"drawn": "a1"}},
        "w2": {"type": "Tell", "wires": {"seed": "n"}},
        "a2": {"type": "Encode", "wires": {"prompt": "w2"}},
        "s2": {"type": "Save", "wires": {"drawn": "a2"}},
        "n": {"type": "Later", "wires": {"after": "s1"}},
    }
    plan = make_plan(check({"limner": 1, "nodes": nodes}, Registry([Tell, Encode, Save, Later])), DeviceTable())
    before = provenance_of(plan, ["key"] * len(plan.steps), flat_ids(plan.graph), Machine())
    assert "a1" not in before.resolved  # not the default: nobody knows it yet
    with Executor() as executor:
        first, second = sorted(executor.run(plan).values(Provenance), key=lambda found: found.saved_by)
    assert first.resolved["a1"] == {"prompt": "written 2"}
    assert second.resolved["a1"] == {"prompt": "written 2"}
    assert second.resolved["a2"] == {"prompt": "written 5"}
