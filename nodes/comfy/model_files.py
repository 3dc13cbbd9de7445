"""The model files that ComfyUI's workflows name: in the folders of a ComfyUI, or known by name. Imports no torch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, Literal

from limner.engine.errors import InputError, ModelError
from limner.engine.user_path import user_path
from limner.nodes._flux2.base import describe_single_file, identify_single_file, share_of_base, single_file_faults
from limner.nodes._flux2.source import describe_source, identify, local_folder, source_faults
from limner.nodes.specs import Component

MODELS_ENV: Final = "LIMNER_COMFY_MODELS"
"""Folders of ComfyUI, or their folders ``models``, separated as in ``PATH``."""

Kind = Literal["transformer", "text_encoder", "vae", "lora"]
FOLDERS: Final[Mapping[Kind, tuple[str, ...]]] = {
    "transformer": ("diffusion_models", "unet"),
    "text_encoder": ("text_encoders", "clip"),
    "vae": ("vae",),
    "lora": ("loras",),
}
"""ComfyUI's folders for each kind, the newer name first."""
_ENDINGS: Final[Mapping[Kind, tuple[str, ...]]] = {
    "transformer": (".safetensors", ".gguf"),
    "text_encoder": (".safetensors",),
    "vae": (".safetensors",),
    "lora": (".safetensors",),
}

DEV: Final = "black-forest-labs/FLUX.2-dev"
KLEIN_4B: Final = "black-forest-labs/FLUX.2-klein-4B"
KLEIN_9B: Final = "black-forest-labs/FLUX.2-klein-9B"
BASE_4B: Final = "black-forest-labs/FLUX.2-klein-base-4B"
BASE_9B: Final = "black-forest-labs/FLUX.2-klein-base-9B"
_COMFY_DEV: Final = "Comfy-Org/flux2-dev/split_files"


@dataclass(frozen=True)
class Place:
    """Where a component comes from: a model, or a file and the model that it was made from."""

    source: str
    file: str | None = None

    def faults(self, component: Component) -> Iterator[str]:
        """What is wrong with it, as far as can be told without the network."""
        if self.file is None:
            return source_faults(self.source)
        return (text for _, text in single_file_faults(component, self.file, None, self.source, None))

    def identity(self, component: Component) -> str:
        """What it holds, as text for a key. Raises InputError."""
        if self.file is None:
            return identify(self.source, None)
        return identify_single_file(component, self.file, None, self.source, None)

    def sources(self, component: Component) -> Mapping[str, str]:
        """The same for people and for other machines. Raises InputError."""
        if self.file is None:
            return {self.source: describe_source(self.source, None)}
        return describe_single_file(component, self.file, None, self.source, None)


def _bfl(name: str) -> str:
    return f"black-forest-labs/{name}"


KNOWN: Final[Mapping[Kind, Mapping[str, Place]]] = {
    "transformer": {
        "flux2_dev_fp8mixed.safetensors": Place(DEV, f"{_COMFY_DEV}/diffusion_models/flux2_dev_fp8mixed.safetensors"),
        "flux-2-klein-4b.safetensors": Place(KLEIN_4B),
        "flux-2-klein-base-4b.safetensors": Place(BASE_4B),
        "flux-2-klein-9b.safetensors": Place(KLEIN_9B),
        "flux-2-klein-base-9b.safetensors": Place(BASE_9B),
        "flux-2-klein-4b-fp8.safetensors": Place(KLEIN_4B, _bfl("FLUX.2-klein-4b-fp8/flux-2-klein-4b-fp8.safetensors")),
        "flux-2-klein-base-4b-fp8.safetensors": Place(
            BASE_4B, _bfl("FLUX.2-klein-base-4b-fp8/flux-2-klein-base-4b-fp8.safetensors")
        ),
        "flux-2-klein-9b-fp8.safetensors": Place(KLEIN_9B, _bfl("FLUX.2-klein-9b-fp8/flux-2-klein-9b-fp8.safetensors")),
        "flux-2-klein-base-9b-fp8.safetensors": Place(
            BASE_9B, _bfl("FLUX.2-klein-base-9b-fp8/flux-2-klein-base-9b-fp8.safetensors")
        ),
        "flux-2-klein-9b-kv-fp8.safetensors": Place(
            KLEIN_9B, _bfl("FLUX.2-klein-9b-kv-fp8/flux-2-klein-9b-kv-fp8.safetensors")
        ),
    },
    "text_encoder": {
        "mistral_3_small_flux2_bf16.safetensors": Place(DEV),
        "mistral_3_small_flux2_fp8.safetensors": Place(DEV),
        "qwen_3_4b.safetensors": Place(KLEIN_4B),
        "qwen_3_8b.safetensors": Place(KLEIN_9B),
        "qwen_3_8b_fp8mixed.safetensors": Place(KLEIN_9B),
    },
    "vae": {
        "flux2-vae.safetensors": Place(KLEIN_4B),
        "full_encoder_small_decoder.safetensors": Place(
            KLEIN_4B, _bfl("FLUX.2-small-decoder/full_encoder_small_decoder.safetensors")
        ),
    },
    "lora": {
        "Flux_2-Turbo-LoRA_comfyui.safetensors": Place(
            DEV, "ByteZSzn/Flux.2-Turbo-ComfyUI/Flux_2-Turbo-LoRA_comfyui.safetensors"
        ),
        "Flux2TurboComfyv2.safetensors": Place(DEV, f"{_COMFY_DEV}/loras/Flux2TurboComfyv2.safetensors"),
    },
}
"""The files that ComfyUI's own workflows for FLUX.2 name. bfloat16 weights are those of the model itself."""

