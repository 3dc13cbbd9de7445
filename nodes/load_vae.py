"""Naming an autoencoder that is one file."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, ClassVar

from pydantic import Field

from limner.engine.context import Context
from limner.engine.forecast import Forecast
from limner.engine.node import Node
from limner.nodes._flux2.base import describe_single_file, identify_single_file, single_file_faults
from limner.nodes.specs import Dtype
from limner.nodes.values import VAE


class LoadVAE(Node):
    """Name a VAE in one .safetensors file, with BFL's names or those of diffusers.

    ``base`` is a model with the same VAE: it gives the configuration, and none of its weights is read or downloaded.
    Nothing is loaded until a node needs it. Weights that are not exactly those of the base's VAE are a fault, found
    in the header.
    """

    category: ClassVar[str] = "model"
    aliases: ClassVar[tuple[str, ...]] = ("VAELoader", "load VAE file")
    advanced: ClassVar[frozenset[str]] = frozenset({"revision", "file_revision", "dtype"})

    file: str = Field(
        min_length=1,
        description="A .safetensors file, or one on the hub: owner/name/file.safetensors; or the base again, for its "
        "own.",
    )
    base: str = Field(
        min_length=1,
        description="A model with the same VAE: tiny, a folder in diffusers layout, or a hub id such as "
        "black-forest-labs/FLUX.2-klein-4B.",
    )
    revision: str | None = Field(default=None, min_length=1, description="Branch, tag or commit of a base on the hub.")
    file_revision: str | None = Field(
        default=None, min_length=1, description="Branch, tag or commit of a file on the hub."
    )
    dtype: Dtype = Field(default="auto", description="Precision of the weights. auto: as stored; on a CPU, float32.")

    def problems(self, wired: Collection[str] = ()) -> Iterator[tuple[str, str]]:
        """A base that is no model, and weights that are not its VAE's."""
        return single_file_faults("vae", self.file, self.file_revision, self.base, self.revision)

    def fingerprint(self) -> str:
        """What the file and the base hold. Raises InputError."""
        return identify_single_file("vae", self.file, self.file_revision, self.base, self.revision)

    def sources(self) -> Mapping[str, str]:
        """The file, and the base: commits on the hub, or hashes. Raises InputError."""
        return describe_single_file("vae", self.file, self.file_revision, self.base, self.revision)

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast:
        """The spec. Raises InputError."""
        return Forecast((self._describe(),))

    def run(self, ctx: Context) -> VAE:
        """Describe the VAE."""
        return self._describe()

    def _describe(self) -> VAE:
        file = None if self.file == self.base else self.file
        return VAE(
            self.base, self.revision, self.dtype, self.fingerprint(), file=file, file_revision=self.file_revision
        )
