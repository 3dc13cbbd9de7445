"""Keys and values of the references, computed in the first step and reused: what Flux2KleinKVPipeline does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from diffusers.models.transformers.transformer_flux2 import (
    Flux2KVAttnProcessor,
    Flux2KVCache,
    Flux2KVParallelSelfAttnProcessor,
    Flux2Transformer2DModel,
)
from torch import Tensor


@contextmanager
def with_cached_references(model: Flux2Transformer2DModel, wanted: bool) -> Iterator[None]:
    """Let a model's attention keep and reuse what it is told to, and be its own again after the block."""
    if not wanted:
        yield
        return
    blocks: list[Any] = [*model.transformer_blocks, *model.single_transformer_blocks]
    before = [block.attn.processor for block in blocks]
    try:
        for block in model.transformer_blocks:
            _set(block, Flux2KVAttnProcessor())  # type: ignore[no-untyped-call]  # diffusers leaves it untyped
        for block in model.single_transformer_blocks:
            _set(block, Flux2KVParallelSelfAttnProcessor())  # type: ignore[no-untyped-call]  # likewise
        yield
    finally:
        for block, processor in zip(blocks, before, strict=True):
            _set(block, processor)


def _set(block: Any, processor: Any) -> None:
    block.attn.set_processor(processor)


@dataclass(eq=False)
class ReferenceCache:
    """One run's references: their tokens, and what every layer made of them in the first call of each prompt.

    Their tokens see only one another, and their timestep is 0: what layers make of them is the same at every step.
    """

    tokens: Tensor  # (N, R, C)
    ids: Tensor  # (N, R, 4)
    _kept: dict[str, Flux2KVCache] = field(default_factory=dict)

    def predict(self, model: Any, prompt: str, latents: Tensor, ids: Tensor, rest: dict[str, Any]) -> Tensor:
        """The velocity of (N, S, C) latents; ``prompt`` names the conditioning that ``rest`` brings."""
        if (kept := self._kept.get(prompt)) is not None:
            velocity: Tensor = model(
                hidden_states=latents.to(model.dtype), img_ids=ids, kv_cache=kept, kv_cache_mode="cached", **rest
            )[0]
            return velocity
        velocity, self._kept[prompt] = model(
            hidden_states=torch.cat([self.tokens, latents], dim=1).to(model.dtype),
            img_ids=torch.cat([self.ids, ids], dim=1),
            kv_cache_mode="extract",
            num_ref_tokens=self.tokens.shape[1],
            **rest,
        )
        return velocity
