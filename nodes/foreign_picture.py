"""What other programs write into their pictures: recognized, so that it can be said what a picture is."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

_PROMPT_INPUTS: Final = ("text", "prompt", "positive", "negative", "clip_l", "t5xxl", "text_g", "text_l")
_MODEL_ENDINGS: Final = ("ckpt_name", "unet_name", "clip_name", "vae_name", "lora_name", "model_name")
_SETTINGS_LINE: Final = re.compile(r"Steps: \d+, ")
_OURS: Final = "Version: Limner"
_MAX_NODES: Final = 20_000
_KEPT: Final = 20
"""How many prompts and models are named."""


@dataclass(frozen=True)
class Foreign:
    """A picture of another program."""

    maker: str
    summary: str
    """In a few words."""
    details: tuple[tuple[str, str], ...]
    """What is inside, as name and text."""


def recognize(texts: Mapping[str, str]) -> Foreign | None:
    """What a picture's texts say of the program that made it; None where they say nothing that is known here."""
    if "prompt" in texts or "workflow" in texts:
        return _comfyui(texts)
    parameters = texts.get("parameters") or texts.get("UserComment", "")
    if _SETTINGS_LINE.search(parameters) or texts.get("parameters"):
        return _a1111(parameters)
    return None


def _comfyui(texts: Mapping[str, str]) -> Foreign | None:
    """Its graph is there twice: ``prompt`` as it ran, ``workflow`` as its editor shows it."""
    nodes = list(_comfyui_nodes(texts))
    if not nodes:
        return None
    types = Counter(kind for kind, _ in nodes)
    details = [("nodes", ", ".join(f"{kind} x{n}" if n > 1 else kind for kind, n in sorted(types.items())))]
    for name, found in (("prompt", _prompts(nodes)), ("model", _models(nodes))):
        details += [(name, text) for text in list(dict.fromkeys(found))[:_KEPT]]
    return Foreign("ComfyUI", f"a graph of {len(nodes)} node{'s' if len(nodes) > 1 else ''}", tuple(details))


def _comfyui_nodes(texts: Mapping[str, str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The class and the inputs of each node."""
    graph = _json(texts.get("prompt", ""))
    described = [("class_type", "inputs", node) for node in graph.values()]
    if not described:
        shown = _json(texts.get("workflow", "")).get("nodes")
        described = [("type", "widgets_values", node) for node in shown] if isinstance(shown, list) else []
    for kind, inputs, node in described[:_MAX_NODES]:
        if isinstance(node, dict) and isinstance(node.get(kind), str):
            values = node.get(inputs)
            yield node[kind], values if isinstance(values, dict) else {"text": values}


def _prompts(nodes: list[tuple[str, Mapping[str, Any]]]) -> Iterator[str]:
    for kind, inputs in nodes:
        for name in _PROMPT_INPUTS if "text" in kind.lower() or "prompt" in kind.lower() else ():
            values = inputs.get(name)
            for value in values if isinstance(values, list) and "TextEncode" in kind else [values]:
                if isinstance(value, str) and value.strip():
                    yield value.strip()


def _models(nodes: list[tuple[str, Mapping[str, Any]]]) -> Iterator[str]:
    for _, inputs in nodes:
        for name, value in inputs.items():
            if isinstance(value, str) and name.rstrip("0123456789").endswith(_MODEL_ENDINGS):
                yield value


def _a1111(text: str) -> Foreign:
    """Lines of the prompt, perhaps of a negative one, and a last line of settings."""
    lines = text.strip().splitlines()
    settings = lines.pop() if lines and _SETTINGS_LINE.match(lines[-1]) else ""
    prompt, _, negative = "\n".join(lines).partition("Negative prompt:")
    parts = (("prompt", prompt.strip()), ("negative prompt", negative.strip()), ("settings", settings))
    details = tuple((name, part) for name, part in parts if part)
    first = prompt.strip().partition("\n")[0]
    shown = first if len(first) <= 60 else f"{first[:57]}..."
    maker = "Limner, its graph taken out since" if _OURS in settings else "AUTOMATIC1111 or a program like it"
    return Foreign(maker, f'the prompt "{shown}"', details)


def _json(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
