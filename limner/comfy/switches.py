"""Switches of a prompt whose position is known: only the side that is given on is made, as in ComfyUI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from limner.comfy.prompt_nodes import is_link

_SWITCH: Final = "ComfySwitchNode"
_BOOLEAN: Final = "PrimitiveBoolean"


def decided(prompt: Mapping[str, Any]) -> dict[str, Any]:
    """The prompt with both inputs of such switches wired to the side that counts, so that nothing needs the other one.

    What is no sound node is left for others to judge.
    """
    return {name: _decided(node, prompt) for name, node in prompt.items()}


def _decided(node: Any, prompt: Mapping[str, Any]) -> Any:
    inputs = _inputs(node, _SWITCH)
    if inputs is None or not isinstance(switch := _position(inputs.get("switch", False), prompt), bool):
        return node
    chosen = inputs.get("on_true" if switch else "on_false")
    return {**node, "inputs": inputs | {"on_false": chosen, "on_true": chosen}} if is_link(chosen) else node


def _position(switch: Any, prompt: Mapping[str, Any]) -> Any:
    """What a switch is set to, also by a boolean that is wired to it."""
    if not is_link(switch):
        return switch
    source = _inputs(prompt.get(switch[0]), _BOOLEAN)
    return None if source is None else source.get("value", False)


def _inputs(node: Any, class_type: str) -> dict[str, Any] | None:
    """The inputs of a node of a class; None for all else."""
    if not isinstance(node, dict) or node.get("class_type") != class_type:
        return None
    inputs = node.get("inputs", {})
    return inputs if isinstance(inputs, dict) else None
