"""ComfyUI's FluxKVCache."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from limner.engine.context import Context
from limner.engine.forecast import Forecast
from limner.engine.node import Node
from limner.nodes.comfy.values import AnyTransformer, CachingTransformer, plain


class ComfyFluxKVCache(Node):
    """Compute what attention sees of the references only in the first step: Denoise's reference_cache. For klein."""

    category: ClassVar[str] = "comfyui"

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast:
        """The transformer, with the cache."""
        transformer = plain(inputs.get("model"))
        return Forecast((None if transformer is None else CachingTransformer(transformer),))

    def run(self, ctx: Context, model: AnyTransformer) -> CachingTransformer:
        """The transformer, with the cache."""
        transformer = plain(model)
        assert transformer is not None
        return CachingTransformer(transformer)
