"""The bytes of a model's weights as they will lie on a device. Nothing is loaded, and no torch is needed."""

from __future__ import annotations

import math
import re
from collections import Counter
from functools import lru_cache
from typing import Any, Final

from limner.engine.errors import InputError, ModelError
from limner.engine.forecast import Weights
from limner.engine.models import ModelSpec
from limner.engine.offload import Offload
from limner.nodes._flux2.hub_file import here
from limner.nodes._flux2.known import FLOAT_BYTES, KnownComponent, known
from limner.nodes._flux2.lora_file import lora_source
from limner.nodes._flux2.movable import offload_fault
from limner.nodes._flux2.stored_bytes import computed_bytes, linear_bytes
from limner.nodes._flux2.weights import Stored
from limner.nodes.specs import VAE, Flux2Spec, Quantizable, Quantization, TextEncoder, TextGenerator, Transformer

_KEPT: Final = ("lm_head", "embed_tokens")
_CAST_KEPT: Final = ("norm", "pos_embed", "patch_embed")
"""Parts of names that layerwise casting leaves as they are."""
_OF_QUANTIZED = (".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map", ".quant_state", ".SCB")
_WAYS: Final = {
    "model": Offload(mode="model"),
    "group": Offload(mode="group"),
    "disk": Offload(mode="group", disk="anywhere"),
}
_BLOCK = re.compile(r"((?:single_)?transformer_blocks|layers)\.(\d+)\.")
_WEIGHT = re.compile(r"\.(weight|bias)(\..*)?$")


def weigh(spec: ModelSpec[Any], device: str) -> Weights:
    """The weights of a spec of FLUX.2 on a device. Raises ModelError, InputError."""
    if not isinstance(spec, (TextEncoder, TextGenerator, Transformer, VAE)):
        raise ModelError(f"{type(spec).__name__} is not a model of FLUX.2")
    return weights_of(known(spec), spec, device)


def weights_of(component: KnownComponent, spec: Flux2Spec[Any], device: str) -> Weights:
    """The same, of a component whose files were found. Raises InputError."""
    adapter_bytes = sum(map(_lora_bytes, spec.loras)) if isinstance(spec, Transformer) else 0
    return _weigh(spec, "cpu" if device == "cpu" else "accelerator", component, adapter_bytes)


def is_made_there(spec: Flux2Spec[Any]) -> bool:
    """Whether the device that computes makes the weights: quantizes them. Layerwise, a CPU casts them just as well."""
    quantization = spec.quantization if isinstance(spec, Quantizable) else None
    return quantization is not None and quantization.method != "layerwise-fp8"


def unpacked_bytes(spec: Flux2Spec[Any], device: str, tokens: int) -> int:
    """What the most demanding quantized layer makes for itself while it computes; 0 where none is quantized."""
    component = known(spec)
    quantization = _quantization(spec, component)
    itemsize = component.itemsize(spec, device)
    if quantization is None:
        return max((math.prod(tensor.shape) * itemsize for tensor in component.packed.values()), default=0)
    if quantization.compute_dtype != "auto":
        itemsize = {"float32": 4}.get(quantization.compute_dtype, 2)
    sizes = (
        computed_bytes(tensor.shape, quantization, itemsize, tokens)
        for name, tensor in component.tensors.items()
        if is_quantized_by(quantization, name, tensor.shape)
    )
    return max(sizes, default=0)


