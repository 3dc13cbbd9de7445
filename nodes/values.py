"""What travels on wires between nodes. Importing this costs no torch: tensors are named for type checkers only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from limner.nodes.pictures import MAX_REFERENCES, Files, Image, Mask, References, Region
from limner.nodes.specs import VAE, TextEncoder, TextGenerator, Transformer
from limner.nodes.tables import Table

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "MAX_REFERENCES",
    "VAE",
    "Conditioning",
    "Files",
    "Image",
    "Latent",
    "Mask",
    "ReferenceLatents",
    "References",
    "Region",
    "Table",
    "TextEncoder",
    "TextGenerator",
    "Transformer",
]


@dataclass(frozen=True, eq=False)
class Conditioning:
    """A prompt as the transformer reads it: hidden states of three layers of the text encoder, side by side.

    ``prompt`` is (1, tokens, 3 * hidden). ``negative`` has the same shape, and is None where the model cannot use one.
    """

    suffix: ClassVar[str] = ".safetensors"

    prompt: Tensor
    negative: Tensor | None = None

    def __post_init__(self) -> None:
        for tensor in (self.prompt, self.negative):
            _expect("conditioning", tensor, rank=3)

    @property
    def size_bytes(self) -> int:
        """Bytes of the embeddings."""
        return self.prompt.nbytes + (0 if self.negative is None else self.negative.nbytes)

    def to_bytes(self) -> bytes:
        """The embeddings as safetensors."""
        from limner.nodes._flux2.storage import dump

        tensors = {"prompt": self.prompt} | ({} if self.negative is None else {"negative": self.negative})
        return dump("Conditioning", tensors)

    @classmethod
    def from_bytes(cls, content: bytes) -> Conditioning:
        """Read what ``to_bytes`` wrote. Raises ValueError."""
        from limner.nodes._flux2.storage import parse

        tensors = parse("Conditioning", content, required={"prompt"}, optional={"negative"})
        return cls(tensors["prompt"], tensors.get("negative"))


@dataclass(frozen=True, eq=False)
class ReferenceLatents:
    """Reference pictures as the transformer reads them, in order: each (1, 128, H/16, W/16), normalised."""

    suffix: ClassVar[str] = ".safetensors"

    latents: tuple[Tensor, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.latents) <= MAX_REFERENCES:
            raise ValueError(f"1 to {MAX_REFERENCES} references, not {len(self.latents)}")
        for tensor in self.latents:
            _expect("a reference latent", tensor, rank=4)

    @property
    def size_bytes(self) -> int:
        """Bytes of the latents."""
        return sum(tensor.nbytes for tensor in self.latents)

    def to_bytes(self) -> bytes:
        """The latents as safetensors, named 0, 1, ..."""
        from limner.nodes._flux2.storage import dump

        return dump("ReferenceLatents", {str(i): tensor for i, tensor in enumerate(self.latents)})

    @classmethod
    def from_bytes(cls, content: bytes) -> ReferenceLatents:
        """Read what ``to_bytes`` wrote. Raises ValueError."""
        from limner.nodes._flux2.storage import parse_series

        return cls(tuple(parse_series("ReferenceLatents", content, rank=4)))


@dataclass(frozen=True, eq=False)
class Latent:
    """A batch of pictures as the transformer makes them: (N, 128, H/16, W/16), patchified and normalised."""

    suffix: ClassVar[str] = ".safetensors"

    samples: Tensor

    def __post_init__(self) -> None:
        _expect("a latent", self.samples, rank=4)

    @property
    def size_bytes(self) -> int:
        """Bytes of the samples."""
        return self.samples.nbytes

    def to_bytes(self) -> bytes:
        """The samples as safetensors."""
        from limner.nodes._flux2.storage import dump

        return dump("Latent", {"samples": self.samples})

    @classmethod
    def from_bytes(cls, content: bytes) -> Latent:
        """Read what ``to_bytes`` wrote. Raises ValueError."""
        from limner.nodes._flux2.storage import parse

        return cls(parse("Latent", content, required={"samples"})["samples"])


def _expect(what: str, tensor: Tensor | None, *, rank: int) -> None:
    if tensor is None:
        return
    if tensor.ndim != rank or 0 in tensor.shape or not tensor.is_floating_point():
        raise ValueError(f"{what} is floating point of rank {rank}, not {tensor.dtype} {tuple(tensor.shape)}")
