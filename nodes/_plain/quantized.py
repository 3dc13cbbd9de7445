"""Loading a component in fewer bits with bitsandbytes, or as it was stored with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from limner.nodes._flux2.index import TEXT_ENCODERS
from limner.nodes._flux2.known import known
from limner.nodes._plain.literal import call, literal
from limner.nodes._plain.script import Script
from limner.nodes.specs import Quantizable, Quantization

_ON_CPU: Final = '''\
class OnCpu{bits}Bit({base}):
    """bitsandbytes computes on a CPU too; only a check in diffusers forbids it."""

    def validate_environment(self, *args, **kwargs):
        pass


AUTO_QUANTIZER_MAPPING["bitsandbytes_{bits}bit"] = OnCpu{bits}Bit'''
_PORTABLE: Final = '''\
def keep_portable(model):
    """Some CPUs repack 4-bit layers when they first compute, with rounded scales; these layers stay as they are."""
    for layer in model.modules():
        if isinstance(layer, bitsandbytes.nn.Linear4bit):
            layer.support_avx512bf16_for_cpu = False
    return model'''
BITSANDBYTES: Final = ("nf4", "fp4", "int8")


def quantized_loading(script: Script, spec: Quantizable[Any], source: Sequence[str], device: str) -> str:
    """Write the loading of a component; gives the name that it has then."""
    quantization = spec.quantization
    library, cls = ("diffusers", "Flux2Transformer2DModel")
    if spec.component == "text_encoder":
        library, cls = ("transformers", TEXT_ENCODERS[known(spec).index.family])
    script.use(library, cls)
    dtype = f"torch.{known(spec).dtype(spec, device)}"
    arguments = [*source, f"subfolder={literal(spec.component)}", f"dtype={dtype}"]
    if quantization is not None:
        arguments.append(f"quantization_config={_config(script, library, quantization, dtype)}")
    arguments.append(f'device_map={{"": {script.constant("device", device, of=spec.component)}}}')
    loading = call(f"{cls}.from_pretrained", *arguments)
    stored = quantization or known(spec).quantization
    if device == "cpu" and stored is not None:
        loading = _on_cpu(script, loading, library, 8 if stored.method == "int8" else 4)
    name = script.name(spec.component)
    script.add(f"{name} = {loading}")
    return name


def _config(script: Script, library: str, quantization: Quantization, dtype: str) -> str:
    """Both libraries have a class of this name, so it is called by its library's."""
    script.use(library)
    if quantization.method == "int8":
        return f"{library}.BitsAndBytesConfig(load_in_8bit=True)"
    compute = quantization.compute_dtype
    arguments = [
        "load_in_4bit=True",
        f"bnb_4bit_quant_type={literal(quantization.method)}",
        *(["bnb_4bit_use_double_quant=True"] if quantization.double_quant else []),
        f"bnb_4bit_compute_dtype={dtype if compute == 'auto' else f'torch.{compute}'}",
    ]
    return call(f"{library}.BitsAndBytesConfig", *arguments)


def _on_cpu(script: Script, loading: str, library: str, bits: int) -> str:
    if library == "diffusers":  # transformers lets a CPU compute
        base = f"BnB{bits}BitDiffusersQuantizer"
        script.use("diffusers.quantizers.auto", "AUTO_QUANTIZER_MAPPING")
        script.use("diffusers.quantizers.bitsandbytes.bnb_quantizer", base)
        script.define(_ON_CPU.format(base=base, bits=bits))
    if bits == 8:
        return loading
    script.use("bitsandbytes")
    script.define(_PORTABLE)
    return call("keep_portable", loading)
