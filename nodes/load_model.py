"""Naming a FLUX.2 checkpoint."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, ClassVar, NamedTuple

from pydantic import Field

from limner.engine.context import Context
from limner.engine.forecast import Forecast
from limner.engine.node import Node
from limner.nodes._flux2.source import describe_source, identify, source_faults
from limner.nodes.specs import Dtype
from limner.nodes.values import VAE, TextEncoder, Transformer


class Model(NamedTuple):
    """The three components of a checkpoint."""

    text_encoder: TextEncoder
    transformer: Transformer
    vae: VAE


class LoadModel(Node):
    """Name a FLUX.2 checkpoint. Nothing is loaded until a node needs it.

    ``tiny`` is the embedded model; a folder is one in diffusers layout; a hub id (``black-forest-labs/FLUX.2-dev``)
    is downloaded by component, when that is first needed.
    """

    category: ClassVar[str] = "model"
    aliases: ClassVar[tuple[str, ...]] = ("checkpoint", "CheckpointLoaderSimple", "DiffusionPipeline", "load FLUX.2")
    advanced: ClassVar[frozenset[str]] = frozenset({"revision", "dtype"})

    source: str = Field(
        default="tiny",
        min_length=1,
        description="tiny (embedded), a folder in diffusers layout, or a hub id such as black-forest-labs/FLUX.2-dev.",
    )
    revision: str | None = Field(
        default=None, min_length=1, description="Branch, tag or commit of a hub id. A commit makes results exact."
    )
    dtype: Dtype = Field(
        default="auto",
        description="Precision of the weights. auto: as stored; on a CPU, float32 for models of up to 1 GB.",
    )

    def problems(self, wired: Collection[str] = ()) -> Iterator[tuple[str, str]]:
        """Faults of a folder that is no FLUX.2 model."""
        return (("source", message) for message in source_faults(self.source))

    def fingerprint(self) -> str:
        """What the source holds. Raises ModelError."""
        return identify(self.source, self.revision)

    def sources(self) -> Mapping[str, str]:
        """The checkpoint: its commit on the hub, or the hash of its files. Raises ModelError."""
        return {self.source: describe_source(self.source, self.revision)}

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast:
        """The three specs. Raises ModelError."""
        return Forecast(self._describe())

    def run(self, ctx: Context) -> Model:
        """Describe the three components."""
        return self._describe()

    def _describe(self) -> Model:
        identity = self.fingerprint()
        return Model(
            TextEncoder(self.source, self.revision, self.dtype, identity),
            Transformer(self.source, self.revision, self.dtype, identity),
            VAE(self.source, self.revision, self.dtype, identity),
        )
