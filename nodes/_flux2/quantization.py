"""Loading weights in fewer bits: what the libraries are told, and what their answers are checked for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

import torch
import transformers
from diffusers.hooks import layerwise_casting
from torch import nn

from limner.engine.errors import DeviceError, ModelError, suggest
from limner.nodes._flux2.bitsandbytes_cpu import CPU_MAP, allow_bitsandbytes_on_cpu
from limner.nodes._flux2.checkpoint import Checkpoint
from limner.nodes._flux2.text_model import meta_model
from limner.nodes.specs import Quantization, QuantizationMethod

BITSANDBYTES: Final = ("nf4", "fp4", "int8")
EMBEDDING: Final = "embed_tokens"
HEAD: Final = "lm_head"
_TORCHAO: Final = {
    "int8-wo": "Int8WeightOnlyConfig",
    "fp8-wo": "Float8WeightOnlyConfig",
    "fp8-dynamic": "Float8DynamicActivationFloat8WeightConfig",
}
_FP8_CAPABILITY: Final = (8, 9)
"""The oldest compute capability whose tensor cores multiply fp8."""


@dataclass(frozen=True)
class QuantizedLoad:
    """How one component is loaded quantized."""

    quantization: Quantization
    dtype: torch.dtype
    kept: tuple[str, ...]
    """Linear layers that keep their precision, by their full names: libraries match parts of names differently."""

    @property
    def method(self) -> QuantizationMethod:
        """The way of quantizing."""
        return self.quantization.method

    def arguments(self, library: Any, device: str) -> dict[str, Any]:
        """What ``from_pretrained`` of diffusers or transformers needs to be told besides."""
        if self.method == "layerwise-fp8":
            return {}
        config = self._config(library)
        if device == "cpu" and self.method in BITSANDBYTES:
            allow_bitsandbytes_on_cpu()
            return {"quantization_config": config, "device_map": CPU_MAP}
        return {"quantization_config": config}

    def _config(self, library: Any) -> Any:
        kept = list(self.kept)
        if self.method == "int8":
            return library.BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=kept)
        if self.method in ("nf4", "fp4"):
            compute = self.quantization.compute_dtype
            return library.BitsAndBytesConfig(
                load_in_4bit=True,
                bnb_4bit_quant_type=self.method,
                bnb_4bit_use_double_quant=self.quantization.double_quant,
                bnb_4bit_compute_dtype=self.dtype if compute == "auto" else getattr(torch, compute),
                llm_int8_skip_modules=kept,
            )
        if self.method in _TORCHAO:
            config = getattr(import_module("torchao.quantization"), _TORCHAO[self.method])()
            return library.TorchAoConfig(config, modules_to_not_convert=kept)
        name = "weights" if library is transformers else "weights_dtype"
        bits = self.method.removeprefix("quanto-")
        return library.QuantoConfig(**{name: bits}, modules_to_not_convert=sorted({_last_name(one) for one in kept}))

    def finish(self, module: nn.Module) -> None:
        """Cast layer by layer where that is the method. Raises ModelError where a layer was left as it was."""
        if self.method == "layerwise-fp8":
            own = getattr(module, "_skip_layerwise_casting_patterns", None) or ()
            layerwise_casting.apply_layerwise_casting(
                module,
                storage_dtype=torch.float8_e4m3fn,
                compute_dtype=self.dtype,
                skip_modules_pattern=(
                    *layerwise_casting.DEFAULT_SKIP_MODULES_PATTERN,
                    *own,
                    EMBEDDING,
                    *(f"^{name}$" for name in self.kept),
                ),
            )
            return
        for name, layer in module.named_modules():
            if isinstance(layer, nn.Linear) and (type(layer.weight) is nn.Parameter) != (name in self.kept):
                raise ModelError(f"{name} was {'quantized' if name in self.kept else 'not quantized'} by {self.method}")


def plan_load(
    cls: Any, checkpoint: Checkpoint, quantization: Quantization, dtype: torch.dtype, device: str
) -> QuantizedLoad:
    """Find out what to keep. Raises ModelError for names that are not there, DeviceError for what a device lacks."""
    weights = checkpoint.weights
    if checkpoint.is_quantized:
        raise ModelError(f"{weights} is quantized already", hint="leave the Quantize node out")
    if quantization.method == "fp8-dynamic":
        _check_fp8(device)
    linears = _linear_names(cls, checkpoint)
    kept = {name for name in linears if _last_name(name) == HEAD}  # as transformers does by default
    for part in quantization.skip:
        if not (found := {name for name in linears if _is_part(part, name)}):
            raise ModelError(f"skip: {weights} has no linear layer {part}", hint=suggest(part, _parts(linears)))
        kept |= found
    if len(kept) == len(linears):
        raise ModelError(f"skip: nothing is left to quantize in {weights}", hint="leave the Quantize node out")
    if quantization.method.startswith("quanto-"):
        _check_last_names(kept, linears)
    return QuantizedLoad(quantization, dtype, tuple(sorted(kept)))


def stored_arguments() -> dict[str, Any]:
    """What ``from_pretrained`` needs to be told to load weights that were saved quantized, on a CPU."""
    allow_bitsandbytes_on_cpu()
    return {"device_map": CPU_MAP}


def _check_fp8(device: str) -> None:
    if not device.startswith("cuda"):
        raise DeviceError(f"fp8-dynamic needs a CUDA device, not {device}", hint="use fp8-wo")
    if torch.cuda.get_device_capability(device) < _FP8_CAPABILITY:
        raise DeviceError(f"fp8-dynamic: {device} cannot multiply fp8 (Ada and newer can)", hint="use fp8-wo")


def _check_last_names(kept: Collection[str], linears: Sequence[str]) -> None:
    """The quanto loaders of diffusers and transformers tell layers apart by the last part of their names only."""
    names = {_last_name(name) for name in kept}
    if more := [name for name in linears if name not in kept and _last_name(name) in names]:
        raise ModelError(
            f"skip: quanto cannot keep only some of the layers of one name: {more[0]} would be kept too",
            hint="name them all, by their last name, or use another method",
        )


def _last_name(name: str) -> str:
    return name.rpartition(".")[2]


def _linear_names(cls: Any, checkpoint: Checkpoint) -> list[str]:
    """The linear layers that a configuration describes; no weight is read."""
    if issubclass(cls, transformers.PreTrainedModel):
        module = meta_model(checkpoint)
    else:
        with torch.device("meta"):
            module = cls.from_config(cls.load_config(checkpoint.config, local_files_only=True))
    return [name for name, layer in module.named_modules() if isinstance(layer, nn.Linear)]


def _is_part(part: str, name: str) -> bool:
    return f".{part}." in f".{name}."


def _parts(names: Sequence[str]) -> set[str]:
    """Every name and the parts that people write: ``a.b.c`` -> ``a.b.c``, ``a``, ``b``, ``c``."""
    return {*names, *(part for name in names for part in name.split("."))}
