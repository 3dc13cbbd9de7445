"""Steps that reuse what earlier steps computed: diffusers' hooks, put on a resident transformer for one run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from diffusers.hooks.hooks import HookRegistry, StateManager
from diffusers.hooks.mag_cache import MagCacheConfig
from diffusers.hooks.pyramid_attention_broadcast import (
    PyramidAttentionBroadcastConfig,
    PyramidAttentionBroadcastHook,
    PyramidAttentionBroadcastState,
)
from diffusers.hooks.taylorseer_cache import TaylorSeerCacheConfig
from diffusers.models.transformers.transformer_flux2 import Flux2Transformer2DModel

from limner.engine.errors import ModelError
from limner.nodes._flux2.offloading import named_groups
from limner.nodes._flux2.speed import StepCache

PAB_SKIP: Final = 2
"""Attention is computed at every second step of those in the range."""
TAYLOR_INTERVAL: Final = 2
"""Every second step after the first three is extrapolated: with more, fewer steps would be as fast, and better."""
_HOOK: Final = "limner_attention_broadcast"


@contextmanager
def with_step_cache(
    model: Flux2Transformer2DModel, kind: StepCache, steps: int, mag_ratios: Sequence[float] = ()
) -> Iterator[None]:
    """Have a model skip what it can for one run of so many steps; after the block it is what it was.

    Raises ModelError where its weights come and go in a way that does not allow that.
    """
    if kind == "none":
        yield
        return
    if any(group.stream is not None for _, group in named_groups(model)):
        raise ModelError(
            f"step_cache {kind} does not go together with weights that are fetched ahead: a skipped block fetches none",
            hint="set stream of the node's offload to false, or step_cache to none",
        )
    cached: Any = model
    try:
        if kind == "pab":
            _broadcast_attention(model)
        else:
            cached.enable_cache(_config(model, kind, steps, mag_ratios))
        yield
    finally:
        if kind == "pab":
            HookRegistry.check_if_exists_or_initialize(model).remove_hook(_HOOK, recurse=True)
        elif cached.is_cache_enabled:
            cached.disable_cache()
        HookRegistry.check_if_exists_or_initialize(model).invalidate_child_registries_cache()


def _config(model: Flux2Transformer2DModel, kind: StepCache, steps: int, mag_ratios: Sequence[float]) -> Any:
    if kind == "magcache":
        return MagCacheConfig(num_inference_steps=steps, mag_ratios=list(mag_ratios))
    return TaylorSeerCacheConfig(cache_interval=TAYLOR_INTERVAL, use_lite_mode=True, taylor_factors_dtype=model.dtype)


def _broadcast_attention(model: Flux2Transformer2DModel) -> None:
    config = PyramidAttentionBroadcastConfig()
    for block in [*model.transformer_blocks, *model.single_transformer_blocks]:
        hook = _Broadcast(config.spatial_attention_timestep_skip_range, PAB_SKIP)
        HookRegistry.check_if_exists_or_initialize(block.attn).register_hook(hook, _HOOK)
    HookRegistry.check_if_exists_or_initialize(model).invalidate_child_registries_cache()


class _Broadcast(PyramidAttentionBroadcastHook):
    """As in diffusers, but with a state for each of the calls of a step: guidance makes two, of different prompts."""

    def __init__(self, timesteps: tuple[int, int], skip: int) -> None:
        states: Any = StateManager  # diffusers' types are those of other states
        self._states = states(PyramidAttentionBroadcastState)  # its context is set where the model is called
        super().__init__(timesteps, skip, self._timestep)

    def initialize_hook(self, module: Any) -> Any:
        """Nothing: states are made when they are asked for."""
        return module

    @property
    def state(self) -> Any:  # type: ignore[override]  # an attribute there
        """Of the call that is being made."""
        return self._states.get_state()

    def _timestep(self) -> Any:
        return self._states.context.timestep
