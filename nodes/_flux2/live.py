"""What a node holds: modules with what belongs to them, so that no node looks into a checkpoint."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from diffusers.models.transformers.transformer_flux2 import Flux2Transformer2DModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from limner.nodes._flux2.index import Family
from limner.nodes._flux2.pixtral import PictureReader
from limner.nodes._flux2.preview import LatentPreview
from limner.nodes._flux2.settings import Defaults, TextSettings


@dataclass(frozen=True, eq=False)
class LiveTextEncoder:
    """A text encoder, its tokenizer and how its layers are read."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    family: Family
    settings: TextSettings
    uses_negative: bool
    """Whether the transformer of this checkpoint is guided by a second, negative prompt."""


@dataclass(frozen=True, eq=False)
class LiveTextGenerator:
    """A text encoder that can write, and look at pictures."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    pictures: PictureReader | None
    """None where the checkpoint does not say how its pictures are read."""


@dataclass(frozen=True, eq=False)
class LiveTransformer:
    """A transformer, its schedule and what its checkpoint does by default."""

    model: Flux2Transformer2DModel
    scheduler_config: Mapping[str, Any]
    """Configuration of a scheduler; each run makes its own, because schedulers have state."""
    channels: int
    """Numbers in a latent token."""
    text_width: int
    """Numbers in a text token."""
    family: Family
    is_distilled: bool
    defaults: Defaults
    preview: LatentPreview | None
    mag_ratios: Sequence[float] | None = None
    compiled: set[Hashable] = field(default_factory=set)
    """What its blocks have been compiled for: a variant, and sizes."""
