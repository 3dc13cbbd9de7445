"""From a workflow of the editor's to the prompt that it would send: one level, every wire from node to node."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from limner.comfy.classes import Classes
from limner.comfy.read_workflow import read_workflow
from limner.comfy.subgraphs import Instance, Literal, Origin, Origins, instances
from limner.comfy.widgets import Widgets
from limner.comfy.workflow import (
    BYPASSED,
    GETTER,
    MUTED,
    NOTES,
    PRIMITIVE,
    REROUTE,
    SETTER,
    WorkflowNode,
    is_subgraph,
)
from limner.engine.errors import Fault, GraphError

_VIRTUAL: Final = frozenset({REROUTE, PRIMITIVE, SETTER, GETTER})
"""What the editor only draws with."""


@dataclass(frozen=True)
class Flat:
    """A prompt, and what of its workflow is no part of one."""

    prompt: dict[str, Any]
    positions: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """By id, where nodes stand on their canvas."""
    labels: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """By node and input, what a subgraph calls it to those who use it."""
    left_out: tuple[str, ...] = ()
    """Nodes that nothing is wired to and that are not known here: notes and tools of the editor."""
    faults: tuple[Fault, ...] = ()


def flatten(raw: Mapping[str, Any], classes: Classes) -> Flat:
    """The prompt of a workflow, of which ``is_workflow`` holds. What is muted or bypassed is not in it."""
    workflow = read_workflow(raw)
    faults = list(workflow.faults)
    try:
        used = instances(workflow)
    except GraphError as error:
        return Flat({}, faults=(*faults, *error.faults))
    widgets, origins = Widgets(classes), Origins()
    prompt: dict[str, Any] = {}
    positions: dict[str, tuple[float, float]] = {}
    left_out: list[str] = []
    for instance in used:
        wired = {begin for begin, _ in instance.level.links.values()}
        for node in instance.level.nodes.values():
            if not _runs(node, instance):
                continue
            if node.type not in classes and _is_alone(node, wired) and not is_subgraph(node.type):
                left_out.append(f"{node.type} {instance.path}{node.id}")
                continue
            name = instance.path + node.id
            try:
                prompt[name] = _node(node, instance, classes, widgets, origins)
            except GraphError as error:
                faults += error.faults
            positions[name] = node.position
    return Flat(prompt, positions, dict(_labels(used)), tuple(left_out), tuple(dict.fromkeys(faults)))


def _runs(node: WorkflowNode, instance: Instance) -> bool:
    """Whether a node is part of the prompt."""
    is_virtual = node.type in NOTES or node.type in _VIRTUAL or node.id in instance.children
    return not is_virtual and node.mode not in (MUTED, BYPASSED)


def _is_alone(node: WorkflowNode, wired: Container[str]) -> bool:
    return all(one.link is None for one in node.inputs) and node.id not in wired


def _node(
    node: WorkflowNode, instance: Instance, classes: Classes, widgets: Widgets, origins: Origins
) -> dict[str, Any]:
    """A node as a prompt has it. Raises GraphError where a wire goes in circles."""
    found = classes.get(node.type)
    inputs = {} if found is None else widgets.values(node, found)
    inputs |= {name: value for (inner, name), value in instance.overrides.items() if inner == node.id}
    for one in node.inputs:
        if one.link is None:
            continue
        begin = origins.of(instance, one.link)
        if isinstance(begin, Origin):
            inputs[one.name] = [begin.node, begin.slot]
        elif isinstance(begin, Literal):
            inputs[one.name] = begin.value
    return {"class_type": node.type, "inputs": inputs} | ({"_meta": {"title": node.title}} if node.title else {})


def _labels(used: list[Instance]) -> Iterator[tuple[tuple[str, str], str]]:
    """What inputs of nodes in subgraphs are called outside, where the subgraph's node says or shows them."""
    for instance in used:
        for node in instance.level.nodes.values():
            for one in node.inputs:
                begin = instance.level.links.get(one.link or "")
                if instance.node is None or begin is None or begin[0] != instance.level.input_node:
                    continue
                if 0 <= begin[1] < len(instance.level.inputs):
                    outer = instance.level.inputs[begin[1]]
                    yield (instance.path + node.id, one.name), outer.label or outer.name
