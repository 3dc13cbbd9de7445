"""A prompt as the transformer reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from limner.engine.context import Context
from limner.engine.forecast import Forecast
from limner.engine.node import Keep, Node
from limner.nodes._flux2 import needs
from limner.nodes.values import Conditioning, TextEncoder


class TextEncode(Node):
    """Turn a prompt into a conditioning.

    A prompt is plain English, any other language, or FLUX.2's JSON form; ``#367588`` names a colour exactly.
    """

    category: ClassVar[str] = "text"
    on_device: ClassVar[bool] = True
    keep: ClassVar[Keep] = "disk"

    prompt: str = Field(default="", description="What the picture shows, in words or as JSON.")
    negative_prompt: str = Field(
        default="", description="What it must not show. Only klein base models read it, at a guidance above 1."
    )
    max_length: int | None = Field(
        default=None, ge=1, le=32768, description="Tokens; a longer prompt is cut. Empty: the model's own (512)."
    )

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast | None:
        """One prompt through the text encoder, or two. Raises ModelError."""
        spec = inputs.get("text_encoder")
        return needs.encode_prompt(spec, self.max_length, device) if isinstance(spec, TextEncoder) else None

    def run(self, ctx: Context, text_encoder: TextEncoder) -> Conditioning:
        """Encode the prompt, and the negative one where the model uses it."""
        if is_broken_json(self.prompt):
            ctx.warn("the prompt looks like JSON and is none: it is read as words")
        with ctx.hold(text_encoder) as live:
            from limner.nodes._flux2.text import encode_prompt

            prompt = encode_prompt(live, self.prompt, self.max_length, ctx.device)
            if live.uses_negative:
                return Conditioning(prompt, encode_prompt(live, self.negative_prompt, self.max_length, ctx.device))
        if self.negative_prompt:
            ctx.warn("this model uses no negative prompt: it is ignored")
        return Conditioning(prompt)


def is_broken_json(prompt: str) -> bool:
    """Whether a prompt begins like FLUX.2's JSON form, and is none."""
    if not prompt.lstrip().startswith("{"):
        return False
    try:
        json.loads(prompt)
    except (ValueError, RecursionError):
        return True
    return False
