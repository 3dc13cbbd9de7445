"""TextEncode: the prompt is a constant, and the pipeline encodes it."""

from __future__ import annotations

from limner.nodes._plain.step import Emitter, Prompt, Step


def emit(step: Step) -> tuple[Prompt]:
    """The prompt, to be encoded where it is drawn."""
    return (Prompt(step, step.inputs["text_encoder"], step.constant("prompt")),)


TEXT_ENCODE = Emitter(emit, frozenset({"prompt", "negative_prompt", "max_length"}), frozenset({"text_encoder"}))
