"""The models of FLUX.2 as values: small descriptions that say which weights a node needs, without holding them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, TypeVar

from limner.engine.models import ModelSpec

if TYPE_CHECKING:
    from diffusers.models.autoencoders.autoencoder_kl_flux2 import AutoencoderKLFlux2  # noqa: F401  # named in a string below

    from limner.nodes._flux2.live import LiveTextEncoder, LiveTransformer  # noqa: F401  # likewise

M = TypeVar("M")

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
Component = Literal["text_encoder", "transformer", "vae"]


@dataclass(frozen=True)
class Flux2Spec(ModelSpec[M]):
    """One component of a FLUX.2 checkpoint. Equal specs are the same weights in the same precision."""

    component: ClassVar[Component]

    source: str
    """``tiny``, a folder in diffusers layout, or a hub id."""
    revision: str | None = None
    """A branch, tag or commit of a hub id."""
    dtype: Dtype = "auto"
    identity: str = ""
    """What the source held when the spec was made, so that changed weights are another model."""

    def __str__(self) -> str:
        return f"the {self.component.replace('_', ' ')} of {self.source}"


@dataclass(frozen=True)
class TextEncoder(Flux2Spec["LiveTextEncoder"]):
    """The text encoder with its tokenizer: Mistral-3 for dev, Qwen3 for klein."""

    component: ClassVar[Component] = "text_encoder"


@dataclass(frozen=True)
class Transformer(Flux2Spec["LiveTransformer"]):
    """The diffusion transformer with the schedule it was trained for."""

    component: ClassVar[Component] = "transformer"


@dataclass(frozen=True)
class VAE(Flux2Spec["AutoencoderKLFlux2"]):
    """The autoencoder between pixels and latents."""

    component: ClassVar[Component] = "vae"
