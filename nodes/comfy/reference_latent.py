"""ComfyUI's ReferenceLatent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from limner.engine.context import Context
from limner.engine.errors import Fault, GraphError, InputError
from limner.engine.forecast import Forecast
from limner.engine.node import Node
from limner.nodes._flux2.needs import UNKNOWN_REFERENCE
from limner.nodes.comfy.values import AnyConditioning, AttachedConditioning, attached, known_conditioning
from limner.nodes.sizes import PictureSizes
from limner.nodes.values import MAX_REFERENCES, Latent


class ComfyReferenceLatent(Node):
    """Attach a reference to a conditioning; several in a row are "image 1", "image 2", ... of the prompt."""

    category: ClassVar[str] = "comfyui"

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast:
        """One reference more; one of which nothing is known counts as a megapixel. Raises GraphError as ``run``."""
        known = known_conditioning(inputs.get("conditioning"))
        if "latent" in inputs:
            latent = inputs["latent"] if isinstance(inputs["latent"], PictureSizes) else UNKNOWN_REFERENCE
            before = () if known.references is None else known.references.sizes
            if message := _fault(len(latent.sizes), len(before)):
                raise GraphError([Fault(message)])
            known = replace(known, references=PictureSizes((*before, *latent.sizes)))
        return Forecast((known,))

    def run(self, ctx: Context, conditioning: AnyConditioning, latent: Latent | None = None) -> AttachedConditioning:
        """The conditioning with one reference more. Raises InputError for a batch, and for too many."""
        before = attached(conditioning)
        if latent is None:
            return before
        if message := _fault(len(latent.samples), len(before.references)):
            raise InputError(message)
        return replace(before, references=(*before.references, latent.samples))


def _fault(pictures: int, references: int) -> str | None:
    """Why latents are no further reference."""
    if pictures != 1:
        return f"a reference is one picture, and these latents are {pictures}"
    return f"a conditioning has {MAX_REFERENCES} references at most" if references >= MAX_REFERENCES else None
