"""TextEncode: the prompt is a constant, and the pipeline encodes it."""

from __future__ import annotations

from limner.nodes._plain.step import Emitter, Prompt, Step


def emit(step: Step) -> tuple[Prompt]:
    """The prompt, to be encoded where it is drawn."""
    prompt = step.constant("prompt")
    has_negative = "negative_prompt" in step.wired or bool(vars(step.node)["negative_prompt"])
    return (
        Prompt(step, step.inputs["text_encoder"], prompt, step.constant("negative_prompt") if has_negative else None),
    )


TEXT_ENCODE = Emitter(emit, frozenset({"prompt", "negative_prompt", "max_length"}), frozenset({"text_encoder"}))
