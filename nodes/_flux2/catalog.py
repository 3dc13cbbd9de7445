"""Models as far as they are known before anything is downloaded: folders here, the hub's cache, or a configuration."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

from limner.engine.errors import ModelError
from limner.nodes._flux2.shards import missing_files, weight_files
from limner.nodes._flux2.source import local_folder
from limner.nodes._flux2.text_layers import has_text_tensors
from limner.nodes.specs import Component

CONFIGS: Final = Path(__file__).with_name("configs")
"""Folders in diffusers layout without weights; its README says where they come from."""

_FOLDERS: Final = {
    "black-forest-labs/FLUX.2-dev": "FLUX.2-dev",
    "diffusers/FLUX.2-dev-bnb-4bit": "FLUX.2-dev-bnb-4bit",
    "black-forest-labs/FLUX.2-klein-4B": "FLUX.2-klein-4B",
    "black-forest-labs/FLUX.2-klein-base-4B": "FLUX.2-klein-base-4B",
    "black-forest-labs/FLUX.2-klein-9B": "FLUX.2-klein-9B",
    "black-forest-labs/FLUX.2-klein-base-9B": "FLUX.2-klein-base-9B",
}


def known_folder(source: str, revision: str | None, component: Component, *, is_whole: bool = False) -> Path:
    """Where to read of a component: its files where they are all on this machine, else its configuration.

    ``is_whole`` wants all files of a text encoder, not only those that are read.

    Asks no network. Raises ModelError where neither is there.
    """
    folder = local_folder(source)
    if folder is not None:
        return folder
    downloaded = _downloaded(source, revision)
    if downloaded is not None and has_weights(downloaded, component, is_whole=is_whole):
        return downloaded
    known = {name.casefold(): folder for name, folder in _FOLDERS.items()}
    if (name := known.get(source.casefold())) is not None:
        return CONFIGS / name
    if downloaded is not None and (downloaded / component / "config.json").is_file():
        return downloaded
    raise ModelError(
        f"{source} is not on this machine, so nothing is known of its size",
        hint=f"download it, or plan with one of {', '.join(_FOLDERS)}",
    )


def has_weights(folder: Path, component: Component, *, is_whole: bool = False) -> bool:
    """Whether all weights of a component that are read lie in a model folder. Raises ModelError for a broken index."""
    return _has_weights(folder, component, weight_files(folder / component), is_whole)


@lru_cache(maxsize=64)
def _has_weights(folder: Path, component: Component, files: tuple[str, ...], is_whole: bool) -> bool:
    """``files`` are those that are there: where more come, this is asked anew."""
    if component == "text_encoder" and not is_whole:
        return has_text_tensors(folder)
    return bool(files) and not missing_files(folder / component)


def _downloaded(source: str, revision: str | None) -> Path | None:
    from huggingface_hub.constants import HF_HUB_CACHE

    from limner.nodes._flux2.hub import known_commit

    commit = known_commit(source, revision) or revision
    snapshot = Path(HF_HUB_CACHE) / f"models--{source.replace('/', '--')}" / "snapshots" / (commit or "")
    return snapshot if commit and ".." not in snapshot.parts and (snapshot / "model_index.json").is_file() else None
