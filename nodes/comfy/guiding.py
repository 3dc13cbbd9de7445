"""A transformer and its conditionings as one guider, and what can be known of it before it exists."""

from __future__ import annotations

from limner.engine.errors import Fault, GraphError, InputError
from limner.nodes.comfy.values import (
    AnyTransformer,
    AttachedConditioning,
    CachingTransformer,
    Guider,
    KnownGuider,
    known_conditioning,
    plain,
)

_OTHER = "the positive and the negative conditioning have different references"
_HINT = "attach the same ones to both, in the same order, or none to the negative one"


def guided(
    model: AnyTransformer, positive: AttachedConditioning, negative: AttachedConditioning | None = None, cfg: float = 1
) -> Guider:
    """A guider. Raises InputError where both prompts are read, each with references of its own."""
    transformer = plain(model)
    assert transformer is not None
    if negative is not None and cfg != 1 and negative.references and not _are_same(positive, negative):
        raise InputError(_OTHER, hint=_HINT)
    return Guider(transformer, isinstance(model, CachingTransformer), positive, None if cfg == 1 else negative, cfg)


def _are_same(one: AttachedConditioning, other: AttachedConditioning) -> bool:
    import torch

    return len(one.references) == len(other.references) and all(
        a is b or (a.shape == b.shape and torch.equal(a, b))
        for a, b in zip(one.references, other.references, strict=True)
    )


def known_guider(model: object, positive: object, cfg: float = 1, negative: object = None) -> KnownGuider | None:
    """What is known of a guider; None where the transformer is not.

    Raises GraphError where both prompts are read, each with another number of references.
    """
    one, other = known_conditioning(positive).references, known_conditioning(negative).references
    if cfg != 1 and other is not None and (one is None or len(one.sizes) != len(other.sizes)):
        raise GraphError([Fault(_OTHER, hint=_HINT)])
    transformer = plain(model)
    if transformer is None:
        return None
    return KnownGuider(transformer, isinstance(model, CachingTransformer), known_conditioning(positive), cfg)
