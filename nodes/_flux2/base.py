"""A model that gives a single file what it lacks: its configuration, known before anything is downloaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from limner.engine.errors import InputError, ModelError
from limner.nodes._flux2.catalog import known_folder
from limner.nodes._flux2.hub_file import HubFile, describe_file, fetch, here, identify_file, locate
from limner.nodes._flux2.index import read_json
from limner.nodes._flux2.shapes import transformer_shapes, vae_shapes
from limner.nodes._flux2.single_file import FileLayout, read_bare
from limner.nodes._flux2.single_file_names import transformer_names, vae_names
from limner.nodes._flux2.source import base_faults, describe_source, identify, local_folder, source_faults
from limner.nodes._flux2.text_file import text_file_layout
from limner.nodes._flux2.weights import Stored
from limner.nodes.specs import Component

if TYPE_CHECKING:
    from limner.nodes._flux2.hub import ReportBytes

ENDINGS: Final[dict[Component, tuple[str, ...]]] = {
    "transformer": (".safetensors", ".gguf"),
    "text_encoder": (".safetensors",),
    "vae": (".safetensors",),
}


def single_file_faults(
    component: Component, file: str, file_revision: str | None, base: str, revision: str | None
) -> Iterator[tuple[str, str]]:
    """What is wrong with a file and its base, as (setting, message), as far as can be told without the network."""
    if file == base:
        yield from (("base", message) for message in source_faults(base))
        if file_revision is not None:
            yield "file_revision", "is of a file on the hub, and this is the base's own"
        return
    config, path = None, None
    try:
        folder = local_folder(base)
        yield from (("base", fault) for fault in (base_faults(folder, component) if folder else ()))
        config = _known_config(base, revision, folder, component)
    except InputError as error:
        yield "base", _line(error)
    try:
        source = locate(file, ENDINGS[component])
        if file_revision is not None and not isinstance(source, HubFile):
            yield "file_revision", "is of a file on the hub, and the file is here"
        path = here(source, file_revision)
        if path is not None and config is not None:
            own = own_config(component, path, config)
            layout = _layout(component, path, own, lambda: _known_base(base, revision, folder))
            yield from (("file", fault) for fault in layout.faults())
    except InputError as error:
        yield "file", _line(error)


def share_of_base(component: Component, path: Path, base: str) -> float:
    """How much of a base's component a file holds, from 0 to 1, by its header. Raises ModelError."""
    folder = known_folder(base, None, component)
    own = own_config(component, path, read_json(folder / component / "config.json"))
    return _layout(component, path, own, lambda: folder).share()


def identify_single_file(
    component: Component, file: str, file_revision: str | None, base: str, revision: str | None
) -> str:
    """What a file and its base hold, as text; the base alone where it is meant itself. Raises InputError."""
    if file == base:
        return identify(base, revision)
    return f"{identify_file(locate(file, ENDINGS[component]), file_revision)} on {identify(base, revision)}"


def describe_single_file(
    component: Component, file: str, file_revision: str | None, base: str, revision: str | None
) -> dict[str, str]:
    """The same by what the user called them, and the same text for equal files wherever they lie. Raises InputError."""
    if file == base:
        return {base: describe_source(base, revision)}
    source = locate(file, ENDINGS[component])
    return {file: describe_file(source, file_revision), base: describe_source(base, revision)}


def find_file(component: Component, file: str, revision: str | None, report: ReportBytes | None = None) -> Path:
    """The file, downloaded where needed. Raises InputError, Cancelled."""
    return fetch(locate(file, ENDINGS[component]), revision, ENDINGS[component], report)


def single_file_tensors(component: Component, path: Path, config: Path) -> dict[str, Stored]:
    """The tensors of a component in a file, by the names of its module. Raises ModelError where they are not exactly
    those that the configuration describes.
    """
    own = own_config(component, path, read_json(config / "config.json"))
    return _layout(component, path, own, lambda: config.parent).pieces()


def own_config(component: Component, path: Path, config: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a base as it is for a file: some VAEs have a decoder of other widths than their encoder.

    Raises ModelError where the file cannot be read.
    """
    widths = config.get("block_out_channels")
    if component != "vae" or not isinstance(widths, list) or not widths:
        return config
    found = read_bare(path).get("decoder.conv_in.weight")
    widest = found.shape[0] if found is not None and found.shape else widths[-1]
    if widest == widths[-1] or any(width * widest % widths[-1] for width in widths):
        return config
    return config | {"decoder_block_out_channels": [width * widest // widths[-1] for width in widths]}


def _layout(component: Component, path: Path, config: dict[str, Any], folder: Callable[[], Path]) -> FileLayout:
    """What a file is held against. ``folder`` gives the base, whose settings say what is read of a text encoder."""
    try:
        if component == "text_encoder":
            return text_file_layout(path, config, folder())
        if component == "transformer":
            return FileLayout(path, read_bare(path), transformer_names, transformer_shapes(config))
        names = vae_names(len(config.get("block_out_channels", (0,) * 4)))
        return FileLayout(path, read_bare(path), names, vae_shapes(config))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"the base's {component}/config.json is not usable: {error}") from error


def _known_config(base: str, revision: str | None, folder: Path | None, component: Component) -> dict[str, Any] | None:
    """The configuration of a component, if it is on this machine or that of a released model."""
    path = folder / component / "config.json" if folder else here(HubFile(base, f"{component}/config.json"), revision)
    if path is None:
        try:
            path = known_folder(base, revision, component) / component / "config.json"
        except ModelError:
            return None  # what is not downloaded yet is checked when it is
    return read_json(path) if path.is_file() else None


def _known_base(base: str, revision: str | None, folder: Path | None) -> Path:
    """The folder of a base's text encoder and settings. Raises ModelError."""
    return folder or known_folder(base, revision, "text_encoder")


def _line(error: InputError) -> str:
    return error.message + (f" ({error.hint})" if error.hint else "")
