"""ComfyUI's LoraLoader."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from pydantic import Field

from limner.engine.context import Context
from limner.engine.forecast import Forecast
from limner.engine.node import NO_WIRES, Node
from limner.nodes.apply_lora import ApplyLoRA
from limner.nodes.comfy.lora_loader_model_only import ComfyLoraLoaderModelOnly
from limner.nodes.comfy.model_files import locate_lora
from limner.nodes.values import TextEncoder, Transformer


class Adapted(NamedTuple):
    """A transformer with a LoRA, and the text encoder as it was."""

    model: Transformer
    clip: TextEncoder


class ComfyLoraLoader(Node):
    """Add a LoRA to a transformer, as LoraLoaderModelOnly does, and give the text encoder on.

    A LoRA with weights for a text encoder is a fault, so ``strength_clip`` changes nothing.
    """

    category: ClassVar[str] = "comfyui"

    lora_name: str = Field(
        default="",
        description="A file in ComfyUI's folder for them, one that its workflows name, or what ApplyLoRA takes.",
    )
    strength_model: float = Field(default=1.0, ge=-100, le=100, description="How much of it.")
    strength_clip: float = Field(
        default=1.0, ge=-100, le=100, description="Changes nothing: none is for text encoders."
    )

    def problems(self, wired: Mapping[str, int] = NO_WIRES) -> Iterator[tuple[str, str]]:
        """A file that is not there, or no LoRA for a transformer."""
        return self._model_only.problems(wired)

    @classmethod
    def choices(cls) -> Mapping[str, Sequence[str]]:
        """What may be named here."""
        return ComfyLoraLoaderModelOnly.choices()

    def fingerprint(self) -> str:
        """The SHA-256 of the file, or its commit on the hub. Raises InputError."""
        return self._model_only.fingerprint()

    def sources(self) -> Mapping[str, str]:
        """The file: its commit on the hub, or its SHA-256. Raises InputError."""
        return self._model_only.sources()

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast:
        """The transformer with the LoRA, and the text encoder. Raises InputError where the file cannot be read."""
        (model,) = self._model_only.forecast(device, inputs).outputs
        return Forecast((model, inputs.get("clip")))

    def run(self, ctx: Context, model: Transformer, clip: TextEncoder) -> Adapted:
        """Describe the transformer with the LoRA. Raises InputError where the file cannot be read."""
        return Adapted(self._native.adapted(model), clip)

    @property
    def _native(self) -> ApplyLoRA:
        return ApplyLoRA(path=locate_lora(self.lora_name), weight=self.strength_model)

    @property
    def _model_only(self) -> ComfyLoraLoaderModelOnly:
        return ComfyLoraLoaderModelOnly(lora_name=self.lora_name, strength_model=self.strength_model)
