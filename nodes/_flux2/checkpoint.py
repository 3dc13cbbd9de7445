"""One component of a model, found: where it lies, and what its files hold by their headers. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limner.nodes._flux2.base import find_file, own_config, single_file_tensors
from limner.nodes._flux2.index import ModelIndex, read_index, read_json
from limner.nodes._flux2.known import KnownComponent, read_component
from limner.nodes._flux2.settings import ModelSettings, read_settings
from limner.nodes._flux2.source import find
from limner.nodes._flux2.weights import Stored
from limner.nodes.specs import Flux2Spec

if TYPE_CHECKING:
    from limner.nodes._flux2.hub import ReportBytes


@dataclass(frozen=True)
class Checkpoint:
    """The tensors that make up a component, by their names in its module, and what belongs to them."""

    folder: Path
    """The model: its index, its settings, schedule and tokenizer."""
    config: Path
    """The folder with the component's configuration; also of its weights, unless they are a file of their own."""
    tensors: Mapping[str, Stored]
    file: Path | None = None
    """The single file of the weights."""
    is_whole: bool = True
    """Whether the tensors are all of the component's, or those of a text encoder that are read."""
    own_config: Mapping[str, Any] = field(default_factory=dict)
    """What of the configuration is otherwise for the single file than for its base."""

    @property
    def weights(self) -> Path:
        """What holds the weights: a folder or a file."""
        return self.file or self.config

    @property
    def is_gguf(self) -> bool:
        """Whether the file is GGUF."""
        return self.file is not None and self.file.suffix == ".gguf"

    @property
    def is_quantized(self) -> bool:
        """Whether the weights were saved quantized. Raises ModelError where there is no configuration."""
        if self.file is not None:
            return self.is_gguf
        return bool(read_json(self.config / "config.json").get("quantization_config"))

    @cached_property
    def component(self) -> KnownComponent:
        """What a plan may know of it. Raises ModelError where there is no configuration."""
        config = {**read_json(self.config / "config.json"), **self.own_config}
        return KnownComponent(self.folder, config, self.tensors, "headers", is_file=self.file is not None)

    @property
    def index(self) -> ModelIndex:
        """The model's family. Raises ModelError."""
        return read_index(self.folder)

    @property
    def settings(self) -> ModelSettings:
        """What the model needs to be told at each call. Raises ModelError."""
        return read_settings(self.folder, self.index)


def find_checkpoint(spec: Flux2Spec[Any], report: ReportBytes | None = None) -> Checkpoint:
    """Find what a spec describes, downloaded where needed. Raises ModelError where it is not there or not usable.

    ``report`` hears of downloads and may stop them by raising Cancelled.
    """
    folder = find(
        spec.source, spec.component, spec.revision, report, with_weights=spec.file is None, is_whole=spec.is_whole
    )
    config = folder / spec.component
    if spec.file is not None:
        path = find_file(spec.component, spec.file, spec.file_revision, report)
        tensors = single_file_tensors(spec.component, path, config)
        own = own_config(spec.component, path, read_json(config / "config.json"))
        return Checkpoint(folder, config, tensors, path, spec.is_whole, own)
    tensors = read_component(folder, spec.component, is_whole=spec.is_whole)
    return Checkpoint(folder, config, tensors, is_whole=spec.is_whole)
