"""Compiled blocks on a resident transformer, for the length of one run: who does not ask for them gets none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from diffusers.models.transformers.transformer_flux2 import Flux2Transformer2DModel
from torch._dynamo.exc import FailOnRecompileLimitHit, TorchDynamoException

from limner.engine.errors import DeviceError, ModelError
from limner.nodes._flux2.offloading import named_groups

MAX_SIZES: Final = 64
"""How often a block may be compiled, for as many sizes, before torch gives up."""


@contextmanager
def with_compiled_blocks(model: Flux2Transformer2DModel, wanted: bool) -> Iterator[None]:
    """Let the repeated blocks of a model be compiled code, and themselves after the block.

    torch keeps the code with the blocks' class, by their sizes and kinds of weights: a later run finds it. Each size is
    compiled for itself, and kernels are chosen without timing them, so that what was drawn before never changes bits.
    Raises DeviceError where compiling fails, ModelError for weights that come and go in groups.
    """
    if not wanted:
        yield
        return
    if any(named_groups(model)):
        raise ModelError(
            "compile does not go together with group offloading: its hooks are no part of a compiled block",
            hint="set the node's offload to none or model, or compile to false",
        )
    compiled: Any = model
    try:
        compiled.compile_repeated_blocks(
            fullgraph=True, dynamic=False, recompile_limit=MAX_SIZES, options={"deterministic": True}
        )
        yield
    except (TorchDynamoException, FailOnRecompileLimitHit) as error:
        line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DeviceError(f"compile: the blocks could not be compiled: {line}", hint="set compile to false") from error
    finally:
        for block in [*model.transformer_blocks, *model.single_transformer_blocks]:
            block._compiled_call_impl = None
