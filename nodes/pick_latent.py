"""One of the pictures that were drawn at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from limner.engine.context import Context
from limner.engine.errors import InputError
from limner.engine.forecast import Forecast
from limner.engine.node import Node
from limner.nodes.sizes import PictureSizes
from limner.nodes.values import Latent


class PickLatent(Node):
    """Take one picture's latents out of a batch, such as one seed of those that were drawn at once."""

    category: ClassVar[str] = "sampling"
    aliases: ClassVar[tuple[str, ...]] = ("LatentFromBatch", "select from batch")

    number: int = Field(default=1, ge=1, description="Which picture of the batch, counted from 1.")

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast | None:
        """One picture of the same size."""
        latents = inputs.get("latent")
        return Forecast((PictureSizes(latents.sizes[:1]),)) if isinstance(latents, PictureSizes) else None

    def run(self, ctx: Context, latent: Latent) -> Latent:
        """(N, 128, H/16, W/16) -> (1, 128, H/16, W/16). Raises InputError where the batch is smaller."""
        if self.number > len(latent.samples):
            raise InputError(f"there is no picture {self.number} in a batch of {len(latent.samples)}")
        return Latent(latent.samples[self.number - 1 : self.number].clone())
