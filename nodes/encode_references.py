"""Reference pictures as the transformer reads them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from limner.engine.context import Context
from limner.engine.forecast import Forecast
from limner.engine.node import Keep, Node
from limner.nodes._flux2 import needs
from limner.nodes.sizes import PictureSizes
from limner.nodes.values import VAE, ReferenceLatents, References

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class EncodeReferences(Node):
    """Turn reference pictures into latents.

    Pictures of more than a megapixel are scaled down to one, and sides are cut to multiples of 16, as in diffusers.
    Each picture is kept by its content: where one of ten changes, one is encoded.
    """

    category: ClassVar[str] = "image"
    aliases: ClassVar[tuple[str, ...]] = ("ReferenceLatent", "VAEEncode", "edit image")
    on_device: ClassVar[bool] = True
    keep: ClassVar[Keep] = "disk"

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast | None:
        """The pictures through the VAE, one at a time; unknown ones count as one of a megapixel. Raises ModelError."""
        spec, pictures = inputs.get("vae"), inputs.get("references")
        known = pictures if isinstance(pictures, PictureSizes) else needs.UNKNOWN_REFERENCE
        return needs.encode_references(spec, known, device) if isinstance(spec, VAE) else None

    def run(self, ctx: Context, vae: VAE, references: References) -> ReferenceLatents:
        """Encode the pictures that are not known, one after the other. The VAE is held only where there are any."""
        parts = [_part(vae, image) for image in references.images]
        known = {part: ctx.recall(part, ReferenceLatents) for part in parts}
        latents = {part: found.latents[0] for part, found in known.items() if found is not None}
        missing = {part: image for part, image in zip(parts, references.images, strict=True) if part not in latents}
        if missing:
            from limner.nodes._flux2.references import encode_reference

            with ctx.hold(vae) as live:
                for number, (part, image) in enumerate(missing.items(), start=1):
                    latents[part] = encode_reference(live, image)
                    ctx.remember(part, ReferenceLatents((latents[part],)))
                    ctx.progress(number, len(missing))
        return ReferenceLatents(tuple(latents[part] for part in parts))


def _part(vae: VAE, image: NDArray[np.uint8]) -> str:
    """What the latents of a picture depend on: the weights, and the pixels."""
    return f"{vae!r} {image.shape} {hashlib.sha256(image.tobytes()).hexdigest()}"
