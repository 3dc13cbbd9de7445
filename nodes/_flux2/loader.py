"""Making weights live: one component at a time, in its final precision, on its final device."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import diffusers
import torch
import transformers
from accelerate import init_empty_weights  # type: ignore[import-untyped]  # it has no types
from diffusers.models.autoencoders.autoencoder_kl_flux2 import AutoencoderKLFlux2
from diffusers.models.transformers.transformer_flux2 import Flux2Transformer2DModel
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from transformers import PreTrainedModel

from limner.engine.errors import ModelError
from limner.engine.events import ModelFetching
from limner.engine.footprint import Footprint
from limner.engine.models import ModelSpec, Report
from limner.engine.offload import NONE, Offload
from limner.engine.placement import placement, reading_device
from limner.nodes._flux2.adapters import with_loras
from limner.nodes._flux2.bitsandbytes_cpu import keep_portable
from limner.nodes._flux2.checkpoint import Checkpoint, find_checkpoint
from limner.nodes._flux2.disk_groups import load_on_disk
from limner.nodes._flux2.live import LiveTextEncoder, LiveTextGenerator, LiveTransformer
from limner.nodes._flux2.movable import offload_fault, stored_method
from limner.nodes._flux2.offloading import footprint, place, put_hooks
from limner.nodes._flux2.pixtral import load_picture_reader
from limner.nodes._flux2.preview import LatentPreview
from limner.nodes._flux2.quantization import plan_load, stored_arguments
from limner.nodes._flux2.settings import PreviewMap
from limner.nodes._flux2.single_model import load_single_file
from limner.nodes._flux2.size import module_bytes
from limner.nodes._flux2.source import find
from limner.nodes._flux2.text_model import build_model, generation_config, load_text_model
from limner.nodes._flux2.tokenizer import load_tokenizer
from limner.nodes._flux2.weigh import is_made_there, weights_of
from limner.nodes.specs import VAE, Flux2Spec, Quantizable, TextEncoder, TextGenerator, Transformer

Live = LiveTextEncoder | LiveTextGenerator | LiveTransformer | AutoencoderKLFlux2


class Flux2Loader:
    """What a model pool needs to make specs of FLUX.2 live. It keeps nothing itself."""

    def __init__(self) -> None:
        for library in (transformers, diffusers):  # their bars, and the hub's, would run through ours
            library.utils.logging.disable_progress_bar()

    def fetch(self, spec: ModelSpec[Any], report: Report) -> None:
        """Download what the hub has and this machine lacks, and say how far it is. Raises ModelError, Cancelled."""
        spec = _flux2(spec)
        find_checkpoint(spec, partial(report, ModelFetching, str(spec)))

    def expect(self, spec: ModelSpec[Any], device: str, offload: Offload = NONE) -> Footprint:
        """What the weights will take of each device, from the headers: what the plan says. Raises ModelError."""
        spec = _flux2(spec)
        weights = weights_of(find_checkpoint(spec).component, spec, device)
        return placement(weights, offload, device).footprint

    def load(self, spec: ModelSpec[Any], device: str, offload: Offload = NONE) -> Live:
        """The component that a base spec describes, to compute on ``device``. Raises ModelError, DeviceError."""
        if isinstance(spec, TextEncoder):
            return _load_text_encoder(spec, device, offload)
        if isinstance(spec, TextGenerator):
            return _load_text_generator(spec, device, offload)
        if isinstance(spec, Transformer):
            return _load_transformer(spec, device, offload)
        spec = _flux2(spec)
        vae: AutoencoderKLFlux2 = _load_module(AutoencoderKLFlux2, find_checkpoint(spec), spec, device, offload)
        return vae

    def place(self, live: Live, device: str) -> None:
        """Move a component that waits as a whole: to where it computes, or to the CPU."""
        place(_module(live), device)

    @contextmanager
    def adapt(self, live: Live, spec: ModelSpec[Any]) -> Iterator[None]:
        """Put the LoRAs of ``spec`` on the live module of its base for the length of a block. Raises ModelError."""
        if not (isinstance(live, LiveTransformer) and isinstance(spec, Transformer)):
            raise ModelError(f"{spec} is no variant of its base")
        with with_loras(live.model, spec.loras):
            yield

    def size_bytes(self, live: Live) -> int:
        """Bytes of parameters, buffers and quantization state, wherever they are; what is shared counts once."""
        return module_bytes(_module(live))

    def footprint(self, live: Live, device: str, offload: Offload) -> Footprint:
        """The same bytes by where they are, while the component waits and while it is held."""
        return footprint(_module(live), device, offload)

    def release(self, device: str) -> None:
        """Give memory of modules that nobody holds any more back to the device."""
        gc.collect()
        if (accelerator := torch.accelerator.current_accelerator(True)) and accelerator.type in ("cuda", "xpu"):
            torch.accelerator.empty_host_cache()  # pinned RAM, of what waited there for a stream
        if device.startswith("cuda"):
            with torch.cuda.device(device):
                torch.cuda.empty_cache()
        elif device.startswith("mps"):
            torch.mps.empty_cache()


def _module(live: Live) -> nn.Module:
    return live if isinstance(live, nn.Module) else live.model


def _flux2(spec: ModelSpec[Any]) -> Flux2Spec[Any]:
    if isinstance(spec, (TextEncoder, TextGenerator, Transformer, VAE)):
        return spec
    raise ModelError(f"{type(spec).__name__} is not a model of FLUX.2")


def _load_text_encoder(spec: TextEncoder, device: str, offload: Offload) -> LiveTextEncoder:
    checkpoint = find_checkpoint(spec)
    index = checkpoint.index
    return LiveTextEncoder(
        model=_load_module(PreTrainedModel, checkpoint, spec, device, offload),
        tokenizer=load_tokenizer(checkpoint.folder / "tokenizer", index),
        family=index.family,
        settings=checkpoint.settings.text,
        uses_negative=index.family == "klein" and not index.is_distilled,
    )


def _load_text_generator(spec: TextGenerator, device: str, offload: Offload) -> LiveTextGenerator:
    checkpoint = find_checkpoint(spec)
    folder = checkpoint.folder / "tokenizer"
    model = _load_module(PreTrainedModel, checkpoint, spec, device, offload)
    model.generation_config = generation_config(checkpoint)
    return LiveTextGenerator(model, load_tokenizer(folder, checkpoint.index), load_picture_reader(folder))


def _load_transformer(spec: Transformer, device: str, offload: Offload) -> LiveTransformer:
    checkpoint = find_checkpoint(spec)
    index, settings = checkpoint.index, checkpoint.settings
    model = _load_module(Flux2Transformer2DModel, checkpoint, spec, device, offload)
    return LiveTransformer(
        model=model,
        channels=model.config["in_channels"],
        text_width=model.config["joint_attention_dim"],
        scheduler_config=_scheduler_config(checkpoint.folder),
        family=index.family,
        is_distilled=index.is_distilled,
        defaults=settings.defaults,
        preview=None if settings.preview is None else _preview(settings.preview, spec),
        mag_ratios=settings.mag_ratios,
    )


def _load_module(cls: Any, checkpoint: Checkpoint, spec: Flux2Spec[Any], device: str, offload: Offload) -> Any:
    """One module of diffusers or transformers, with its weights where its policy lets them wait."""
    dtype: torch.dtype = getattr(torch, checkpoint.component.dtype(spec, device))
    _check_movable(checkpoint, spec, offload)
    if offload.disk is not None:
        return load_on_disk(partial(_meta_module, cls, checkpoint), checkpoint.tensors, dtype, device, offload)
    module = _read_module(cls, checkpoint, spec, dtype, reading_device(offload, device, is_made_there(spec)))
    put_hooks(module, device, offload)
    return module


def _meta_module(cls: Any, checkpoint: Checkpoint) -> nn.Module:
    """A module on the meta device, but for buffers that are computed."""
    if cls is PreTrainedModel:
        with init_empty_weights(include_buffers=False):
            return build_model(checkpoint)
    with torch.device("meta"):
        config = cls.load_config(checkpoint.config, local_files_only=True) | checkpoint.own_config
        return cast(nn.Module, cls.from_config(config))


def _check_movable(checkpoint: Checkpoint, spec: Flux2Spec[Any], offload: Offload) -> None:
    """Raise ModelError for quantized weights that the policy cannot move."""
    method: str | None = spec.quantization.method if isinstance(spec, Quantizable) and spec.quantization else None
    if checkpoint.file is not None:
        method = method or ("gguf" if checkpoint.is_gguf else None)
    else:
        method = method or stored_method(checkpoint.config)
    if (fault := offload_fault(method, offload)) is not None:
        raise ModelError(f"{spec}: {fault[0]}", hint=fault[1])


def _read_module(cls: Any, checkpoint: Checkpoint, spec: Flux2Spec[Any], dtype: torch.dtype, device: str) -> Any:
    """A module on a device. Refuses weights that are not exactly what its configuration says."""
    weights = checkpoint.weights
    module: Any
    quantized = None
    arguments: dict[str, Any] = {"dtype": dtype}
    if device != "cpu":
        arguments["device_map"] = {"": device}  # straight there, without a copy in RAM
    elif checkpoint.is_quantized:
        arguments |= stored_arguments()
    try:
        if isinstance(spec, Quantizable) and spec.quantization is not None:
            quantized = plan_load(cls, checkpoint, spec.quantization, dtype, device)
            arguments |= quantized.arguments(transformers if cls is PreTrainedModel else diffusers, device)
        if cls is PreTrainedModel:
            module, report = load_text_model(checkpoint, **arguments)
        elif checkpoint.file is not None:
            config = arguments.get("quantization_config")
            module, report = load_single_file(cls, checkpoint, dtype, device, config), {}
        else:
            module, report = cls.from_pretrained(
                weights, use_safetensors=True, local_files_only=True, output_loading_info=True, **arguments
            )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(f"{weights} could not be loaded: {line}") from error
    for kind, what in (("missing_keys", "lacks"), ("unexpected_keys", "has unknown"), ("mismatched_keys", "misfits")):
        if keys := sorted(str(key) for key in report.get(kind) or ()):
            more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
            raise ModelError(f"{weights} {what} weights: {', '.join(keys[:3])}{more}")
    if quantized is not None:
        quantized.finish(module)
    if device == "cpu":
        keep_portable(module)
    return module


def _scheduler_config(folder: Path) -> Mapping[str, Any]:
    config = FlowMatchEulerDiscreteScheduler.load_config(folder / "scheduler", local_files_only=True)
    return dict(config)


def _preview(preview: PreviewMap, spec: Transformer) -> LatentPreview:
    """The fitted map with the VAE's statistics: two small tensors, read without loading the VAE."""
    vae = find(spec.source, "vae", spec.revision) / "vae"
    mean, variance = (_read_tensor(vae, f"bn.running_{name}") for name in ("mean", "var"))
    eps = AutoencoderKLFlux2.load_config(vae, local_files_only=True).get("batch_norm_eps", 1e-4)
    weight = torch.tensor(preview.weight)
    if weight.shape[1] * 4 != mean.numel():
        raise ModelError(
            f"{vae.parent}/limner.json: the preview maps {weight.shape[1]} channels, of {mean.numel() // 4}"
        )
    return LatentPreview(weight, torch.tensor(preview.bias), mean, torch.sqrt(variance + eps))


def _read_tensor(weights: Path, name: str) -> Tensor:
    for path in sorted(weights.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            if name in file.keys():  # noqa: SIM118  # the file is not a mapping
                tensor: Tensor = file.get_tensor(name)
                return tensor.to(torch.float32)
    raise ModelError(f"{weights} lacks {name}")
