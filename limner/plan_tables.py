"""A plan as people read it: what each node holds, what is in memory when, and whether it fits."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from limner.engine.memory_plan import MemoryPlan, PlannedStep
from limner.engine.offload import AUTO, NONE
from limner.engine.plan import Plan
from limner.engine.remedies import Remedy
from limner.tables import table_of
from limner.terminal import printable, size


def plan_page(plan: Plan) -> RenderableType:
    """All of a plan: nodes, what they hold and need, what is in memory while they run, and each device's peak."""
    if plan.memory is None:
        return Group(_placement(plan))
    parts: list[RenderableType] = [_steps(plan.memory), "", _devices(plan.memory)]
    if notes := list(_notes(plan.memory)):
        parts += ["", *notes]
    return Group(*parts)


def _placement(plan: Plan) -> Table:
    """Where each node runs, for graphs that hold no model."""
    table = table_of("node", "type", "runs on")
    for step in plan.steps:
        table.add_row(Text(step.node.id, style="cyan"), step.node.type.name, step.lane)
    return table


def _steps(memory: MemoryPlan) -> Table:
    table = table_of("node", "runs on", "weights", "activations", "in memory while it runs", "loading")
    for step in memory.steps:
        table.add_row(
            Text(step.node, style="cyan"),
            _where(step),
            " + ".join(size(model.weight_bytes) for model in step.models),
            "unknown" if step.unknown else size(step.working_bytes) if step.working_bytes else "",
            _resident(step) if step.models else "",
            f"{step.load_s:.1f} s" if step.models else "",
        )
    return table


def _where(step: PlannedStep) -> str:
    return step.lane if step.offload == NONE else f"{step.lane}, offload {step.offload}"


def _resident(step: PlannedStep) -> str:
    """What lies where, by the names of the models' components."""
    held = {model.name for model in step.models}
    return "\n".join(f"{device}: {_contents(models, held)}" for device, models in step.resident.items())


def _contents(models: Mapping[str, int], held: Collection[str]) -> str:
    """Every model with its size; of many only those that are held, and how much the others take."""
    others = {name: count for name, count in models.items() if name not in held}
    if len(others) < 3:
        return ", ".join(f"{_short(name)} {size(count)}" for name, count in models.items())
    shown = [f"{_short(name)} {size(count)}" for name, count in models.items() if name in held]
    return ", ".join([*shown, f"{len(others)} others {size(sum(others.values()))}"])


def _short(name: str) -> str:
    """``the text encoder of black-forest-labs/FLUX.2-dev in nf4`` -> ``text encoder in nf4``."""
    head, _, rest = name.removeprefix("the ").partition(" of ")
    _, _, how = rest.partition(" ")
    return printable(f"{head} {how}".strip(), one_line=True)


def _devices(memory: MemoryPlan) -> Table:
    table = table_of("device", "peak", "of", "during", "")
    for device, peak in memory.peak_bytes.items():
        during = next(step.node for step in memory.steps if step.peak_bytes.get(device) == peak)
        limit = memory.usable_bytes.get(device)
        table.add_row(
            Text(device if device != "cpu" else "cpu (RAM)", style="cyan"),
            size(peak),
            "unknown" if limit is None else size(limit),
            during,
            "" if limit is None else Text("fits", "green") if peak <= limit else Text("does not fit", "red"),
        )
    return table


def _notes(memory: MemoryPlan) -> Iterator[RenderableType]:
    """What is not counted; what each node computes on, once for all of which the same is true; what makes room."""
    alike: dict[str, list[str]] = {}
    for step in memory.steps:
        if step.unknown:
            yield Text(f"{step.node} is not counted: {printable(step.unknown, one_line=True)}", style="yellow")
        elif step.note and step.models:
            alike.setdefault(step.note, []).append(step.node)
    for note, nodes in alike.items():
        yield Text(f"{_named(nodes)}: {note}", style="dim")
    for step in memory.steps:
        for name in step.left:
            yield Text(f"{step.node}: {_short(name)} leaves before it", style="dim")
    yield Text(f"loading: {memory.load_s:.1f} s at 2 GB/s from disk and 20 GB/s to a device", style="dim")


def _named(nodes: Sequence[str]) -> str:
    shown = ", ".join(nodes[:2])
    return shown if len(nodes) < 3 else f"{shown} and {len(nodes) - 2} more"


def shortfall(plan: Plan, remedies: Sequence[Remedy]) -> Iterator[Text]:
    """What does not fit, by how much, and the changes that would fit, ready to paste."""
    if plan.memory is None or plan.memory.fits:
        return
    for overflow in plan.memory.overflows:
        yield Text.assemble(("✗ ", "red"), str(overflow))
    if not remedies:
        yield Text("no change of one, two or three nodes makes it fit: take a smaller model or picture", style="dim")
        return
    yield Text("it fits with one of these (--apply FILE.json writes the graph with the first):")
    for remedy in remedies:
        for edit in remedy.edits:
            yield Text(f"  {printable(str(edit), one_line=True)}", style="cyan")
        peaks = ", ".join(f"{device} {size(peak)}" for device, peak in remedy.memory.peak_bytes.items())
        yield Text(f"    then {peaks}; loading {remedy.memory.load_s:.0f} s", style="dim")


def offload_lines(plan: Plan) -> Iterator[str]:
    """What the plan chose by itself, because weights and activations together do not fit."""
    for step in plan.steps:
        if step.node.offload == AUTO and step.offload != NONE:
            yield f"{step.node.id}: to fit {step.lane}, its weights are offloaded: {step.offload}"
