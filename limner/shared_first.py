"""What of a graph is worth running for all variants of a sweep before any of them goes on."""

from __future__ import annotations

from collections.abc import Iterable

from limner.engine.document import Document
from limner.engine.plan import Plan


def needing_models_first(plan: Plan) -> Document | None:
    """The part of a flat graph up to the nodes that hold models and wait for none that do, such as its text encoding.

    None where all models of the graph can stay, so that the order of the work loads nothing twice.
    """
    if plan.memory is None or not any(step.left for step in plan.memory.steps):
        return None
    first: list[int] = []
    holding: set[int] = set()
    for index, (step, planned) in enumerate(zip(plan.steps, plan.memory.steps, strict=True)):
        if holding.intersection(step.needs):
            holding.add(index)
        elif planned.models:
            first.append(index)
            holding.add(index)
    names = {plan.steps[index].node.id for index in _with_needs(plan, first)}
    document = plan.graph.document
    nodes = {name: node for name, node in document.nodes.items() if name in names}
    return document.model_copy(update={"nodes": nodes, "parameters": {}, "outputs": {}})


def _with_needs(plan: Plan, indices: Iterable[int]) -> set[int]:
    """The steps, and all that they wait for."""
    found: set[int] = set()
    waiting = list(indices)
    while waiting:
        index = waiting.pop()
        if index not in found:
            found.add(index)
            waiting += plan.steps[index].needs
    return found
