"""Where a model comes from: the embedded one, a folder, or the hub; and what it is made of. Imports no torch."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from limner.engine.errors import InputError, ModelError
from limner.engine.user_path import user_path
from limner.nodes._flux2.index import COMPONENTS, index_faults
from limner.nodes.specs import Component

if TYPE_CHECKING:
    from limner.nodes._flux2.hub import ReportBytes

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+", re.ASCII)
_SMALL_BYTES = 16 << 20
"""Weights up to this size count by content: the embedded model has the same identity on every machine."""

_ENDINGS = ("json", "safetensors", "jinja", "txt", "model")
"""What a component is made of: configurations, weights, templates and vocabularies."""
_FOLDERS_OF: dict[Component, tuple[str, ...]] = {
    "text_encoder": ("text_encoder", "tokenizer"),
    "transformer": ("transformer", "scheduler"),
    "vae": ("vae",),
}


def local_folder(source: str) -> Path | None:
    """The folder of a source that needs no hub; None for a hub id. Raises ModelError where it is neither."""
    if source == "tiny":
        return Path(str(resources.files("limner.tiny"))) / "weights"
    path = user_path(source)
    if path.is_dir():
        return path
    if path.exists():
        raise ModelError(f"{source} is a file", hint="give a folder in diffusers layout, a hub id, or tiny")
    if _HUB_ID.fullmatch(source):
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
    """What a source holds, as text: equal for equal weights, quick even for 100 GB. Raises ModelError.

    A hub id is known by its commit as soon as anything of it was downloaded; before that, by its branch.
    """
    folder = local_folder(source)
    if folder is None:
        from limner.nodes._flux2.hub import known_commit

        return f"hub:{source}@{known_commit(source, revision) or revision or 'main'}"
    digest = hashlib.sha256()
    for path in sorted(_parts(folder)):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{content_of(path)}\0".encode())
    return f"sha256:{digest.hexdigest()}"


def find(
    source: str,
    component: Component,
    revision: str | None = None,
    report: ReportBytes | None = None,
    *,
    with_weights: bool = True,
) -> Path:
    """The folder that holds a component, downloaded from the hub where needed. Raises ModelError.

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
        if component == "text_encoder" and with_weights:  # its index says which of its files are needed
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


def content_of(path: Path) -> str:
    """What a file holds, as text: its hash, or for large weights its size and time. Raises ModelError."""
    try:
        stat = path.stat()
        if path.suffix in (".safetensors", ".gguf") and stat.st_size > _SMALL_BYTES:
            return f"{stat.st_size} {stat.st_mtime_ns}"
        return _sha256(path, stat.st_size, stat.st_mtime_ns, stat.st_ino)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from error


@lru_cache(maxsize=1024)
def _sha256(path: Path, size: int, mtime_ns: int, inode: int) -> str:
    """The hash of a file, computed again only when its stamp has changed. Raises OSError."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
