"""Reference pictures as the transformer reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from limner.engine.context import Context
from limner.engine.forecast import Forecast
from limner.engine.node import Keep, Node
from limner.nodes._flux2 import needs
from limner.nodes.sizes import PictureSizes
from limner.nodes.values import VAE, ReferenceLatents, References


class EncodeReferences(Node):
    """Turn reference pictures into latents.

    Pictures of more than a megapixel are scaled down to one, and sides are cut to multiples of 16, as in diffusers.
    """

    category: ClassVar[str] = "image"
    on_device: ClassVar[bool] = True
    keep: ClassVar[Keep] = "disk"

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast | None:
        """The pictures through the VAE, one at a time; unknown ones count as one of a megapixel. Raises ModelError."""
        spec, pictures = inputs.get("vae"), inputs.get("references")
        known = pictures if isinstance(pictures, PictureSizes) else needs.UNKNOWN_REFERENCE
        return needs.encode_references(spec, known, device) if isinstance(spec, VAE) else None

    def run(self, ctx: Context, vae: VAE, references: References) -> ReferenceLatents:
        """Encode one picture after the other."""
        from limner.nodes._flux2.references import encode_reference

        total = len(references.images)
        latents = []
        with ctx.hold(vae) as live:
            for number, image in enumerate(references.images, start=1):
                latents.append(encode_reference(live, image))
                ctx.progress(number, total)
        return ReferenceLatents(tuple(latents))
