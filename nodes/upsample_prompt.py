"""A longer prompt from a short one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from limner.engine.context import Context
from limner.engine.errors import ModelError
from limner.engine.forecast import Forecast
from limner.engine.node import Keep, Node
from limner.nodes._flux2 import needs
from limner.nodes._flux2.known import known
from limner.nodes._flux2.writing import MAX_NEW_TOKENS, writing_fault
from limner.nodes._long_text import LONG_TEXT
from limner.nodes._prompt_warnings import odd_prompt
from limner.nodes.values import References, TextEncoder, TextGenerator


class UpsamplePrompt(Node):
    """Have FLUX.2 dev's text encoder write a longer prompt, with the details that a short one leaves out.

    Wire it to the setting prompt of TextEncode. With references it looks at them and writes one instruction. The same
    seed writes the same text, which equals that of diffusers' ``upsample_prompt`` after ``torch.manual_seed(seed)``.
    """

    category: ClassVar[str] = "text"
    aliases: ClassVar[tuple[str, ...]] = ("prompt enhancer", "rewrite prompt", "caption upsampling")
    on_device: ClassVar[bool] = True
    keep: ClassVar[Keep] = "disk"
    only_for_run: ClassVar[frozenset[str]] = frozenset({"prompt"})

    prompt: str = Field(
        default="", description="What the picture shows, in short. JSON stays JSON.", json_schema_extra=LONG_TEXT
    )
    temperature: float = Field(
        default=0.15, gt=0, le=2, description="How freely it is written: 0.15 keeps near to the prompt."
    )
    seed: int = Field(default=0, ge=0, lt=2**64, description="The same seed writes the same text.")

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast | None:
        """One text by the whole text encoder. Raises GraphError for one that cannot write, ModelError."""
        spec = inputs.get("text_encoder")
        return needs.write_prompt(spec, device) if isinstance(spec, TextEncoder) else None

    def run(self, ctx: Context, text_encoder: TextEncoder, references: References | None = None) -> str:
        """Write the prompt. Stops within a token when cancelled. Raises ModelError for a text encoder that cannot."""
        _check(text_encoder)
        spec = TextGenerator.of(text_encoder)
        for message in odd_prompt(self.prompt):
            ctx.warn(message)
        with ctx.hold(spec) as live:
            import PIL.Image

            from limner.nodes._flux2.upsampling import upsample

            pictures = [PIL.Image.fromarray(image) for image in references.images] if references is not None else []
            return upsample(
                live,
                self.prompt,
                pictures,
                self.temperature,
                self.seed,
                ctx.device,
                report=lambda written: ctx.progress(written, MAX_NEW_TOKENS),
                warn=ctx.warn,
            )


def _check(spec: TextEncoder) -> None:
    """Raise ModelError for a text encoder that cannot write, before it is downloaded where that is known."""
    try:
        fault = writing_fault(spec, known(TextGenerator.of(spec)))
    except ModelError:
        return  # nothing is known of it yet: loading will tell
    if fault is not None:
        raise ModelError(fault.message, hint=fault.hint)
