"""Naming a diffusion transformer that is one file."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, ClassVar

from pydantic import Field

from limner.engine.context import Context
from limner.engine.forecast import Forecast
from limner.engine.node import Node
from limner.nodes._flux2.base import describe_single_file, identify_single_file, single_file_faults
from limner.nodes.specs import Dtype
from limner.nodes.values import Transformer


class LoadTransformer(Node):
    """Name a transformer in one file: BFL's or ComfyUI's .safetensors, also in scaled fp8, or a .gguf.

    ``base`` is the model that the file was made from: it gives configuration, schedule and defaults, and none of its
    weights is read or downloaded. Nothing is loaded until a node needs it. Weights that are not exactly those of the
    base's transformer are a fault, found in the header.
    """

    category: ClassVar[str] = "model"
    aliases: ClassVar[tuple[str, ...]] = ("UNETLoader", "UnetLoaderGGUF", "diffusion model", "load model file")
    advanced: ClassVar[frozenset[str]] = frozenset({"revision", "file_revision", "dtype"})

    file: str = Field(
        min_length=1,
        description="A .safetensors or .gguf file, or one on the hub: owner/name/file.gguf; "
        "or the base again, for its own.",
    )
    base: str = Field(
        min_length=1,
        description="The model it was made from: tiny, a folder in diffusers layout, or a hub id such as "
        "black-forest-labs/FLUX.2-dev.",
    )
    revision: str | None = Field(default=None, min_length=1, description="Branch, tag or commit of a base on the hub.")
    file_revision: str | None = Field(
        default=None, min_length=1, description="Branch, tag or commit of a file on the hub."
    )
    dtype: Dtype = Field(
        default="auto",
        description="Precision of the weights; of GGUF, what is computed in. auto: as stored, bfloat16 for fp8 and "
        "GGUF; on a CPU, float32 for files of up to 1 GB.",
    )

    def problems(self, wired: Collection[str] = ()) -> Iterator[tuple[str, str]]:
        """A base that is no model, and weights that are not its transformer's."""
        return single_file_faults("transformer", self.file, self.file_revision, self.base, self.revision)

    def fingerprint(self) -> str:
        """What the file and the base hold. Raises InputError."""
        return identify_single_file("transformer", self.file, self.file_revision, self.base, self.revision)

    def sources(self) -> Mapping[str, str]:
        """The file, and the base: commits on the hub, or hashes. Raises InputError."""
        return describe_single_file("transformer", self.file, self.file_revision, self.base, self.revision)

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast:
        """The spec. Raises InputError."""
        return Forecast((self._describe(),))

    def run(self, ctx: Context) -> Transformer:
        """Describe the transformer."""
        return self._describe()

    def _describe(self) -> Transformer:
        file = None if self.file == self.base else self.file
        return Transformer(
            self.base, self.revision, self.dtype, self.fingerprint(), file=file, file_revision=self.file_revision
        )
