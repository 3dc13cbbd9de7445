"""Where a model comes from: the embedded one, a folder, or the hub; and what it is made of. Imports no torch."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from limner.engine.errors import InputError, ModelError
from limner.engine.user_path import user_path
from limner.nodes._flux2.content import content_of, portable_content_of
from limner.nodes._flux2.hub_right import refuse_unlisted
from limner.nodes._flux2.index import COMPONENTS, index_faults
from limner.nodes.specs import Component

if TYPE_CHECKING:
    from limner.nodes._flux2.hub import ReportBytes

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+", re.ASCII)
_ENDINGS = ("json", "safetensors", "jinja", "txt", "model")
"""What a component is made of: configurations, weights, templates and vocabularies."""
_FOLDERS_OF: dict[Component, tuple[str, ...]] = {
    "text_encoder": ("text_encoder", "tokenizer"),
    "transformer": ("transformer", "scheduler"),
    "vae": ("vae",),
}


def local_folder(source: str) -> Path | None:
    """The folder of a source that needs no hub; None for a hub id.

    Raises ModelError where it is neither, InputError for what graphs here may not name.
    """
    if source == "tiny":
        return Path(str(resources.files("limner.tiny"))) / "weights"
    path = user_path(source)
    if path.is_dir():
        return path
    if path.exists():
        raise ModelError(f"{source} is a file", hint="give a folder in diffusers layout, a hub id, or tiny")
    if _HUB_ID.fullmatch(source):
        refuse_unlisted(source)
        return None
    raise ModelError(f"there is no model folder {source}", hint="give a folder in diffusers layout, a hub id, or tiny")


def source_faults(source: str) -> Iterator[str]:
    """What is wrong with a source, as far as can be told without the network."""
    try:
        folder = local_folder(source)
    except InputError as error:
        yield str(error).replace("\n ", ";")
        return
    if folder is not None:
        yield from index_faults(folder)


def identify(source: str, revision: str | None) -> str:
    """What a source holds, as text for a key: another one as soon as anything of it changes. Raises ModelError.

    A hub id is known by its commit as soon as anything of it was downloaded; before that, by its branch.
    """
    return _identify(source, revision, content_of)


def describe_source(source: str, revision: str | None) -> str:
    """What a source holds, as text: the same for equal weights wherever they lie. Raises ModelError.

    The commit of a hub id, or one hash of all files: ``sampled`` where some are (see ``portable_content_of``).
    """
    return _identify(source, revision, portable_content_of)


def _identify(source: str, revision: str | None, content: Callable[[Path], str]) -> str:
    folder = local_folder(source)
    if folder is None:
        from limner.nodes._flux2.hub import known_commit

        return f"hub:{source}@{known_commit(source, revision) or revision or 'main'}"
    held = {path.relative_to(folder).as_posix(): content(path) for path in sorted(_parts(folder))}
    kind = "sampled" if any(text.startswith("sampled:") for text in held.values()) else "sha256"
    digest = hashlib.sha256("".join(f"{name}\0{text}\0" for name, text in held.items()).encode())
    return f"{kind}:{digest.hexdigest()}"


def find(
    source: str,
    component: Component,
    revision: str | None = None,
    report: ReportBytes | None = None,
    *,
    with_weights: bool = True,
    is_whole: bool = False,
) -> Path:
    """The folder that holds a component, downloaded from the hub where needed. Raises ModelError.

    Of a text encoder that is not wanted whole, only the files are downloaded that hold what is read.

    A branch stays at the commit it was first downloaded at, so that all components, and all runs, are of one commit;
    ``hf download`` moves it on. ``report`` hears of a download and may stop it by raising Cancelled.
    """
    folder = local_folder(source)
    if folder is None:
        from limner.nodes._flux2.hub import download, known_commit

        commit = known_commit(source, revision) or revision
        patterns = ["model_index.json", "limner.json", "vae/config.json", *_files(component)]
        if not with_weights:
            patterns.remove(f"{component}/*.safetensors")
        if component == "text_encoder" and with_weights and not is_whole:  # its index says which files are needed
            from limner.nodes._flux2.text_layers import needed_files

            small = [pattern for pattern in patterns if pattern != "text_encoder/*.safetensors"]
            folder = download(source, commit, small, report)
            patterns = [*small, *(f"text_encoder/{name}" for name in needed_files(folder))]
        folder = download(source, commit, patterns, report)
    for fault in index_faults(folder, only=_FOLDERS_OF[component]) if with_weights else base_faults(folder, component):
        raise ModelError(fault)
    return folder


def base_faults(folder: Path, component: Component) -> Iterator[str]:
    """Why a model cannot give a component's configuration and what else belongs to it, but for the weights."""
    yield from index_faults(folder, only=[name for name in _FOLDERS_OF[component] if name != component])
    if not (folder / component / "config.json").is_file():
        yield f"{folder}: {component}/config.json is missing"


def _files(component: Component) -> list[str]:
    return [f"{folder}/*.{ending}" for folder in _FOLDERS_OF[component] for ending in _ENDINGS]


def _parts(folder: Path) -> Iterator[Path]:
    """The files that decide what a model is, and none that merely lie beside them."""
    for name in ("model_index.json", "limner.json"):
        if (folder / name).is_file():
            yield folder / name
    for component in COMPONENTS:
        for path in (folder / component).glob("*"):
            if path.suffix[1:] in _ENDINGS and path.is_file():
                yield path
