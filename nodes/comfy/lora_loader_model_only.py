"""ComfyUI's LoraLoaderModelOnly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from pydantic import Field

from limner.engine.context import Context
from limner.engine.forecast import Forecast
from limner.engine.node import NO_WIRES, Node
from limner.nodes.apply_lora import ApplyLoRA
from limner.nodes.comfy.model_files import locate_lora, names
from limner.nodes.comfy.values import AnyTransformer, changed

M = TypeVar("M", bound=AnyTransformer)


class ComfyLoraLoaderModelOnly(Node):
    """Add a LoRA to a transformer, as ApplyLoRA does; several in a row add up."""

    category: ClassVar[str] = "comfyui"

    lora_name: str = Field(
        default="",
        description="A file in ComfyUI's folder for them, one that its workflows name, or what ApplyLoRA takes.",
    )
    strength_model: float = Field(default=1.0, ge=-100, le=100, description="How much of it.")

    def problems(self, wired: Mapping[str, int] = NO_WIRES) -> Iterator[tuple[str, str]]:
        """A file that is not there, or no LoRA for a transformer."""
        if not self.lora_name:
            yield "lora_name", "the name of a LoRA is required"
        else:
            yield from (("lora_name", message) for _, message in self._native.problems())

    @classmethod
    def choices(cls) -> Mapping[str, Sequence[str]]:
        """What may be named here."""
        return {"lora_name": names("lora")}

    def fingerprint(self) -> str:
        """The SHA-256 of the file, or its commit on the hub. Raises InputError."""
        return self._native.fingerprint()

    def sources(self) -> Mapping[str, str]:
        """The file: its commit on the hub, or its SHA-256. Raises InputError."""
        return self._native.sources()

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast:
        """The transformer with the LoRA. Raises InputError for a file that cannot be read, GraphError for a misfit."""
        return Forecast((changed(inputs.get("model"), self._native.planned),))

    def run(self, ctx: Context, model: M) -> M:
        """Describe the transformer with the LoRA. Raises InputError where the file cannot be read."""
        return changed(model, self._native.adapted)

    @property
    def _native(self) -> ApplyLoRA:
        return ApplyLoRA(path=locate_lora(self.lora_name), weight=self.strength_model)
