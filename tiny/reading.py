"""Heads that name what a reference shows, from the transformer's own states: they are thrown away after training.

Without them the transformer copies what stays in its place and never recognises a shape: of the moves whose prompt says
"the object" 10 % kept it, of those that name it 85 %.
"""

from collections.abc import Sequence

import torch
from diffusers.models.transformers.transformer_flux2 import Flux2Transformer2DModel
from torch import nn
from torch.nn import functional

from limner.tiny.scenes import RADII, TEXTURES, Object
from limner.tiny.shapes import SHAPES
from limner.tiny.transformer import GRID

CLASSES: dict[str, tuple[str, ...]] = {"shape": SHAPES, "size": tuple(RADII), "texture": TEXTURES}
WIDTHS = [len(values) for values in CLASSES.values()]
TOKENS = GRID * GRID


class Reader(nn.Module):
    """Reads references off the states behind the first two single-stream blocks; the blocks after them can use it."""

    def __init__(self, transformer: Flux2Transformer2DModel) -> None:
        super().__init__()
        width = transformer.inner_dim
        self.heads = nn.ModuleList(nn.Linear(width, sum(WIDTHS)) for _ in range(2))
        self.states: list[torch.Tensor] = []  # of the latest forward pass
        for block in transformer.single_transformer_blocks[: len(self.heads)]:
            block.register_forward_hook(self._keep)

    def _keep(self, block: nn.Module, given: object, states: torch.Tensor) -> None:
        self.states.append(states)

    def forget(self) -> None:
        """Let go of the states of the latest forward pass."""
        self.states.clear()

    def loss(self, things: Sequence[Sequence[Object]]) -> torch.Tensor:
        """Cross-entropy of what each reference of each sample shows, of the forward pass just made."""
        count = len(things[0])
        true = torch.tensor([[_classes(thing) for thing in row] for row in things])
        losses = []
        for head, states in zip(self.heads, self.states, strict=True):
            tokens = states[:, -count * TOKENS :].float()
            read = head(tokens.reshape(len(tokens), count, TOKENS, -1).mean(2))
            for k, logits in enumerate(torch.split(read, WIDTHS, -1)):
                losses.append(functional.cross_entropy(logits.flatten(0, 1), true[..., k].flatten().to(logits.device)))
        return torch.stack(losses).mean()


def _classes(thing: Object) -> list[int]:
    return [values.index(getattr(thing, name)) for name, values in CLASSES.items()]
