"""ComfyUI's VAELoader."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from pydantic import Field

from limner.engine.context import Context
from limner.engine.forecast import Forecast
from limner.engine.node import NO_WIRES, Node
from limner.nodes.comfy._loading import fingerprint_of, name_faults, sources_of
from limner.nodes.comfy.model_files import locate_model, names
from limner.nodes.specs import VAE


class ComfyVAELoader(Node):
    """Name a VAE. Nothing is loaded until a node needs it."""

    category: ClassVar[str] = "comfyui"

    vae_name: str = Field(
        default="flux2-vae.safetensors",
        min_length=1,
        description="A file in ComfyUI's folder for them, one that its workflows name, or a source of LoadModel.",
    )

    def problems(self, wired: Mapping[str, int] = NO_WIRES) -> Iterator[tuple[str, str]]:
        """A name that stands for nothing, or for weights of something else."""
        yield from (("vae_name", message) for message in name_faults("vae", self.vae_name))

    @classmethod
    def choices(cls) -> Mapping[str, Sequence[str]]:
        """What may be named here."""
        return {"vae_name": names("vae")}

    def fingerprint(self) -> str:
        """What the weights are. Raises InputError."""
        return fingerprint_of("vae", self.vae_name)

    def sources(self) -> Mapping[str, str]:
        """The model, or the file and its base. Raises InputError."""
        return sources_of("vae", self.vae_name)

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast:
        """The spec. Raises InputError."""
        return Forecast((self._describe(),))

    def run(self, ctx: Context) -> VAE:
        """Describe the component."""
        return self._describe()

    def _describe(self) -> VAE:
        place = locate_model("vae", self.vae_name)
        return VAE(place.source, identity=place.identity("vae"), file=place.file)
