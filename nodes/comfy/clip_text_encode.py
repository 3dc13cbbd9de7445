"""ComfyUI's CLIPTextEncode."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from limner.engine.context import Context
from limner.engine.forecast import Forecast
from limner.engine.node import Keep, Node
from limner.nodes._flux2 import needs
from limner.nodes._long_text import LONG_TEXT
from limner.nodes._prompt_warnings import odd_prompt
from limner.nodes.text_encode import encode_text
from limner.nodes.values import Conditioning, TextEncoder


class ComfyCLIPTextEncode(Node):
    """Turn a prompt into a conditioning, as TextEncode does.

    ComfyUI's signs for weights, ``(word:1.2)``, and for embeddings are text like any other here.
    """

    category: ClassVar[str] = "comfyui"
    on_device: ClassVar[bool] = True
    keep: ClassVar[Keep] = "disk"
    only_for_run: ClassVar[frozenset[str]] = frozenset({"text"})

    text: str = Field(
        default="", description="What the picture shows, in words or as JSON.", json_schema_extra=LONG_TEXT
    )

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast | None:
        """One prompt through the text encoder. Raises ModelError."""
        spec = inputs.get("clip")
        return needs.encode_prompt(spec, None, device, with_negative=False) if isinstance(spec, TextEncoder) else None

    def run(self, ctx: Context, clip: TextEncoder) -> Conditioning:
        """Encode the prompt. A negative one is encoded by a node of its own."""
        for message in odd_prompt(self.text):
            ctx.warn(message)
        with ctx.hold(clip) as live:
            return Conditioning(encode_text(ctx, live, "prompt", self.text))
