"""What running would need, told without running: each node says it from what is known of its inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from limner.engine.errors import Fault, GraphError, LimnerError
from limner.engine.keys import known_node
from limner.engine.models import ModelSpec
from limner.engine.node import Node
from limner.engine.plan import Plan, Step
from limner.engine.value import PLAIN_TYPES


@dataclass(frozen=True)
class Added:
    """What one of several things that a node reads adds to what it needs."""

    name: str
    """``image 1``."""
    tokens: int
    working_bytes: int


@dataclass(frozen=True)
class Forecast:
    """What a node will hold, need and give."""

    outputs: tuple[Any, ...] = ()
    """What is known of each output: a spec itself, or its sizes; None where nothing is."""
    holds: tuple[ModelSpec[Any], ...] = ()
    """The models that it holds, all at once."""
    working_bytes: int = 0
    """What its device has to have free besides the weights, at most at one time."""
    passes: int = 1
    """How often each held model is run through: what is offloaded in groups comes that often."""
    note: str = ""
    """What the figures follow from, in a few words: ``4,608 tokens``."""
    adds: tuple[Added, ...] = ()
    """What each reference adds, and last what one more would."""
    resolved: Mapping[str, Any] = field(default_factory=dict)
    """What settings come to that were left empty, as far as that is known: the model's own steps, guidance, size."""


@dataclass(frozen=True)
class Weights:
    """The bytes of a model's weights, as they lie on a device."""

    weight_bytes: int
    stored_bytes: int
    """What is read from disk to make it live."""
    leaf_bytes: int
    """The largest of its leaf modules."""
    block_bytes: tuple[int, ...] = ()
    """Its blocks, in order."""
    making_bytes: int = 0
    """What making them takes on the device that makes them (quantizes), besides themselves."""
    adapter_bytes: int = 0
    """What a variant (LoRA) adds while it is held."""
    origin: str = ""
    """What this was counted from: ``headers`` or ``configuration``."""
    immovable: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Ways of waiting that these weights do not allow (``model``, ``group``, ``disk``): why, and what to try."""
    is_made_there: bool = False
    """Whether the device makes them as they are (quantizes), so that all are there once, whatever the policy."""
    loaded_bytes: int = 0
    """What they take at first, where that is more: some are read whole, and then cast."""

    @property
    def rest_bytes(self) -> int:
        """What belongs to no block."""
        return self.weight_bytes - sum(self.block_bytes)


Weigh = Callable[[ModelSpec[Any], str], Weights]
"""What the weights of a spec's base take on a device, and what the spec adds. Raises LimnerError."""


@dataclass(frozen=True)
class Seen:
    """The forecast of one step; without one, why."""

    forecast: Forecast | None
    reason: str = ""


def forecasts(plan: Plan) -> list[Seen]:
    """The forecast of every step, in order: what a node says follows from what was said before it. Runs nothing.

    Raises GraphError with the faults of all nodes that can never do what they are wired to.
    """
    found: list[Seen] = []
    faults: list[Fault] = []
    for step in plan.steps:
        try:
            found.append(_ask(plan, step, found))
        except GraphError as error:
            faults += [fault.under(("nodes", step.node.id)) for fault in error.faults]
            found.append(Seen(None, error.faults[0].message))
    if faults:
        raise GraphError(faults)
    return found


def _ask(plan: Plan, step: Step, before: Sequence[Seen]) -> Seen:
    node = known_node(step.node, plan.graph.nodes) or _foretold(step, before)
    if node is None:
        return Seen(None, "its settings are known only while it runs")
    known = node.known_outputs()
    if known is not None:
        return Seen(Forecast(known))
    try:
        forecast = node.forecast(step.device, _inputs(step, before))
    except GraphError:
        raise
    except LimnerError as error:
        return Seen(None, error.message)
    return Seen(forecast, "" if forecast is not None else "it says nothing of what it needs")


def _foretold(step: Step, before: Sequence[Seen]) -> Node | None:
    """The node with settings that are known only by forecast, such as a width that is read off a picture's header."""
    values = {
        wire.port: _output(before[source], output)
        for wire in step.node.wires
        if wire.is_setting
        for source, output in wire.sources
    }
    told = {name: value for name, value in values.items() if isinstance(value, PLAIN_TYPES)}
    if values.keys() - told.keys() - step.node.type.cls.only_for_run:
        return None
    try:
        return step.node.type.cls(**(dict(step.node.settings) | told))
    except ValidationError:  # running the node will say so
        return None


def _inputs(step: Step, before: Sequence[Seen]) -> Mapping[str, Any]:
    """What is known of each wired input: one value, or a list of them for an input that takes several."""
    inputs: dict[str, Any] = {}
    for wire in step.node.wires:
        values = [_output(before[source], output) for source, output in wire.sources]
        inputs[wire.port] = values if wire.is_many else values[0]
    return inputs


def _output(seen: Seen, output: int) -> Any:
    known = () if seen.forecast is None else seen.forecast.outputs
    return known[output] if output < len(known) else None
