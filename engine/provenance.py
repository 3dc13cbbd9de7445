"""Where a picture comes from: what a run knows of itself, in words that hold on other machines and in other years."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from limner.engine.checked import CheckedNode, Wire
from limner.engine.context import Provenance
from limner.engine.flat import flat_document
from limner.engine.forecast import Forecast, forecasts
from limner.engine.keys import known_node, known_outputs
from limner.engine.node import Node
from limner.engine.plan import Plan

UNREADABLE: Final = "unreadable"
"""What a source held that could not be read when the picture was written: it is no reason to lose the picture."""


Outputs = Callable[[int], tuple[Any, ...] | None]
"""What a step gave, by its index; None where that is not known (any more)."""


@dataclass(frozen=True)
class Machine:
    """What pictures say of the machine that made them."""

    hardware: Mapping[str, str] = field(default_factory=dict)
    """What each device is, by name."""
    software: Mapping[str, str] = field(default_factory=dict)
    """The versions of all packages that may change a picture."""


def provenance_of(plan: Plan, keys: Sequence[str], ids: Mapping[str, str], machine: Machine) -> Provenance:
    """What a run of ``plan`` is, whether or not it has run. ``ids`` are the nodes' names in the flat document.

    Files that nodes name are read for their hashes, where these are not known yet.
    """
    names = [ids[step.node.id] for step in plan.steps]
    lanes = {step.lane for step in plan.steps}
    resolved, sources = {}, {}
    for name, step, seen in zip(names, plan.steps, forecasts(plan), strict=True):
        node = known_node(step.node, plan.graph.nodes)
        untold = {wire.port for wire in _told_by_running(step.node, plan)}
        settings = _resolved(step.node, node, seen.forecast or Forecast())
        resolved[name] = {setting: value for setting, value in settings.items() if setting not in untold}
        sources[name] = _sources(node)
    return Provenance(
        graph=flat_document(plan.graph).to_json(),
        keys=dict(zip(names, keys, strict=True)),
        devices={name: step.lane for name, step in zip(names, plan.steps, strict=True)},
        hardware={lane: what for lane, what in machine.hardware.items() if lane in lanes},
        software=machine.software,
        resolved={name: settings for name, settings in resolved.items() if settings},
        sources={name: held for name, held in sources.items() if held},
    )


def with_told(provenance: Provenance, plan: Plan, ids: Mapping[str, str], outputs: Outputs) -> Provenance:
    """The same with the settings that only running tells, such as a prompt that a model wrote, as far as it has."""
    told: dict[str, dict[str, Any]] = {}
    for step in plan.steps:
        for wire in _told_by_running(step.node, plan):
            source, output = wire.sources[0]
            if (values := outputs(source)) is not None:
                told.setdefault(ids[step.node.id], {})[wire.port] = values[output]
    resolved = {name: {**provenance.resolved.get(name, {}), **settings} for name, settings in told.items()}
    return replace(provenance, resolved={**provenance.resolved, **resolved}) if told else provenance


def _resolved(checked: CheckedNode, node: Node | None, forecast: Forecast) -> dict[str, Any]:
    """The settings that the graph does not say. A wire brings those that it does not say either."""
    settings = (node or checked.settings).model_dump(mode="json")
    wired = {wire.port for wire in checked.wires if wire.is_setting}
    said = checked.settings.model_fields_set - wired
    own = {name: value for name, value in forecast.resolved.items() if settings.get(name) is None}
    return {name: value for name, value in settings.items() if name not in said and value is not None} | own


def _told_by_running(checked: CheckedNode, plan: Plan) -> Iterator[Wire]:
    """The wires that bring settings which are not known before."""
    nodes = plan.graph.nodes
    for wire in checked.wires:
        if wire.is_setting and known_outputs(nodes[wire.sources[0][0]].settings) is None:
            yield wire


def _sources(node: Node | None) -> Mapping[str, str]:
    if node is None or type(node).fingerprint is Node.fingerprint:
        return {}
    try:
        return node.sources()
    except Exception:  # a node of others may raise anything
        return {"content": UNREADABLE}
