"""A plan as data: what ``limner plan --json`` prints and a server answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from limner.engine.memory_plan import MemoryPlan, PlannedStep
from limner.engine.plan import Plan
from limner.engine.remedies import Remedy


def plan_as_data(name: str, made: Plan, remedies: Sequence[Remedy]) -> dict[str, Any]:
    """A plan as JSON can hold it, with what would make it fit."""
    names = [step.node.id for step in made.steps]
    steps = [
        {
            "node": step.node.id,
            "type": step.node.type.name,
            "lane": step.lane,
            "offload": step.offload.model_dump(exclude_defaults=True),
            "needs": [names[i] for i in step.needs],
            "frees": [names[i] for i in step.frees],
        }
        for step in made.steps
    ]
    if made.memory is None:
        return {"graph": name, "steps": steps}
    planned = [{**step, **_step_as_data(one)} for step, one in zip(steps, made.memory.steps, strict=True)]
    return {"graph": name, "steps": planned, "memory": _memory_as_data(made.memory, remedies)}


def _memory_as_data(memory: MemoryPlan, remedies: Sequence[Remedy]) -> dict[str, object]:
    """A memory plan as JSON can hold it; bytes and seconds are numbers."""
    return {
        "fits": memory.fits,
        "peak_bytes": memory.peak_bytes,
        "usable_bytes": dict(memory.usable_bytes),
        "load_s": round(memory.load_s, 3),
        "overflows": [
            {
                "node": overflow.node,
                "device": overflow.device,
                "needed_bytes": overflow.needed_bytes,
                "usable_bytes": overflow.usable_bytes,
            }
            for overflow in memory.overflows
        ],
        "remedies": [
            {
                "edits": [{"path": list(edit.path), "value": edit.value} for edit in remedy.edits],
                "peak_bytes": remedy.memory.peak_bytes,
                "load_s": round(remedy.memory.load_s, 3),
            }
            for remedy in remedies
        ],
    }


def _step_as_data(step: PlannedStep) -> Mapping[str, object]:
    """What a step takes, as JSON can hold it."""
    return {
        "models": [
            {
                "name": model.name,
                "weight_bytes": model.weight_bytes,
                "device_bytes": model.device_bytes,
                "ram_bytes": model.ram_bytes,
                "is_loaded": model.is_loaded,
                "origin": model.origin,
            }
            for model in step.models
        ],
        "working_bytes": step.working_bytes,
        "resident_bytes": {device: dict(models) for device, models in step.resident.items()},
        "peak_bytes": dict(step.peak_bytes),
        "left": list(step.left),
        "load_s": round(step.load_s, 3),
        "note": step.note,
        "adds": [asdict(added) for added in step.adds],
        "unknown": step.unknown,
    }
