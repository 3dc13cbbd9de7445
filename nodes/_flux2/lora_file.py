"""What a LoRA file says of itself in its header: which of the known formats it has, or why it is refused. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from limner.nodes._flux2.content import sha256_of
from limner.nodes._flux2.hub_file import HubFile, identify_file, locate
from limner.nodes._flux2.shapes import transformer_shapes
from limner.nodes._flux2.weights import read_tensors, shorten

ENDINGS = (".safetensors",)
PREFIXES = ("transformer.", "diffusion_model.", "base_model.model.", "lora_unet_")
"""diffusers; BFL, ai-toolkit and ComfyUI; PEFT; kohya."""
_SIDES = (".lora_A.weight", ".lora_B.weight", ".lora_down.weight", ".lora_up.weight", ".alpha")
_DOWN = (".lora_A.weight", ".lora_down.weight")
"""What reads a layer's input: as wide as that, whatever parts a format joins on the other side."""


def lora_source(name: str) -> Path | HubFile:
    """The file that a user named, here or on the hub. Raises InputError where it can be neither."""
    return locate(name, ENDINGS)


def identify_lora(source: Path | HubFile, revision: str | None) -> str:
    """The SHA-256 of a file that is here; for one on the hub, its name and commit. Raises InputError."""
    return sha256_of(source) if isinstance(source, Path) else identify_file(source, revision)


def lora_faults(path: Path) -> Iterator[str]:
    """Why a file is no LoRA for a FLUX.2 transformer, as far as the names in it tell. Raises ModelError."""
    names = list(read_tensors(path))
    if kind := _other_kind(names):
        yield f"{path} is a {kind}, and only plain LoRA is applied"
        return
    if odd := [name for name in names if not name.startswith(PREFIXES)]:
        known = ", ".join(PREFIXES)
        yield f"{path}: {shorten(odd)}: such keys belong to no transformer (they would begin with one of {known})"
    elif odd := [name for name in names if not name.endswith(_SIDES)]:
        yield f"{path}: {shorten(odd)}: these are no LoRA weights"
    elif not names:
        yield f"{path} is empty"


def lora_misfit(path: Path, config: Mapping[str, Any]) -> str | None:
    """Why a file is a LoRA of another model than the transformer of a configuration, by its header alone.

    None where every layer reads as many numbers as some layer of the transformer does: the rest is seen when it is
    put on. Raises ModelError where the file cannot be read.
    """
    widths = {shape[1] for shape in transformer_shapes(config).values() if len(shape) == 2}
    read = {name: tensor.shape[-1] for name, tensor in read_tensors(path).items() if name.endswith(_DOWN)}
    if odd := [f"{name} ({width})" for name, width in read.items() if width not in widths]:
        return f"{path} is for another transformer: {shorten(odd)}: no layer of this one is as wide"
    return None


def _other_kind(names: Iterable[str]) -> str | None:
    marks = {".lokr_": "LoKr", ".hada_": "LoHa", "dora_scale": "DoRA", ".lora_magnitude_vector": "DoRA"}
    return next((kind for name in names for mark, kind in marks.items() if mark in name), None)
