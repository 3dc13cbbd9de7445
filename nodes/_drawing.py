"""What every node that draws does with its steps: report, show, keep, and end with latents."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from limner.engine.context import Context
from limner.nodes.values import Image, Latent

if TYPE_CHECKING:
    from limner.nodes._flux2.live import LiveTransformer
    from limner.nodes._flux2.sampling import Step


def drawn(
    ctx: Context,
    live: LiveTransformer,
    steps: Iterable[Step],
    total: int,
    *,
    first: int = 0,
    has_checkpoints: bool = True,
) -> Latent:
    """The latents that the last of the steps gives. ``total`` counts the ``first`` ones that are not run, too.

    Raises Cancelled within a step.
    """
    for step in steps:
        if step.number < total and has_checkpoints:
            ctx.checkpoint(step.number, Latent(step.samples))
        ctx.progress(step.number - first, total - first, _preview_of(live, step))
    return Latent(step.samples.cpu())


def _preview_of(live: LiveTransformer, step: Step) -> Callable[[], Image] | None:
    """What the picture will be, as seen from this step; None where the checkpoint has no fitted map."""
    preview = live.preview
    return None if preview is None else lambda: Image(preview(step.estimate))