@lru_cache(maxsize=256)
def _weigh(spec: Flux2Spec[Any], kind: str, component: KnownComponent, adapter_bytes: int) -> Weights:
    quantization = _quantization(spec, component)
    itemsize = component.itemsize(spec, kind)
    is_cast = quantization is not None and quantization.method == "layerwise-fp8"
    leaves: Counter[str] = Counter()
    blocks: Counter[tuple[str, int]] = Counter()
    for name, tensor in component.tensors.items():
        size = _bytes(name, tensor, itemsize, quantization)
        leaves[_WEIGHT.sub("", name)] += size
        if found := _BLOCK.match(name):
            blocks[found[1], int(found[2])] += size
    return Weights(
        weight_bytes=leaves.total(),
        stored_bytes=leaves.total() if component.quantization is not None else component.stored_bytes,
        leaf_bytes=max(leaves.values()),
        block_bytes=tuple(size for _, size in sorted(blocks.items(), key=lambda item: (item[0][0][0] == "s", item[0]))),
        adapter_bytes=adapter_bytes,
        origin=component.origin,
        immovable=_immovable("gguf" if component.packed else quantization.method if quantization else None),
        is_made_there=is_made_there(spec),
        loaded_bytes=sum(_bytes(n, t, itemsize, None) for n, t in component.tensors.items()) if is_cast else 0,
        making_bytes=_making_bytes(component, quantization, itemsize, kind) if quantization is not None else 0,
    )


def is_quantized_by(quantization: Quantization, name: str, shape: tuple[int, ...]) -> bool:
    """Whether a tensor is the weight of a layer that a quantization changes."""
    kept = (*_KEPT, *quantization.skip)
    if quantization.method == "layerwise-fp8" and any(part in name for part in _CAST_KEPT):
        return False
    return name.endswith(".weight") and len(shape) == 2 and not any(f".{part}." in f".{name}" for part in kept)


def _quantization(spec: Flux2Spec[Any], component: KnownComponent) -> Quantization | None:
    return (spec.quantization if isinstance(spec, Quantizable) else None) or component.quantization


def _bytes(name: str, tensor: Stored, itemsize: int, quantization: Quantization | None) -> int:
    is_float = tensor.dtype in FLOAT_BYTES
    if quantization is not None and is_float and is_quantized_by(quantization, name, tensor.shape):
        return linear_bytes(tensor.shape, quantization, itemsize)
    if not is_float or name.endswith(_OF_QUANTIZED):
        return tensor.size_bytes
    return math.prod(tensor.shape) * itemsize


def _immovable(method: str | None) -> dict[str, tuple[str, str]]:
    """Ways of waiting that quantized weights do not allow: why, and what to try."""
    return {way: fault for way, policy in _WAYS.items() if (fault := offload_fault(method, policy)) is not None}


def _making_bytes(component: KnownComponent, quantization: Quantization, itemsize: int, kind: str) -> int:
    """What quantizing takes: the most for one layer, since one is made after the other.

    On a CPU, bitsandbytes computes it with tensors as large as the layer, several of them at once. For nf4: scaled
    weights (float32), places in the table (int32), the same in a byte each, and two halves that are packed. For int8:
    weights in float16, scaled and rounded ones (float32). Both are 10 bytes a weight; fp4 is 24, because its places are
    sorted back as int64, from and to. Besides, there is a copy where weights are not stored in the precision that
    they are loaded in, and one in float32 for 4 bits. The other methods are taken to need as much as nf4.
    """
    layers = [t for name, t in component.tensors.items() if is_quantized_by(quantization, name, t.shape)]
    if kind != "cpu":
        return max((math.prod(tensor.shape) * 4 for tensor in layers), default=0)
    at_work = (24 if quantization.method == "fp4" else 10) + (
        4 if quantization.method in ("nf4", "fp4") and itemsize != 4 else 0
    )
    return max((math.prod(t.shape) * (at_work + _copied_bytes(t, itemsize)) for t in layers), default=0)


def _copied_bytes(tensor: Stored, itemsize: int) -> int:
    """Bytes a weight of the copy that loading makes; what has its precision already is mapped."""
    return itemsize if FLOAT_BYTES.get(tensor.dtype) != itemsize else 0


def _lora_bytes(lora: Any) -> int:
    try:
        path = here(lora_source(lora.path), lora.revision or None)
        return 0 if path is None else path.stat().st_size  # of one that is not downloaded yet nothing is known
    except OSError as error:
        raise InputError(f"{lora.path} cannot be read: {error.strerror or error}") from error
