"""ComfyUI's UNETLoader."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from limner.engine.context import Context
from limner.engine.forecast import Forecast
from limner.engine.node import NO_WIRES, Node
from limner.nodes.comfy._loading import fingerprint_of, name_faults, sources_of
from limner.nodes.comfy.model_files import locate_model, names
from limner.nodes.specs import Quantization, Transformer


class ComfyUNETLoader(Node):
    """Name a diffusion transformer. Nothing is loaded until a node needs it.

    Files in fp8 are unpacked to bfloat16, as by LoadTransformer.
    """

    category: ClassVar[str] = "comfyui"

    unet_name: str = Field(
        default="flux-2-klein-4b.safetensors",
        min_length=1,
        description="A file in ComfyUI's folder for them, one that its workflows name, or a source of LoadModel.",
    )
    weight_dtype: Literal["default", "fp8_e4m3fn"] = Field(
        default="default", description="fp8_e4m3fn keeps weights in 8 bits and computes in bfloat16: layerwise-fp8."
    )

    def problems(self, wired: Mapping[str, int] = NO_WIRES) -> Iterator[tuple[str, str]]:
        """A name that stands for nothing, or for weights of something else."""
        yield from (("unet_name", message) for message in name_faults("transformer", self.unet_name))

    @classmethod
    def choices(cls) -> Mapping[str, Sequence[str]]:
        """What may be named here."""
        return {"unet_name": names("transformer")}

    def fingerprint(self) -> str:
        """What the weights are. Raises InputError."""
        return fingerprint_of("transformer", self.unet_name)

    def sources(self) -> Mapping[str, str]:
        """The model, or the file and its base. Raises InputError."""
        return sources_of("transformer", self.unet_name)

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast:
        """The spec. Raises InputError."""
        return Forecast((self._describe(),))

    def run(self, ctx: Context) -> Transformer:
        """Describe the component."""
        return self._describe()

    def _describe(self) -> Transformer:
        place = locate_model("transformer", self.unet_name)
        return Transformer(
            place.source, identity=place.identity("transformer"), file=place.file, quantization=self._quantization
        )

    @property
    def _quantization(self) -> Quantization | None:
        return None if self.weight_dtype == "default" else Quantization("layerwise-fp8")
