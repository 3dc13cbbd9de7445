"""A LoRA on top of a transformer."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import PurePath
from typing import Any, ClassVar

from pydantic import Field

from limner.engine.context import Context
from limner.engine.errors import Fault, GraphError, InputError, ModelError
from limner.engine.forecast import Forecast
from limner.engine.node import Node
from limner.nodes._flux2.hub_file import HubFile, here
from limner.nodes._flux2.known import known
from limner.nodes._flux2.lora_file import identify_lora, lora_faults, lora_misfit, lora_source
from limner.nodes.specs import LoRA, Transformer


class ApplyLoRA(Node):
    """Add a LoRA to a transformer; several in a row add up, in any order.

    Nothing is loaded here. While a node computes, the LoRA lies beside the resident weights, quantized or not; after
    that it is gone, and the weights are what they were, to the bit. Changing the weight or the file reloads no model.
    """

    category: ClassVar[str] = "model"
    aliases: ClassVar[tuple[str, ...]] = ("LoraLoader", "LoraLoaderModelOnly", "adapter")
    advanced: ClassVar[frozenset[str]] = frozenset({"revision", "name"})

    path: str = Field(
        min_length=1,
        description="A .safetensors file, as diffusers, ai-toolkit, BFL, ComfyUI or kohya's trainer writes it; or one "
        "on the hub: owner/name/file.safetensors, or owner/name where it is the only one.",
    )
    revision: str | None = Field(
        default=None,
        min_length=1,
        description="Branch, tag or commit of a file on the hub; a commit is exact.",
    )
    weight: float = Field(default=1.0, ge=-100, le=100, description="How much of it. Negative does the opposite.")
    name: str = Field(default="", max_length=100, description="What messages call it. Empty: the name of the file.")

    def problems(self, wired: Collection[str] = ()) -> Iterator[tuple[str, str]]:
        """A file that is not there, or no LoRA for a transformer. What is not downloaded yet is checked when it is."""
        try:
            source = lora_source(self.path)
            if self.revision is not None and not isinstance(source, HubFile):
                yield "revision", "is of a file on the hub, and the path is a file here"
            if (path := here(source, self.revision)) is not None:
                yield from (("path", fault) for fault in lora_faults(path))
        except InputError as error:
            yield "path", error.message + (f" ({error.hint})" if error.hint else "")

    def fingerprint(self) -> str:
        """The SHA-256 of the file, or its commit on the hub. Raises InputError."""
        return identify_lora(lora_source(self.path), self.revision)

    def sources(self) -> Mapping[str, str]:
        """The file: its commit on the hub, or its SHA-256. Raises InputError."""
        identity = self.fingerprint()
        return {self.path: identity if identity.startswith("hub:") else f"sha256:{identity}"}

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast:
        """The transformer with the LoRA. Raises InputError where the file cannot be read, GraphError as ``planned``."""
        transformer = inputs.get("transformer")
        return Forecast((self.planned(transformer) if isinstance(transformer, Transformer) else None,))

    def run(self, ctx: Context, transformer: Transformer) -> Transformer:
        """Describe the transformer with the LoRA. Raises InputError where the file cannot be read."""
        return self.adapted(transformer)

    def planned(self, transformer: Transformer) -> Transformer:
        """As ``adapted``. Raises GraphError for the LoRA of a model of another size, seen in its header."""
        path = here(lora_source(self.path), self.revision)
        with suppress(ModelError):  # what is not known of the transformer yet is told when it is there
            if path is not None and (message := lora_misfit(path, known(transformer).config)):
                raise GraphError([Fault(message, hint="use a LoRA that was trained for this model")])
        return self.adapted(transformer)

    def adapted(self, transformer: Transformer) -> Transformer:
        """The transformer with the LoRA. Raises InputError where the file cannot be read."""
        name = self.name or PurePath(self.path).stem
        lora = LoRA(self.path, self.fingerprint(), self.weight, name, self.revision or "")
        return replace(transformer, loras=tuple(sorted((*transformer.loras, lora))))
