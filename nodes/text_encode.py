"""A prompt as the transformer reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from limner.engine.context import Context
from limner.engine.forecast import Forecast
from limner.engine.node import Keep, Node
from limner.nodes._flux2 import needs
from limner.nodes._long_text import LONG_TEXT
from limner.nodes._prompt_warnings import odd_prompt
from limner.nodes.values import Conditioning, TextEncoder

if TYPE_CHECKING:
    from torch import Tensor

    from limner.nodes._flux2.live import LiveTextEncoder


class TextEncode(Node):
    """Turn a prompt into a conditioning.

    A prompt is plain English, any other language, or FLUX.2's JSON form; ``#367588`` names a colour exactly.
    """

    category: ClassVar[str] = "text"
    aliases: ClassVar[tuple[str, ...]] = ("CLIPTextEncode", "prompt", "positive", "negative")
    advanced: ClassVar[frozenset[str]] = frozenset({"max_length"})
    on_device: ClassVar[bool] = True
    keep: ClassVar[Keep] = "disk"
    only_for_run: ClassVar[frozenset[str]] = frozenset({"prompt", "negative_prompt"})

    prompt: str = Field(
        default="", description="What the picture shows, in words or as JSON.", json_schema_extra=LONG_TEXT
    )
    negative_prompt: str = Field(
        default="",
        description="What it must not show. Only klein base models read it, at a guidance above 1.",
        json_schema_extra=LONG_TEXT,
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
        for message in odd_prompt(self.prompt):
            ctx.warn(message)
        with ctx.hold(text_encoder) as live:
            prompt = encode_text(ctx, live, "prompt", self.prompt, self.max_length)
            if live.uses_negative:
                negative = encode_text(ctx, live, "negative prompt", self.negative_prompt, self.max_length)
                return Conditioning(prompt, negative)
        if self.negative_prompt:
            ctx.warn("this model uses no negative prompt: it is ignored")
        return Conditioning(prompt)


def encode_text(ctx: Context, live: LiveTextEncoder, name: str, text: str, max_length: int | None = None) -> Tensor:
    """A prompt as (1, tokens, 3 * hidden), and a warning where it is too long; ``name`` is how that calls it."""
    from limner.nodes._flux2.prompt_length import find_cut
    from limner.nodes._flux2.text import encode_prompt

    if (cut := find_cut(live, text, max_length)) is not None:
        ctx.warn(cut.sentence(text, name))
    return encode_prompt(live, text, max_length, ctx.device)
