"""LoRA on a resident transformer: put on beside its weights, never fused, and taken off to the bit."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from diffusers.models.transformers.transformer_flux2 import Flux2Transformer2DModel
from torch import Tensor

from limner.engine.errors import ModelError
from limner.nodes._flux2.disk_groups import check_groups
from limner.nodes._flux2.hub_file import HubFile, commit_of, fetch
from limner.nodes._flux2.lora_file import ENDINGS, identify_lora, lora_source
from limner.nodes._flux2.lora_weights import read_lora
from limner.nodes._flux2.offloading import hooks_anew, regroup
from limner.nodes.specs import LoRA


@contextmanager
def with_loras(model: Flux2Transformer2DModel, loras: Sequence[LoRA]) -> Iterator[None]:
    """Add LoRAs to a transformer for the length of a block. Their order is theirs: sorted, sums round alike.

    Raises ModelError that names file and keys, with the transformer as it was; and, at the end of the block, where
    groups of it waited on disk and their files have gone: it is not usable any more.
    """
    adapted: Any = model  # diffusers leaves the methods of its PEFT mixin untyped
    weights = [read_lora(_unchanged(lora), model) for lora in loras]
    try:
        for index, tensors in enumerate(weights):
            _load(adapted, f"lora_{index}", tensors)
        regroup(model)
        if active := {f"lora_{index}": lora.weight for index, lora in enumerate(loras) if lora.weight}:
            adapted.set_adapters(list(active), list(active.values()))
        else:
            adapted.disable_lora()
        yield
    finally:
        with hooks_anew(model):
            adapted.unload_lora()
        check_groups(model)  # that has put their hooks on anew


def _load(model: Any, adapter: str, tensors: Mapping[str, Tensor]) -> None:
    """Put the matrices beside their layers, on the device of each."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Already found a `peft_config`", UserWarning)  # a second adapter, on purpose
        model.load_lora_adapter(dict(tensors), prefix="transformer", adapter_name=adapter)
    for name, tensor in tensors.items():  # PEFT gives them the dtype of the layer: fp8 would round, and not compute
        layer, side, _ = name.removeprefix("transformer.").rsplit(".", 2)
        matrix = model.get_submodule(layer).get_submodule(side)[adapter]
        if matrix.weight.dtype.itemsize == 1:
            matrix.weight.data = tensor.to(matrix.weight.device, model.dtype)


def _unchanged(lora: LoRA) -> Path:
    """The file, if it still holds what it held when the graph was keyed; from the hub, at that commit."""
    source = lora_source(lora.path)
    if isinstance(source, HubFile):
        return fetch(source, commit_of(lora.identity) or lora.revision or None, ENDINGS)
    if identify_lora(source, None) != lora.identity:
        raise ModelError(f"{lora.path} has changed during the run", hint="run the graph again")
    return source
