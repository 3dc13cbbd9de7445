"""What a model folder says it is: its family and its components, read from ``model_index.json`` without torch."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from limner.engine.errors import ModelError

Family = Literal["dev", "klein"]

FAMILIES: dict[str, Family] = {
    "Flux2Pipeline": "dev",
    "Flux2KleinPipeline": "klein",
    "Flux2KleinKVPipeline": "klein",
    "Flux2KleinInpaintPipeline": "klein",
}
TEXT_ENCODERS: dict[Family, str] = {"dev": "Mistral3ForConditionalGeneration", "klein": "Qwen3ForCausalLM"}
BARE_TEXT_ENCODERS: dict[Family, str] = {"dev": "MistralModel", "klein": "Qwen3Model"}
"""Without head and vision, as SaveModel writes them."""
TOKENIZERS = (
    "PixtralProcessor",
    "PreTrainedTokenizerFast",
    "Qwen2Tokenizer",
    "Qwen2TokenizerFast",
    "TokenizersBackend",
)
COMPONENTS = ("text_encoder", "tokenizer", "transformer", "vae", "scheduler")
WITH_WEIGHTS = ("text_encoder", "transformer", "vae")
VAE_SCALE = 8
"""Pixels per latent cell. Every FLUX.2 has this VAE; sizes are multiples of it times the patch of 2."""
MAX_JSON_BYTES = 1 << 20


@dataclass(frozen=True)
class ModelIndex:
    """A checkpoint's family, and whether it was distilled to few steps without guidance."""

    family: Family
    is_distilled: bool
    tokenizer_class: str


def read_index(folder: Path) -> ModelIndex:
    """The index of a folder in diffusers layout. Raises ModelError with its first fault."""
    for message in index_faults(folder, only=()):
        raise ModelError(message)
    document = read_json(folder / "model_index.json")
    return ModelIndex(
        family=FAMILIES[document["_class_name"]],
        is_distilled=document.get("is_distilled") is True,
        tokenizer_class=document["tokenizer"][1] or "",
    )


def index_faults(folder: Path, only: Collection[str] | None = None) -> Iterator[str]:
    """Everything that makes a folder no FLUX.2 model, in words; ``only`` these components must be there.

    Without ``only``, those that the index says it has: a folder may have been saved with some of them.
    """
    path = folder / "model_index.json"
    if not path.is_file():
        yield f"{folder} holds no model: it has no model_index.json"
        return
    try:
        document = read_json(path)
    except ModelError as error:
        yield error.message
        return
    pipeline = document.get("_class_name")
    if not isinstance(pipeline, str) or pipeline not in FAMILIES:
        yield f"{folder} is a {pipeline!r}, not a FLUX.2 pipeline ({', '.join(FAMILIES)})"
        return
    for name, (library, classes) in _loadable(FAMILIES[pipeline]).items():
        entry = document.get(name)
        if entry == [None, None]:
            if name in (only or ()):
                yield f"{folder} was saved without its {name}"
        elif not isinstance(entry, list) or len(entry) != 2:
            yield f"{folder}: model_index.json names no {name}"
        elif entry[0] != library or entry[1] not in classes:
            yield f"{folder}: {name} is {entry[0]}.{entry[1]}, and only {library}.{' or '.join(classes)} is loaded"
        elif only is None or name in only:
            yield from _missing_files(folder, name)
    if (scale := _vae_scale(folder / "vae" / "config.json")) not in (None, VAE_SCALE):
        yield f"{folder}: its VAE scales by {scale}, that of FLUX.2 by {VAE_SCALE}"


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file. Raises ModelError where it is not one, or larger than any index is."""
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise ModelError(f"{path} is larger than {MAX_JSON_BYTES} bytes")
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise ModelError(f"{path} is not a JSON object")
    return document


def _loadable(family: Family) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Library and classes by component. Nothing else is ever loaded: a checkpoint cannot bring a class of its own."""
    return {
        "text_encoder": ("transformers", (TEXT_ENCODERS[family], BARE_TEXT_ENCODERS[family])),
        "tokenizer": ("transformers", TOKENIZERS),
        "transformer": ("diffusers", ("Flux2Transformer2DModel",)),
        "vae": ("diffusers", ("AutoencoderKLFlux2",)),
        "scheduler": ("diffusers", ("FlowMatchEulerDiscreteScheduler",)),
    }


def _missing_files(folder: Path, name: str) -> Iterator[str]:
    if not (folder / name).is_dir():
        yield f"{folder}: the folder {name} is missing"
    elif name in WITH_WEIGHTS and not any((folder / name).glob("*.safetensors")):
        yield f"{folder}: {name} has no weights in safetensors, the only format that is read"


def _vae_scale(config: Path) -> int | None:
    try:
        blocks = read_json(config).get("block_out_channels")
    except ModelError:
        return None  # a missing VAE folder is already a fault of its own
    return 2 ** (len(blocks) - 1) if isinstance(blocks, list) and blocks else None
