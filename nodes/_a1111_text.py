"""A few lines as AUTOMATIC1111's web UI writes them into pictures, for the many programs that show just these."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from limner.engine.context import Provenance


@dataclass(frozen=True)
class _Node:
    type: str
    settings: Mapping[str, Any]
    sources: Mapping[str, str]


def a1111_text(provenance: Provenance) -> str | None:
    """Prompt, negative prompt and one line of settings; None where a picture was not drawn by exactly one Denoise.

    Nor are there any of a prompt that is not known.
    """
    nodes = _that_made_it(provenance)
    drawn = [node for node in nodes if node.type in ("Denoise", "Inpaint")]
    told = [node for node in nodes if node.type in ("TextEncode", "RemoteEncode")]
    if [node.type for node in drawn] != ["Denoise"] or len(told) != 1 or "prompt" not in told[0].settings:
        return None
    prompt, negative = (str(told[0].settings.get(name, "")) for name in ("prompt", "negative_prompt"))
    fields = _drawing(drawn[0].settings, _place(nodes, provenance.number)) | _models(nodes)
    fields["Version"] = f"Limner {provenance.software.get('limner', '')}".strip()
    lines = [prompt, *([f"Negative prompt: {negative}"] if negative else [])]
    return "\n".join([*lines, ", ".join(f"{name}: {_quoted(value)}" for name, value in fields.items())])


def _that_made_it(provenance: Provenance) -> list[_Node]:
    """The nodes that the picture depends on, their settings as they were."""
    nodes = json.loads(provenance.graph).get("nodes", {})
    found, waiting = dict[str, _Node](), [provenance.saved_by]
    while waiting:
        name = waiting.pop()
        if name in found or name not in nodes:
            continue
        node = nodes[name]
        settings = {**node.get("settings", {}), **provenance.resolved.get(name, {})}
        found[name] = _Node(node["type"], settings, provenance.sources.get(name, {}))
        for wire in node.get("wires", {}).values():
            waiting += [end.partition(".")[0] for end in (wire if isinstance(wire, list) else [wire])]
    return list(found.values())


def _place(nodes: list[_Node], number: int) -> int | None:
    """Which picture of the drawn batch it is, counted from 1: what was picked, or else what was saved."""
    picked = [node.settings.get("number", 1) for node in nodes if node.type == "PickLatent"]
    if not picked:
        return number
    return picked[0] if len(picked) == 1 else None


def _drawing(settings: Mapping[str, Any], number: int | None) -> dict[str, Any]:
    seed = settings.get("seed")
    fields = {
        "Steps": settings.get("steps"),
        "Sampler": "Euler",
        "CFG scale": settings.get("guidance"),
        "Seed": seed + number - 1 if isinstance(seed, int) and number is not None else None,
        "Size": f"{settings['width']}x{settings['height']}" if {"width", "height"} <= set(settings) else None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _models(nodes: list[_Node]) -> dict[str, Any]:
    """Names without their folders, and the first digits of their hashes."""
    fields: dict[str, Any] = {}
    loras = []
    for node in nodes:
        for source, held in node.sources.items():
            name, digest = PurePath(source).stem, held.rpartition(":")[2].rpartition("@")[2][:10]
            if node.type in ("LoadTransformer", "LoadModel"):
                fields.setdefault("Model hash", digest)
                fields.setdefault("Model", name)
            elif node.type == "ApplyLoRA":
                loras.append(f"{name}: {digest}")
    return fields | ({"Lora hashes": ", ".join(loras)} if loras else {})


def _quoted(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if any(char in text for char in ',:\n"') else text
