"""ComfyUI's CLIPLoader."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from limner.engine.context import Context
from limner.engine.forecast import Forecast
from limner.engine.node import NO_WIRES, Node
from limner.nodes.comfy._loading import fingerprint_of, name_faults, sources_of
from limner.nodes.comfy.model_files import locate_model, names
from limner.nodes.specs import TextEncoder


class ComfyCLIPLoader(Node):
    """Name a text encoder. Nothing is loaded until a node needs it.

    Files of Mistral (dev) and Qwen3 (klein) are read: whole or cut behind the last layer that FLUX.2 listens to, in
    full precision or in scaled fp8, which is unpacked to bfloat16. The tokenizer comes from their model. A known name
    that is not in ComfyUI's folders stands for the text encoder of the model on the hub.
    """

    category: ClassVar[str] = "comfyui"

    clip_name: str = Field(
        default="qwen_3_4b.safetensors",
        min_length=1,
        description="A file in ComfyUI's folder for them, one that its workflows name, or a source of LoadModel.",
    )
    type: Literal["flux2", "flux"] = Field(
        default="flux2", description="What it is for. flux is the same, as in ComfyUI for these files."
    )
    device: Literal["default", "cpu"] = Field(
        default="default", description="Where it computes. Only default: in a graph, each node has a device of its own."
    )

    def problems(self, wired: Mapping[str, int] = NO_WIRES) -> Iterator[tuple[str, str]]:
        """A name that stands for nothing, or for weights of something else."""
        yield from (("clip_name", message) for message in name_faults("text_encoder", self.clip_name))

    @classmethod
    def choices(cls) -> Mapping[str, Sequence[str]]:
        """What may be named here."""
        return {"clip_name": names("text_encoder")}

    def fingerprint(self) -> str:
        """What the weights are. Raises InputError."""
        return fingerprint_of("text_encoder", self.clip_name)

    def sources(self) -> Mapping[str, str]:
        """The model, or the file and its base. Raises InputError."""
        return sources_of("text_encoder", self.clip_name)

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast:
        """The spec. Raises InputError."""
        return Forecast((self._describe(),))

    def run(self, ctx: Context) -> TextEncoder:
        """Describe the component."""
        if self.device != "default":
            ctx.warn(f"device {self.device} is not used here: set the device of the nodes that encode")
        return self._describe()

    def _describe(self) -> TextEncoder:
        place = locate_model("text_encoder", self.clip_name)
        return TextEncoder(place.source, identity=place.identity("text_encoder"), file=place.file)