_BASES: Final[Mapping[Kind, tuple[str, ...]]] = {
    "transformer": (DEV, KLEIN_4B, KLEIN_9B, "tiny"),
    "text_encoder": (DEV, KLEIN_4B, KLEIN_9B, "tiny"),
    "vae": (KLEIN_4B, "tiny"),
}
"""What a file of another name may have been made from; klein's base models have the shapes of the distilled ones."""
_CLOSE: Final = 0.5
"""How much of a model a file has at least that was made from it, by the number of tensors."""


def names(kind: Kind) -> list[str]:
    """What a workflow may name here: the files in ComfyUI's folders, those that are known, and the embedded model."""
    found = {path.relative_to(folder).as_posix() for folder in _folders(kind) for path in _files(folder, kind)}
    return [*sorted(found | KNOWN[kind].keys(), key=str.casefold), *(["tiny"] if kind in _BASES else [])]


def find_file(kind: Kind, name: str) -> Path | None:
    """The file of this name in ComfyUI's folders; none for a name that leads out of them.

    Raises InputError where a link leads out of the folders of a server.
    """
    relative = PurePosixPath(name.replace("\\", "/"))
    if relative.is_absolute() or ".." in relative.parts:
        return None
    for folder in _folders(kind):
        path = folder / relative
        if path.suffix in _ENDINGS[kind] and path.is_file():
            return user_path(str(path))
    return None


def locate_model(component: Component, name: str) -> Place:
    """What a name stands for: a file in ComfyUI's folders, one that is known, or any source of LoadModel.

    Raises InputError where it is none of them, or a file that belongs to no known model.
    """
    known = KNOWN[component].get(PurePosixPath(name.replace("\\", "/")).name)
    path = find_file(component, name)
    if known is not None:
        return known if path is None else Place(known.source, str(path))
    if path is not None:
        return Place(_base_of(component, path), str(path))
    if PurePosixPath(name).suffix in _ENDINGS[component]:
        folders = " or ".join(FOLDERS[component])
        raise ModelError(f"there is no file {name} in ComfyUI's folder {folders}", hint=_hint(component))
    local_folder(name)  # says what is wrong with it
    return Place(name)


def locate_lora(name: str) -> str:
    """The same for a LoRA, as ApplyLoRA takes it. Raises InputError."""
    if (path := find_file("lora", name)) is not None:
        return str(path)
    known = KNOWN["lora"].get(PurePosixPath(name.replace("\\", "/")).name)
    if known is not None and known.file is not None:
        return known.file
    return name


def _base_of(component: Component, path: Path) -> str:
    """The model whose weights a file has by its header; a distilled one stands for undistilled ones, too.

    Where something is wrong with it, the model that most of it fits: what is wrong is then for the check to say.
    """
    shares = {base: share_of_base(component, path, base) for base in _BASES[component]}
    base = max(shares, key=lambda name: shares[name])
    if shares[base] >= _CLOSE:
        return base
    raise ModelError(
        f"{path.name} has the weights of no {component.replace('_', ' ')} that is known",
        hint=f"known are those of {', '.join(_BASES[component])}",
    )


def _folders(kind: Kind) -> Iterator[Path]:
    for root in filter(None, os.environ.get(MODELS_ENV, "").split(os.pathsep)):
        for name in FOLDERS[kind]:
            yield from (folder for folder in (Path(root) / "models" / name, Path(root) / name) if folder.is_dir())


def _files(folder: Path, kind: Kind) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.suffix in _ENDINGS[kind] and path.is_file())


def _hint(component: Component) -> str:
    if component == "text_encoder":
        return f"name a text encoder of FLUX.2, or a model in diffusers layout, such as {KLEIN_4B}"
    return "name ComfyUI's folder with --comfy-models, or a model, such as tiny"


def described(error: InputError) -> str:
    """An error as a fault says it."""
    return error.message + (f" ({error.hint})" if error.hint else "")
