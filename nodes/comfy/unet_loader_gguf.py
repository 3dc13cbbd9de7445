"""UnetLoaderGGUF, of the extension ComfyUI-GGUF."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from pydantic import Field

from limner.engine.context import Context
from limner.engine.forecast import Forecast
from limner.engine.node import NO_WIRES, Node
from limner.nodes.comfy._loading import fingerprint_of, name_faults, sources_of
from limner.nodes.comfy.model_files import locate_model, names
from limner.nodes.specs import Transformer


class ComfyUnetLoaderGGUF(Node):
    """Name a diffusion transformer, as a rule in GGUF. Nothing is loaded until a node needs it."""

    category: ClassVar[str] = "comfyui"

    unet_name: str = Field(
        default="flux2-dev-Q4_K_M.gguf",
        min_length=1,
        description="A file in ComfyUI's folder for them, one that its workflows name, or a source of LoadModel.",
    )

    def problems(self, wired: Mapping[str, int] = NO_WIRES) -> Iterator[tuple[str, str]]:
        """A name that stands for nothing, or for weights of something else."""
        yield from (("unet_name", message) for message in name_faults("transformer", self.unet_name))

    @classmethod
    def choices(cls) -> Mapping[str, Sequence[str]]:
        """What may be named here."""
        return {"unet_name": [name for name in names("transformer") if name == "tiny" or name.endswith(".gguf")]}

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
        return Transformer(place.source, identity=place.identity("transformer"), file=place.file)
