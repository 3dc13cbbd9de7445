"""Heads that name what pictures show, from the transformer's own states: they are thrown away after training.

Without those for shapes the transformer copies what stays in its place and never recognises a shape: of the moves whose
prompt says "the object" 10 % kept it, of those that name it 85 %. Those for colours ask every token of a picture, mixed
ones too, for the exact colours of the object and of the background: an error that squares of latents hardly notice.
"""

from collections.abc import Sequence

import torch
from diffusers.models.transformers.transformer_flux2 import Flux2Transformer2DModel
from torch import nn
from torch.nn import functional

from limner.tiny.colors import lab
from limner.tiny.scenes import RADII, TEXTURES, Object, Scene
from limner.tiny.shapes import SHAPES
from limner.tiny.transformer import GRID, differs_from_background

CLASSES: dict[str, tuple[str, ...]] = {"shape": SHAPES, "size": tuple(RADII), "texture": TEXTURES}
WIDTHS = [len(values) for values in CLASSES.values()]
TOKENS = GRID * GRID
NAMING_BLOCKS = (0, 1)  # single-stream blocks behind which references are named: the blocks after them can use it
REFERENCE_COLORS_BLOCK = 1
TARGET_COLORS_BLOCK = -2  # one block is left to turn colours into latents


class Reader(nn.Module):
    """Reads pictures off the states behind some single-stream blocks of the latest forward pass."""

    def __init__(self, transformer: Flux2Transformer2DModel) -> None:
        super().__init__()
        width = transformer.inner_dim
        self.heads = nn.ModuleList(nn.Linear(width, sum(WIDTHS)) for _ in NAMING_BLOCKS)
        self.reference_colors = nn.Linear(width, 6)
        self.target_colors = nn.Linear(width, 6)
        self.states: list[torch.Tensor] = []  # behind every single-stream block
        for block in transformer.single_transformer_blocks:
            block.register_forward_hook(self._keep)

    def _keep(self, block: nn.Module, given: object, states: torch.Tensor) -> None:
        self.states.append(states)

    def forget(self) -> None:
        """Let go of the states of the latest forward pass."""
        self.states.clear()

    def naming_loss(self, things: Sequence[Sequence[Object]]) -> torch.Tensor:
        """Cross-entropy of what each of the N references of each sample shows, things (B, N), N from 1."""
        true = torch.tensor([[_classes(thing) for thing in row] for row in things])
        losses = []
        for head, block in zip(self.heads, NAMING_BLOCKS, strict=True):
            read = head(self._pictures(block, len(things[0])).mean(2))
            for k, logits in enumerate(torch.split(read, WIDTHS, -1)):
                losses.append(functional.cross_entropy(logits.flatten(0, 1), true[..., k].flatten().to(logits.device)))
        return torch.stack(losses).mean()

    def color_loss(
        self, scenes: Sequence[Sequence[Scene]], clean: torch.Tensor, references: torch.Tensor
    ) -> torch.Tensor:
        """Mean error, in hundreds of CIE Lab, of colours that tokens tell.

        ``scenes`` (B, 1 + N) are the target's and those of the N references, ``clean`` (B, S, C) and ``references``
        (B, N*S, C) their tokens. Of two objects in one picture only the background is asked.
        """
        count = len(scenes[0])
        true = torch.tensor([[_colors(scene) for scene in row] for row in scenes], device=clean.device)
        is_single = torch.tensor([[len(scene.objects) == 1 for scene in row] for row in scenes], device=clean.device)
        read = self._read_colors(self.target_colors, TARGET_COLORS_BLOCK, count)[:, :1]
        loss = _color_error(read, true[:, :1], clean, is_single[:, :1])
        if count > 1:
            read = self._read_colors(self.reference_colors, REFERENCE_COLORS_BLOCK, count)[:, 1:]
            loss = loss + _color_error(read, true[:, 1:], references, is_single[:, 1:])
        return loss

    def _pictures(self, block: int, count: int) -> torch.Tensor:
        """States (B, count, S, width) of the last ``count`` pictures behind a block."""
        tokens = self.states[block][:, -count * TOKENS :].float()
        return tokens.reshape(len(tokens), count, TOKENS, -1)

    def _read_colors(self, head: nn.Module, block: int, count: int) -> torch.Tensor:
        """Read (B, count, S, 6); states are as large as they like, so they are normalised first."""
        states = self._pictures(block, count)
        read: torch.Tensor = head(functional.layer_norm(states, states.shape[-1:]))
        return read


def _color_error(read: torch.Tensor, true: torch.Tensor, tokens: torch.Tensor, is_single: torch.Tensor) -> torch.Tensor:
    """Error of colours (B, N, S, 6) read at tokens (B, N*S, C): the object's at its own, the background's at all."""
    errors = (read - true[:, :, None]).abs()
    is_object = differs_from_background(tokens.reshape(-1, TOKENS, tokens.shape[-1])).view(errors.shape[:3])
    asked = (is_object & is_single[..., None]).float()
    of_objects = (errors[..., :3].mean(-1) * asked).sum() / asked.sum().clamp(min=1)
    return of_objects + errors[..., 3:].mean()


def _classes(thing: Object) -> list[int]:
    return [values.index(getattr(thing, name)) for name, values in CLASSES.items()]


def _colors(scene: Scene) -> list[float]:
    """Give the first object's colour and the background's, in hundreds of Lab."""
    return [float(x) / 100 for color in (scene.objects[0].color, scene.background) for x in lab(color.rgb)]
