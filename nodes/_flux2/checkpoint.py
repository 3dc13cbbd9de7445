"""One component of a model, found: where it lies, and what its files hold by their headers. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from limner.nodes._flux2.index import ModelIndex, read_index
from limner.nodes._flux2.settings import ModelSettings, read_settings
from limner.nodes._flux2.source import find
from limner.nodes._flux2.text_layers import text_tensors
from limner.nodes._flux2.weights import Stored, StoredWeights, read_folder
from limner.nodes.specs import Flux2Spec, TextEncoder


@dataclass(frozen=True)
class Checkpoint:
    """The tensors that make up a component, by their names in its module, and what belongs to them."""

    folder: Path
    """The model: its index, its settings, schedule and tokenizer."""
    config: Path
    """The folder with the component's configuration."""
    tensors: Mapping[str, Stored]

    @cached_property
    def weights(self) -> StoredWeights:
        """Their bytes by dtype."""
        return StoredWeights.of(self.tensors.values())

    @property
    def index(self) -> ModelIndex:
        """The model's family. Raises ModelError."""
        return read_index(self.folder)

    @property
    def settings(self) -> ModelSettings:
        """What the model needs to be told at each call. Raises ModelError."""
        return read_settings(self.folder, self.index)


def find_checkpoint(spec: Flux2Spec[Any]) -> Checkpoint:
    """Find what a spec describes, downloaded where needed. Raises ModelError where it is not there or not usable."""
    folder = find(spec.source, spec.component, spec.revision)
    config = folder / spec.component
    tensors = text_tensors(folder) if isinstance(spec, TextEncoder) else read_folder(config)
    return Checkpoint(folder, config, tensors)
