"""What ``limner plan`` says that a case takes of its device, to be held against what it took."""

from __future__ import annotations

from cases import SOURCES, Case
from flops import TEXT_TOKENS

from limner.engine.placement import placement
from limner.nodes._flux2.needs import Drawing, denoise
from limner.nodes._flux2.weigh import weigh
from limner.nodes.sizes import PictureSizes, PromptSize
from limner.nodes.specs import Transformer


def planned_bytes(case: Case, device: str) -> int | None:
    """Weights on the device and what a step needs besides, at its peak; None for a model that has no checkpoint."""
    if case.model not in SOURCES:
        return None
    spec = Transformer(source=SOURCES[case.model], quantization=case.quantization)
    pictures = ((case.side, case.side),) * case.references
    drawing = Drawing(
        steps=1,
        guidance=None,
        batch=1,
        width=case.side,
        height=case.side,
        prompt=PromptSize(TEXT_TOKENS),
        references=PictureSizes(pictures) if pictures else None,
        speed=case.speed,
    )
    held = placement(weigh(spec, device), case.policy, device).footprint.held
    return held.get(device, 0) + denoise(spec, drawing, device).working_bytes
