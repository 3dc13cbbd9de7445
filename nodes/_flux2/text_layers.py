"""Which tensors of a text encoder are read: its embedding and the layers up to the last one that is listened to."""

from __future__ import annotations

import re
from pathlib import Path

from limner.engine.errors import ModelError
from limner.nodes._flux2.index import read_index, read_json
from limner.nodes._flux2.settings import read_settings
from limner.nodes._flux2.shards import missing_files, shards, weight_files
from limner.nodes._flux2.weights import Stored, read_folder, read_tensors

DEFAULT_LAYERS = 32
"""What a configuration of Mistral or Qwen3 means that says nothing: transformers leaves defaults out."""
INDEX = "model.safetensors.index.json"
_PREFIX = r"(?:(?:model|language_model)\.)*"
_READ = re.compile(rf"{_PREFIX}((?:layers\.(\d+)|embed_tokens|norm)\..+)", re.ASCII)
_UNREAD = re.compile(rf"{_PREFIX}((?:lm_head|vision_tower|multi_modal_projector)\..+)", re.ASCII)


def read_layers(folder: Path) -> tuple[int, ...]:
    """The layers of a checkpoint's text encoder whose states are read; 0 is the embedding. Raises ModelError."""
    return read_settings(folder, read_index(folder)).text.out_layers


def layers_to_keep(folder: Path) -> int:
    """How many layers of a checkpoint's text encoder are needed. Raises ModelError.

    One more than the highest that is read: what comes out of the last layer of a model passes its final norm, and what
    comes out of the others does not. Where the last layer itself is read, all are needed.
    """
    wanted = read_layers(folder)
    config = read_json(folder / "text_encoder" / "config.json")
    own = config.get("text_config")
    total = (own if isinstance(own, dict) else config).get("num_hidden_layers", DEFAULT_LAYERS)
    weights = folder / "text_encoder"
    if not isinstance(total, int) or total < 1:
        raise ModelError(f"{weights}/config.json: {total!r} is no number of layers")
    if not all(0 <= layer <= total for layer in wanted):
        raise ModelError(f"{weights} has {total} layers, and {wanted} are read from it")
    return min(total, max(wanted) + 1)


def text_tensors(folder: Path) -> dict[str, Stored]:
    """The tensors that are read, by their names in the bare language model; no other is ever touched.

    The head and what sees pictures are left out as well. Raises ModelError, also for names that nobody knows.
    """
    weights, layers = folder / "text_encoder", layers_to_keep(folder)
    found = {}
    for path in _files(weights, layers):
        for key, tensor in read_tensors(path).items():
            if name := kept_name(key, layers):
                found[name] = tensor
            elif not is_unread(key, layers):
                raise ModelError(f"{weights} has unknown weights: {key}")
    if not found:
        raise ModelError(f"{weights} has no weights in safetensors")
    return found


def whole_tensors(folder: Path) -> dict[str, Stored]:
    """All tensors, by their names in ``Mistral3ForConditionalGeneration``. Raises ModelError."""
    weights = folder / "text_encoder"
    return {_whole_name(key, weights): tensor for key, tensor in read_folder(weights).items()}


def _whole_name(key: str, weights: Path) -> str:
    if found := _READ.fullmatch(key):
        return f"model.language_model.{found[1]}"
    if found := _UNREAD.fullmatch(key):
        return found[1] if found[1].startswith("lm_head") else f"model.{found[1]}"
    raise ModelError(f"{weights} has unknown weights: {key}")


def needed_files(folder: Path) -> list[str]:
    """The weight files that hold tensors that are read, as patterns; all, where no index says. Raises ModelError."""
    if not (folder / "text_encoder" / INDEX).is_file():
        return ["*.safetensors"]
    layers = layers_to_keep(folder)
    names = shards(folder / "text_encoder" / INDEX)
    return sorted({shard for key, shard in names.items() if kept_name(key, layers)})


def has_text_tensors(folder: Path) -> bool:
    """Whether every file that holds tensors that are read is on this machine. Raises ModelError."""
    weights = folder / "text_encoder"
    if (weights / INDEX).is_file():
        return set(needed_files(folder)) <= set(weight_files(weights))
    return bool(weight_files(weights)) and not missing_files(weights)


def _files(weights: Path, layers: int) -> list[Path]:
    """As ``needed_files``, of which all must be there."""
    if not (weights / INDEX).is_file():
        return sorted(weights.glob("*.safetensors"))
    names = shards(weights / INDEX)
    return [weights / name for name in sorted({name for key, name in names.items() if kept_name(key, layers)})]


def is_unread(key: str, layers: int) -> bool:
    """Whether a tensor of a language model is known, and not among those that are read of it."""
    return bool(_UNREAD.fullmatch(key) or _READ.fullmatch(key)) and kept_name(key, layers) is None


def layer_of(key: str) -> int | None:
    """Which layer a tensor belongs to."""
    found = _READ.fullmatch(key)
    return int(found[2]) if found is not None and found[2] is not None else None


def kept_name(key: str, layers: int) -> str | None:
    """``model.language_model.layers.7.x`` -> ``layers.7.x``; None for what is not read."""
    found = _READ.fullmatch(key)
    if found is None or (found[2] is not None and int(found[2]) >= layers):
        return None
    return found[1]
