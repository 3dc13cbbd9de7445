"""Live components as folders in diffusers layout, with all that LoadModel needs to read them again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from torch import nn

from limner.engine.errors import ModelError
from limner.nodes._flux2.checkpoint import Checkpoint, find_checkpoint
from limner.nodes._flux2.index import ModelIndex, read_json
from limner.nodes.specs import Flux2Spec, Quantizable, TextEncoder, Transformer

METHODS: Final = ("nf4", "fp4", "int8")
"""What is kept in safetensors with all its state; torchao's and quanto's formats are pickles, or on their way out."""
SHARD_SIZE: Final = "5GB"
_BESIDE: Final = {"transformer": "scheduler", "text_encoder": "tokenizer"}


def check(specs: Sequence[Flux2Spec[Any]]) -> None:
    """Refuse what could not be read again as it is, before anything is loaded. Raises ModelError."""
    if not specs:
        raise ModelError("nothing is wired to be saved", hint="wire a transformer, a text encoder or a VAE")
    for spec in specs:
        if isinstance(spec, Transformer) and spec.loras:
            raise ModelError(f"{spec}: a LoRA is not saved into a model", hint="save the model without it")
        method = spec.quantization.method if isinstance(spec, Quantizable) and spec.quantization else None
        if method is not None and method not in METHODS:
            raise ModelError(f"{spec}: {method} is not saved", hint=f"save it unquantized, or use {', '.join(METHODS)}")
        if spec.file is not None and spec.file.endswith(".gguf"):
            raise ModelError(f"{spec}: GGUF is not saved: it is a file already", hint="use the file itself")
        if (
            isinstance(spec, TextEncoder)
            and spec.file is not None
            and "norm.weight" not in find_checkpoint(spec).tensors
        ):
            raise ModelError(f"{spec} ends behind its last layer, and is not saved", hint="use the file itself")
    families = {find_checkpoint(spec).index.family for spec in specs}
    if len(families) > 1:
        raise ModelError(f"components of {' and '.join(sorted(families))} make no model")


def save_component(live: Any, spec: Flux2Spec[Any], folder: Path) -> None:
    """Write a component's weights and configuration, and what belongs to it. Raises OSError, ModelError."""
    model = live if isinstance(live, nn.Module) else live.model
    if away := [name for name, tensor in model.named_parameters() if tensor.is_meta or not tensor.numel()]:
        raise ModelError(f"{spec}: {away[0]} is not in memory", hint='set "offload": "none" on the node that saves it')
    saved: Any = model
    saved.save_pretrained(folder / spec.component, max_shard_size=SHARD_SIZE)
    mode = (folder / spec.component).stat().st_mode & 0o666
    for path in (folder / spec.component).glob("*.safetensors"):
        path.chmod(mode)  # safetensors makes files that only their owner may read
    if beside := _BESIDE.get(spec.component):
        shutil.copytree(find_checkpoint(spec).folder / beside, folder / beside)


def save_index(specs: Sequence[Flux2Spec[Any]], folder: Path) -> None:
    """Write which components there are, and what they need to be told: of each component, what its own model says."""
    checkpoints = {spec.component: find_checkpoint(spec) for spec in specs}
    first = next(iter(checkpoints.values()))
    source = read_json(first.folder / "model_index.json")
    present = {path.name for path in folder.iterdir()}
    names = ("scheduler", "text_encoder", "tokenizer", "transformer", "vae")
    parts = {name: source[name] if name in present else [None, None] for name in names}
    if "text_encoder" in checkpoints:
        own = read_json(checkpoints["text_encoder"].folder / "model_index.json")
        config = read_json(folder / "text_encoder" / "config.json")
        parts |= {"text_encoder": ["transformers", config["architectures"][0]], "tokenizer": own["tokenizer"]}
    head = {"_class_name": source["_class_name"], "_diffusers_version": source.get("_diffusers_version")}
    _write(folder / "model_index.json", head | _distilled(first.index) | parts)
    _write(folder / "limner.json", _settings(checkpoints))


def _distilled(index: ModelIndex) -> dict[str, bool]:
    return {} if index.family == "dev" else {"is_distilled": index.is_distilled}


def _settings(checkpoints: dict[Any, Checkpoint]) -> dict[str, Any]:
    first = next(iter(checkpoints.values()))
    transformer, text = checkpoints.get("transformer", first).settings, checkpoints.get("text_encoder", first).settings
    found: dict[str, Any] = {"text": text.text.model_dump(), "defaults": transformer.defaults.model_dump()}
    if transformer.preview is not None and {"transformer", "vae"} <= checkpoints.keys():
        found["preview"] = transformer.preview.model_dump()  # its map goes with this VAE
    if transformer.mag_ratios is not None and "transformer" in checkpoints:
        found["mag_ratios"] = transformer.mag_ratios
    return found


def _write(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=2) + "\n")
