"""What travels between the nodes of ComfyUI's workflows besides our own values. Importing this costs no torch."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from limner.nodes.sizes import PictureSizes, PromptSize
from limner.nodes.values import Conditioning, Transformer

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")

DEFAULT_GUIDANCE = 3.5
"""What ComfyUI embeds where no FluxGuidance says it."""
SIMPLE_MU = 2.02
"""How far ComfyUI shifts the schedules of FLUX.2 that ask for no size, such as "simple"."""


class AnyConditioning(ABC):  # noqa: B024  # a name for two classes, with nothing in common to implement
    """A conditioning, plain or with something attached. What reads only plain ones refuses the others."""


class AnyTransformer(ABC):  # noqa: B024  # likewise
    """A transformer, plain or with a cache for references."""


@dataclass(frozen=True, eq=False)
class AttachedConditioning(AnyConditioning):
    """A prompt with the guidance and the references that ComfyUI's nodes attach to it."""

    prompt: Tensor
    """As in ``Conditioning``."""
    guidance: float | None = None
    references: tuple[Tensor, ...] = ()
    """As in ``ReferenceLatents``."""

    @property
    def size_bytes(self) -> int:
        """Bytes of the embeddings and of the references."""
        return self.prompt.nbytes + sum(tensor.nbytes for tensor in self.references)


@dataclass(frozen=True)
class CachingTransformer(AnyTransformer):
    """A transformer that computes what it sees of references once."""

    transformer: Transformer


@dataclass(frozen=True, eq=False)
class Guider:
    """A transformer with all that leads it."""

    transformer: Transformer
    caches_references: bool
    positive: AttachedConditioning
    negative: AttachedConditioning | None = None
    cfg: float = 1.0

    @property
    def size_bytes(self) -> int:
        """Bytes of what is held in memory."""
        return self.positive.size_bytes + (0 if self.negative is None else self.negative.size_bytes)


@dataclass(frozen=True)
class Sigmas:
    """A schedule, by what it follows from: the sampler makes it as the transformer's own scheduler does."""

    steps: int
    tokens: int | None = None
    """Of how many tokens; None for one that is the same for all sizes."""
    mu: float | None = None
    """How far it is shifted towards noise; None: as far as steps and tokens ask for."""


@dataclass(frozen=True)
class Noise:
    """Noise, by its seed."""

    seed: int


@dataclass(frozen=True)
class Sampler:
    """How steps are taken, by ComfyUI's name."""

    name: str


@dataclass(frozen=True)
class KnownConditioning:
    """What is known of an attached conditioning before it exists."""

    prompt: PromptSize | None
    guidance: float | None = None
    references: PictureSizes | None = None


@dataclass(frozen=True)
class KnownGuider:
    """What is known of a guider before it exists."""

    transformer: Transformer
    caches_references: bool
    positive: KnownConditioning
    cfg: float = 1.0


AnyConditioning.register(Conditioning)
AnyTransformer.register(Transformer)


def attached(conditioning: AnyConditioning) -> AttachedConditioning:
    """A conditioning in the form that can have something attached.

    A negative prompt inside, as ``TextEncode`` gives it, is left out: here it comes by a wire of its own.
    """
    if isinstance(conditioning, AttachedConditioning):
        return conditioning
    assert isinstance(conditioning, Conditioning)
    return AttachedConditioning(conditioning.prompt)


def known_conditioning(known: object) -> KnownConditioning:
    """The same of what is known."""
    if isinstance(known, KnownConditioning):
        return known
    return KnownConditioning(known if isinstance(known, PromptSize) else None)


def changed(model: T, change: Callable[[Transformer], Transformer]) -> T:
    """A transformer, with its cache where it has one, with something changed of it."""
    result: Any = model
    if isinstance(model, CachingTransformer):
        result = replace(model, transformer=change(model.transformer))
    elif isinstance(model, Transformer):
        result = change(model)
    return result  # type: ignore[no-any-return]  # it has the class of what came in


def plain(model: object) -> Transformer | None:
    """The transformer itself; None where nothing is known of it."""
    found = model.transformer if isinstance(model, CachingTransformer) else model
    return found if isinstance(found, Transformer) else None
