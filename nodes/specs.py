"""The models of FLUX.2 as values: small descriptions that say which weights a node needs, without holding them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal, TypeVar

from limner.engine.models import ModelSpec, Smaller

if TYPE_CHECKING:
    from diffusers.models.autoencoders.autoencoder_kl_flux2 import AutoencoderKLFlux2  # noqa: F401  # named in a string below

    from limner.nodes._flux2.live import LiveTextEncoder, LiveTextGenerator, LiveTransformer  # noqa: F401  # likewise

M = TypeVar("M")

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
Component = Literal["text_encoder", "transformer", "vae"]
QuantizationMethod = Literal[
    "nf4",
    "fp4",
    "int8",
    "int8-wo",
    "fp8-wo",
    "fp8-dynamic",
    "quanto-int8",
    "quanto-int4",
    "quanto-float8",
    "layerwise-fp8",
]


@dataclass(frozen=True)
class Flux2Spec(ModelSpec[M]):
    """One component of a FLUX.2 checkpoint. Equal specs are the same weights in the same precision."""

    component: ClassVar[Component]
    is_whole: ClassVar[bool] = True
    """Whether all of the component's weights are needed, or only those that are read."""

    source: str
    """``tiny``, a folder in diffusers layout, or a hub id."""
    revision: str | None = None
    """A branch, tag or commit of a hub id."""
    dtype: Dtype = "auto"
    identity: str = ""
    """What the source held when the spec was made, so that changed weights are another model."""
    file: str | None = None
    """One file with the weights, local or on the hub; the source then gives everything but the weights."""
    file_revision: str | None = None
    """A branch, tag or commit, where the file is on the hub."""

    def __str__(self) -> str:
        return f"the {self.component.replace('_', ' ')} {f'in {self.file}' if self.file else f'of {self.source}'}"


@dataclass(frozen=True)
class Quantization:
    """How the linear layers of a component are stored in fewer bits."""

    method: QuantizationMethod
    double_quant: bool = False
    """Whether the scales of 4-bit blocks are quantized as well."""
    compute_dtype: Dtype = "auto"
    """What 4-bit weights are unpacked to; ``auto`` is the precision of the rest of the component."""
    skip: tuple[str, ...] = ()
    """Modules that keep their precision: dotted names, or parts of them."""

    def __str__(self) -> str:
        parts = [*(["double quantization"] if self.double_quant else []), *(f"without {name}" for name in self.skip)]
        return self.method + (f" ({', '.join(parts)})" if parts else "")


@dataclass(frozen=True, order=True)
class LoRA:
    """A low-rank change of a transformer's weights, kept in a file."""

    path: str
    """A file, or ``owner/name`` or ``owner/name/file`` on the hub."""
    identity: str
    """The SHA-256 of the file; its name and commit, where it is on the hub."""
    weight: float = 1.0
    """How much of it is added; negative turns it round."""
    name: str = ""
    """How messages call it."""
    revision: str = ""
    """A branch, tag or commit of the hub."""


@dataclass(frozen=True)
class Quantizable(Flux2Spec[M]):
    """A component that can be quantized."""

    quantization: Quantization | None = None

    @property
    def smaller(self) -> tuple[Smaller, ...]:
        """Fewer bits, where the weights have all of theirs."""
        from limner.nodes._flux2.known import is_stored_quantized  # it stands on specs itself

        if self.quantization is not None or is_stored_quantized(self):
            return ()
        return (
            Smaller("Quantize", {"method": "nf4", "double_quant": True}, "model", "nf4"),
            Smaller("Quantize", {"method": "fp8-wo"}, "model", "fp8"),
        )

    def __str__(self) -> str:
        return super().__str__() + (f" in {self.quantization}" if self.quantization else "")


@dataclass(frozen=True)
class TextEncoder(Quantizable["LiveTextEncoder"]):
    """The text encoder with its tokenizer: Mistral-3 for dev, Qwen3 for klein."""

    component: ClassVar[Component] = "text_encoder"
    is_whole: ClassVar[bool] = False


@dataclass(frozen=True)
class TextGenerator(Quantizable["LiveTextGenerator"]):
    """The same model where it is to write: with all of its layers, its head, and what sees pictures."""

    component: ClassVar[Component] = "text_encoder"

    def __str__(self) -> str:
        return super().__str__().replace("the text encoder", "the whole text encoder", 1)

    @classmethod
    def of(cls, encoder: TextEncoder) -> TextGenerator:
        """What writes, of the checkpoint of what reads, in the same precision."""
        return cls(encoder.source, encoder.revision, encoder.dtype, encoder.identity, quantization=encoder.quantization)


@dataclass(frozen=True)
class Transformer(Quantizable["LiveTransformer"]):
    """The diffusion transformer with the schedule it was trained for."""

    component: ClassVar[Component] = "transformer"

    loras: tuple[LoRA, ...] = ()
    """Sorted: the order in which they were applied does not matter, to the bit."""

    def __str__(self) -> str:
        return super().__str__() + (f" with {' and '.join(lora.name for lora in self.loras)}" if self.loras else "")

    @property
    def base(self) -> Transformer:
        """The same weights without LoRA."""
        return replace(self, loras=()) if self.loras else self


@dataclass(frozen=True)
class VAE(Flux2Spec["AutoencoderKLFlux2"]):
    """The autoencoder between pixels and latents."""

    component: ClassVar[Component] = "vae"
