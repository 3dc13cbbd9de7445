"""Memory is known before anything loads, on a pool that is only simulated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab import Word, graph, node

from limner.engine.check import check
from limner.engine.choose_offload import ladder, with_memory
from limner.engine.context import Context
from limner.engine.device import Device, DeviceTable
from limner.engine.errors import Fault, GraphError, ModelError
from limner.engine.forecast import Forecast, Weights, forecasts
from limner.engine.memory_plan import MemoryPlan, plan_memory, usable_bytes
from limner.engine.models import ModelSpec
from limner.engine.node import Node
from limner.engine.offload import Offload
from limner.engine.placement import group_bytes, placement
from limner.engine.plan import Plan, make_plan
from limner.engine.registry import Registry

DEVICES = DeviceTable([Device("cuda:0"), Device("cpu")])


@dataclass(frozen=True)
class Model(ModelSpec[Any]):
    """A model that is nothing but its size: ten leaves in two blocks."""

    name: str
    size: int

    def __str__(self) -> str:
        return self.name


class Use(Node):
    """Holds a model; what it gives makes the next one wait."""

    on_device: ClassVar[bool] = True
    model: str = "m"
    size: int = 100
    working: int = 0
    passes: int = 1

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast:
        if self.model == "lost":
            raise ModelError("there is no such model")
        if self.model == "mute":
            raise GraphError([Fault("after: cannot speak", ("wires", "after"), "take another")])
        return Forecast((1,), (Model(self.model, self.size),), self.working, self.passes)

    def run(self, ctx: Context, after: int = 0) -> int:
        return 0


class Named(Use):
    """The same with a name that only running needs."""

    only_for_run: ClassVar[frozenset[str]] = frozenset({"label"})
    label: str = ""


class Silent(Node):
    """Says nothing of what it needs."""

    on_device: ClassVar[bool] = True

    def run(self, ctx: Context, after: int = 0) -> int:
        return 0


def weigh(spec: ModelSpec[Any], device: str) -> Weights:
    assert isinstance(spec, Model)
    return Weights(spec.size, spec.size, spec.size // 10, (spec.size // 2, spec.size // 2), origin="told")


def chain(uses: Sequence[Mapping[str, Any]], offload: Any = "none", device: str = "cuda:0") -> Plan:
    """Nodes that hold models, one after the other."""
    nodes = {}
    for i, use in enumerate(uses):
        wires = {"after": f"n{i - 1}"} if i else {}
        nodes[f"n{i}"] = node("Use", wires, device, **use) | {"offload": offload}
    return make_plan(check(graph(nodes), Registry([Use, Silent])), DEVICES)


def planned(uses: Sequence[Mapping[str, Any]], usable: Mapping[str, int], offload: Any = "none") -> MemoryPlan:
    return plan_memory(chain(uses, offload), weigh, usable)


def chosen(plan: Plan, usable: Mapping[str, int], disk: str | None = None) -> tuple[list[str], MemoryPlan]:
    made = with_memory(plan, weigh, usable, disk)
    assert made.memory is not None
    return [str(step.offload) for step in made.steps], made.memory


def test_models_stay_for_later_nodes() -> None:
    """A model that was loaded is there for the next node that holds it; both together are the peak."""
    memory = planned([{"model": "a"}, {"model": "b", "working": 30}, {"model": "a"}], {})
    assert memory.peak_bytes == {"cuda:0": 230}
    assert [step.models[0].is_loaded for step in memory.steps] == [True, True, False]
    assert memory.fits


def test_least_recently_used_leaves() -> None:
    """Where room is needed, the model that was not used for longest goes, and is loaded again."""
    uses = [{"model": "a"}, {"model": "b"}, {"model": "a"}, {"model": "c"}, {"model": "a"}, {"model": "b"}]
    memory = planned(uses, {"cuda:0": 250})
    assert [step.left for step in memory.steps] == [(), (), (), ("b",), (), ("c",)]
    assert memory.peak_bytes == {"cuda:0": 200}


def test_activations_need_room_too() -> None:
    """Models make room for what computing takes besides weights."""
    memory = planned([{"model": "a"}, {"model": "b", "working": 60}], {"cuda:0": 250})
    assert memory.steps[1].left == ("a",)
    assert memory.peak_bytes == {"cuda:0": 160}


def test_what_does_not_fit_is_told() -> None:
    """A step that needs more than there is is named, with the device and what is missing."""
    (overflow,) = planned([{}, {"model": "big", "size": 300, "working": 50}], {"cuda:0": 250}).overflows
    assert (overflow.node, overflow.device, overflow.lacking_bytes) == ("n1", "cuda:0", 100)


@pytest.mark.parametrize(
    ("offload", "on_device", "in_ram"),
    [
        ("none", 1000, 0),
        ("model", 1000, 1000),
        ({"mode": "group", "level": "leaf"}, 100, 1000),
        ({"mode": "group", "level": "leaf", "stream": True}, 200, 2000),
        ({"mode": "group", "level": "leaf", "stream": True, "low_cpu_mem": True}, 200, 1000),
        ({"mode": "group", "level": "block"}, 500, 1000),
        ({"mode": "group", "level": "leaf", "disk": "groups"}, 100, 100),
        ({"mode": "group", "level": "leaf", "disk": "groups", "stream": True}, 200, 100),
    ],
)
def test_each_policy(offload: Any, on_device: int, in_ram: int) -> None:
    """What a policy takes of the device and of RAM: pinning copies all once; a group is there while written."""
    memory = planned([{"size": 1000, "working": 7}], {}, offload)
    assert memory.peak_bytes["cuda:0"] == on_device + 7
    assert memory.peak_bytes.get("cpu", 0) == in_ram


def test_groups_come_once_a_pass() -> None:
    """Loading counts every pass of what comes in groups, and a model that stays only once."""
    uses = [{"passes": 10, "size": 10**9}]
    once = planned(uses, {}).load_s
    often = planned(uses, {}, {"mode": "group", "level": "leaf"}).load_s
    assert once == pytest.approx(1 / 2 + 1 / 20)
    assert often == pytest.approx(1 / 2 + 10 / 20)


def test_quantizing_needs_the_device() -> None:
    """Weights that a device makes are there as a whole once, whatever their policy."""
    made = Weights(1000, 1000, 100, is_made_there=True)
    place = placement(made, Offload(mode="group"), "cuda:0").footprint
    assert (place.held["cuda:0"], place.loading["cuda:0"]) == (100, 1000)


def test_unknown_needs_are_said() -> None:
    """A node without a forecast, or whose model cannot be found, counts nothing and says why."""
    nodes = {"a": node("Use", model="lost"), "b": node("Silent", {"after": "a"})}
    plan = make_plan(check(graph(nodes), Registry([Use, Silent])), DEVICES)
    memory = plan_memory(plan, weigh, {"cuda:0": 1})
    assert [step.unknown for step in memory.steps] == ["there is no such model", "it says nothing of what it needs"]
    assert memory.fits
    assert [seen.forecast for seen in forecasts(plan)] == [None, None]


def test_what_can_never_run_is_refused_all_at_once() -> None:
    """A node that cannot do what it is wired to is a fault of the graph, with its place; so is each other one."""
    with pytest.raises(GraphError) as caught:
        forecasts(chain([{"model": "mute"}, {"model": "m"}, {"model": "mute"}]))
    assert [fault.where for fault in caught.value.faults] == ["nodes.n0.wires.after", "nodes.n2.wires.after"]
    assert {fault.hint for fault in caught.value.faults} == {"take another"}


@pytest.mark.parametrize(
    ("source", "is_known"), [(node("Use"), True), (node("Use", model="lost"), False), (node("Silent"), False)]
)
def test_a_setting_may_be_known_by_forecast(source: dict[str, Any], is_known: bool) -> None:
    """What a node foretells of a plain output counts for the setting that it is wired to."""
    nodes = {"a": source, "b": node("Use", {"size": "a"})}
    seen = forecasts(make_plan(check(graph(nodes), Registry([Use, Silent])), DEVICES))[-1]
    assert (seen.forecast.holds if seen.forecast else None) == ((Model("m", 1),) if is_known else None)


def test_a_setting_that_only_running_needs_may_come_while_it_runs() -> None:
    """What a node needs is known although a wire will bring its name; not so where it brings a size."""
    for port, is_known in (("label", True), ("model", False)):
        nodes = {"w": node("Word"), "a": node("Named", {port: "w"}, size=7)}
        (_, seen) = forecasts(make_plan(check(graph(nodes), Registry([Word, Named])), DEVICES))
        assert (seen.forecast is not None) == is_known
        assert is_known or seen.reason == "its settings are known only while it runs"


def test_auto_takes_the_fastest_that_fits() -> None:
    """As room gets scarce, ``auto`` goes from nothing to groups, then to RAM that is not pinned, then to disk."""
    plan = chain([{"size": 1000}], "auto")
    assert chosen(plan, {"cuda:0": 1000})[0] == ["none"]
    assert chosen(plan, {"cuda:0": 999})[0] == ["group (leaf, stream)"]
    assert chosen(plan, {"cuda:0": 999, "cpu": 1999})[0] == ["group (leaf, stream, low_cpu_mem)"]
    assert chosen(plan, {"cuda:0": 999, "cpu": 999}, "groups")[0] == ["group (leaf, stream, disk)"]
    policies, memory = chosen(plan, {"cuda:0": 999, "cpu": 999})
    assert (policies, memory.fits) == (["group (leaf, stream, low_cpu_mem)"], False)


def test_auto_lets_models_wait_that_take_turns() -> None:
    """Models that push each other out wait in RAM, where that is quicker than reading them again."""
    uses = [{"model": "a"}, {"model": "b"}, {"model": "a"}, {"model": "b"}]
    policies, memory = chosen(chain(uses, "auto"), {"cuda:0": 150, "cpu": 1000})
    assert set(policies) == {"model"}
    assert memory.fits
    assert chosen(chain(uses, "auto"), {"cuda:0": 150, "cpu": 99})[0] == ["none"] * 4


def test_what_a_graph_says_stays() -> None:
    """A policy that a graph names is never changed."""
    policies, memory = chosen(chain([{"size": 1000}], "none"), {"cuda:0": 500})
    assert policies == ["none"]
    assert not memory.fits


def test_some_is_kept_back() -> None:
    """Of a device whose size is known, some is left for others; what is given counts as it is."""
    devices = DeviceTable([Device("cuda:0", 24 << 30), Device("cpu", 1 << 30), Device("mps")])
    assert usable_bytes(devices, {}) == {"cuda:0": 23 << 30, "cpu": 1 << 29}
    assert usable_bytes(devices, {"cuda:0": 5})["cuda:0"] == 5


USES = st.lists(
    st.fixed_dictionaries(
        {
            "model": st.sampled_from("abc"),
            "working": st.integers(0, 200),
            "passes": st.integers(1, 5),
        }
    ),
    min_size=1,
    max_size=6,
).map(lambda uses: [use | {"size": {"a": 100, "b": 250, "c": 400}[use["model"]]} for use in uses])
BUDGETS = st.fixed_dictionaries({"cuda:0": st.integers(50, 1500), "cpu": st.integers(50, 1500)})


@given(USES, BUDGETS, st.sampled_from(["none", "model", {"mode": "group", "level": "leaf"}]))
def test_peaks_cover_what_is_held(uses: Any, usable: dict[str, int], offload: Any) -> None:
    """No peak is below what any step needs alone."""
    memory = planned(uses, usable, offload)
    for step, use in zip(memory.steps, uses, strict=True):
        assert step.peak_bytes["cuda:0"] >= step.models[0].device_bytes + use["working"]
        assert memory.peak_bytes["cuda:0"] >= step.peak_bytes["cuda:0"]


@given(USES, BUDGETS)
def test_a_plan_that_fits_keeps_every_budget(uses: Any, usable: dict[str, int]) -> None:
    """Where the plan says that it fits, no step takes more of any device than may be used."""
    _, memory = chosen(chain(uses, "auto"), usable, "groups")
    exceeded = [d for step in memory.steps for d, peak in step.peak_bytes.items() if peak > usable.get(d, peak)]
    assert bool(exceeded) == (not memory.fits)


@given(USES, BUDGETS, st.integers(0, 500))
def test_more_memory_never_hurts(uses: Any, usable: dict[str, int], more: int) -> None:
    """A graph that fits still fits where there is more of everything, and takes no longer to load."""
    small = chosen(chain(uses, "none"), usable)[1]
    large = chosen(chain(uses, "none"), {device: size + more for device, size in usable.items()})[1]
    assert large.fits or not small.fits
    assert large.load_s <= small.load_s + 1e-9


@given(st.integers(10, 10_000), st.lists(st.integers(1, 100), min_size=1, max_size=8), st.integers(1, 9))
def test_groups_are_no_larger_than_the_model(weights: int, blocks: list[int], size: int) -> None:
    """However groups are made, no more than the whole is on the device at once."""
    total = weights + sum(blocks)
    model = Weights(total, total, max(blocks), tuple(blocks))
    for policy in (
        Offload(mode="group", level="block", blocks_per_group=size),
        Offload(mode="group", level="block", stream=True),
    ):
        assert max(blocks) <= group_bytes(model, policy) <= total


def test_a_processor_has_only_disk() -> None:
    """Nothing is gained by moving weights from RAM to RAM."""
    step = chain([{}], "auto", "cpu").steps[0]
    assert ladder(step, None) == []
    assert [policy.disk for policy in ladder(step, "groups")] == ["groups"]
