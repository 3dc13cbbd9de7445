"""What ``auto`` means: for each node the fastest way to keep its models that fits, found on the simulated pool."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from limner.engine.errors import Fault, GraphError, LimnerError
from limner.engine.forecast import Seen, Weigh, forecasts
from limner.engine.memory_plan import MemoryPlan, Overflow, simulate
from limner.engine.models import ModelSpec
from limner.engine.node import Node
from limner.engine.offload import AUTO, NONE, STREAMS, Offload
from limner.engine.placement import RAM
from limner.engine.plan import Plan, Step

MODEL: Final = Offload(mode="model")
UNKNOWN_WORKING_BYTES: Final = 3 << 30
"""What is kept free for a node that does not say what it needs."""


@dataclass(frozen=True)
class Chooser:
    """What it takes to try policies on a plan."""

    plan: Plan
    seen: Sequence[Seen]
    weigh: Weigh
    usable: Mapping[str, int]
    disk: str | None = None
    """A folder for groups that wait on disk; None where none may be used."""

    def simulate(self, policies: Sequence[Offload]) -> MemoryPlan:
        """The plan's memory under these policies, one a step."""
        return simulate(self.plan.steps, self.seen, self.weigh, self.usable, policies)

    def choose(self) -> tuple[list[Offload], MemoryPlan]:
        """A policy for each step, those that the graph names as they are, and the memory that these take.

        A node that does not fit goes one policy down; where RAM does not suffice, so do those whose weights wait there.
        Then nodes whose models are loaded more than once try to wait in RAM, where that is faster.
        """
        policies = [step.offload for step in self.plan.steps]
        ladders = {i: self._ladder(i) for i in range(len(policies)) if self._is_free(i)}
        memory = self.simulate(policies)
        while (moved := self._lower(memory, policies, ladders)) is not None:
            policies[moved] = ladders[moved].pop(0)
            memory = self.simulate(policies)
        if memory.fits:
            return self._faster(policies, memory, ladders)
        return policies, memory

    def faults(self) -> Iterator[Fault]:
        """Policies that the graph names and its models do not allow."""
        for index, step in enumerate(self.plan.steps):
            if not (wanted := sorted(ways(step.node.offload))):
                continue
            refusals = [self._immovable(spec, step.device) for spec in self.holds(index)]
            for message, hint in dict.fromkeys(one[way] for one in refusals for way in wanted if way in one):
                yield Fault(f"offload: {message}", ("nodes", step.node.id, "offload"), hint)

    def _is_free(self, index: int) -> bool:
        return self.plan.steps[index].node.offload == AUTO and bool(self.holds(index))

    def _ladder(self, index: int) -> list[Offload]:
        """The policies that a step's device and all its models allow."""
        step, holds = self.plan.steps[index], self.holds(index)
        immovable = set[str]().union(*(self._immovable(spec, step.device) for spec in holds))
        return [policy for policy in ladder(step, self.disk) if not ways(policy) & immovable]

    def _immovable(self, spec: ModelSpec[Any], device: str) -> Mapping[str, tuple[str, str]]:
        try:
            return self.weigh(spec, device).immovable
        except LimnerError:  # what is wrong with it is said where it is weighed
            return {}

    def holds(self, index: int) -> tuple[ModelSpec[Any], ...]:
        """The models that a step holds, as far as is known."""
        forecast = self.seen[index].forecast
        return () if forecast is None else forecast.holds

    def _lower(
        self, memory: MemoryPlan, policies: Sequence[Offload], ladders: Mapping[int, list[Offload]]
    ) -> int | None:
        """The step that has to take less, and can."""
        for overflow in memory.overflows:
            for index in self._causes(overflow, memory, policies):
                if ladders.get(index):
                    return index
        return None

    def _causes(self, overflow: Overflow, memory: MemoryPlan, policies: Sequence[Offload]) -> Iterable[int]:
        """The step itself; in RAM, those before it whose weights wait there, largest first."""
        here = next(i for i, step in enumerate(memory.steps) if step.node == overflow.node)
        waiting = [i for i in range(here + 1) if any(model.ram_bytes for model in memory.steps[i].models)]
        waiting.sort(key=lambda i: -max(model.ram_bytes for model in memory.steps[i].models))
        if overflow.device != RAM:
            return (here,)
        return (here, *waiting) if self.plan.steps[here].device == RAM else waiting

    def _faster(
        self, policies: list[Offload], memory: MemoryPlan, ladders: Mapping[int, list[Offload]]
    ) -> tuple[list[Offload], MemoryPlan]:
        loads: dict[tuple[str, str], list[int]] = {}
        for index, step in enumerate(memory.steps):
            for model in step.models:
                if model.is_loaded:
                    loads.setdefault((model.name, step.device), []).append(index)
        for indices in loads.values():
            if len(indices) > 1 and all(policies[i] == NONE and MODEL in ladders.get(i, ()) for i in indices):
                tried = [MODEL if i in indices else policy for i, policy in enumerate(policies)]
                outcome = self.simulate(tried)
                if outcome.fits and outcome.load_s < memory.load_s:
                    policies, memory = tried, outcome
        return policies, memory


def ways(policy: Offload) -> frozenset[str]:
    """What a policy does to weights, in the words of ``Weights.immovable``."""
    moves = {policy.mode} & {"model", "group"}
    return frozenset(moves | {"disk"} if policy.disk is not None else moves)


def ladder(step: Step, disk: str | None) -> list[Offload]:
    """The policies below ``none`` that a step's device can have, the fastest first."""
    stream = step.device.partition(":")[0] in STREAMS
    on_disk = [Offload(mode="group", stream=stream, disk=disk)] if disk is not None else []
    if step.device == RAM:
        return on_disk
    groups = [Offload(mode="group", stream=stream)]
    if stream:
        groups.append(Offload(mode="group", stream=True, low_cpu_mem=True))
    return [MODEL, *groups, *on_disk]


def with_memory(plan: Plan, weigh: Weigh, usable: Mapping[str, int], disk: str | None = None) -> Plan:
    """The plan with a policy for each step and the memory it takes. Free where no node of it foretells anything.

    Raises GraphError for policies that the models do not allow.
    """
    if all(step.node.type.cls.forecast is Node.forecast for step in plan.steps):
        return plan
    chooser = Chooser(plan, forecasts(plan), weigh, usable, disk)
    if faults := list(chooser.faults()):
        raise GraphError(faults)
    policies, memory = chooser.choose()
    steps = []
    for step, seen, policy in zip(plan.steps, chooser.seen, policies, strict=True):
        steps.append(replace(step, offload=policy, working_bytes=_working_bytes(step, seen, usable)))
    return Plan(plan.graph, tuple(steps), memory)


def without_working_bytes(plan: Plan) -> Plan:
    """The same plan, with no room kept for computing: for who knows better than the plan what fits."""
    return replace(plan, steps=tuple(replace(step, working_bytes=0) for step in plan.steps))


def _working_bytes(step: Step, seen: Seen, usable: Mapping[str, int]) -> int:
    """What a step's device keeps free for computing; where that is not known, a guess that leaves half for weights."""
    if seen.forecast is not None:
        return seen.forecast.working_bytes
    if not step.node.type.cls.on_device:
        return 0
    return min(UNKNOWN_WORKING_BYTES, usable.get(step.device, 0) // 2)
