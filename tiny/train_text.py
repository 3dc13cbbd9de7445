"""Stage ``text``: the encoder learns to parse captions, with heads that are thrown away afterwards.

The heads read the four summary tokens only, so a prompt's meaning ends up in known places: the
background in one, each object in another, the reference task in the last.
"""

import random
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedTokenizerFast, Qwen3ForCausalLM

from limner.tiny.captions import Caption, Mention, describe
from limner.tiny.colors import Rgb
from limner.tiny.references import TASKS, sample_edit
from limner.tiny.scenes import POSITIONS, RADII, TEXTURES, sample_scene
from limner.tiny.shapes import SHAPES
from limner.tiny.text import WIDTH, embed, summary_positions, tokenize

# Classes of each attribute; the one after the last means "not said".
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "shape": SHAPES,
    "size": tuple(RADII),
    "position": tuple(POSITIONS),
    "texture": TEXTURES,
}
OBJECT_WIDTH = sum(len(v) + 1 for v in ATTRIBUTES.values()) + 4  # and colour, and whether it is said
COLOR_WEIGHT = 8.0


class Parser(nn.Module):
    """The text encoder and its heads."""

    def __init__(self, encoder: Qwen3ForCausalLM) -> None:
        super().__init__()
        self.encoder = encoder
        self.background = nn.Linear(WIDTH, 4)
        self.objects = nn.ModuleList(nn.Linear(WIDTH, OBJECT_WIDTH) for _ in range(2))
        self.task = nn.Linear(WIDTH, len(TASKS) + 1)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor], torch.Tensor]:
        """Give (background colour and presence, the same and classes for each object, task)."""
        states = embed(self.encoder, ids, mask)
        rows = torch.arange(len(ids), device=ids.device)[:, None]
        ground, first, second, task = states[rows, summary_positions(mask)].unbind(1)
        return (
            self.background(ground),
            [h(s) for h, s in zip(self.objects, (first, second), strict=True)],
            self.task(task),
        )


def draw_captions(rng: random.Random, count: int) -> list[Caption]:
    """Draw captions of scenes (70 %) and of edits (30 %)."""
    return [describe(rng, sample_scene(rng)) if rng.random() < 0.7 else sample_edit(rng).caption for _ in range(count)]


class ParseTask:
    """Predict what every caption says, attribute by attribute."""

    def __init__(self, parser: Parser, tokenizer: PreTrainedTokenizerFast, batch: int) -> None:
        self.module, self.tokenizer, self.batch = parser, tokenizer, batch

    def loss(self, step: int, rng: random.Random, generator: torch.Generator) -> torch.Tensor:
        """Parse fresh captions."""
        captions = draw_captions(rng, self.batch)
        device = next(self.module.parameters()).device
        ids, mask = (t.to(device) for t in tokenize(self.tokenizer, [c.text for c in captions]))
        ground, objects, task = self.module(ids, mask)
        loss = color_loss(ground, [c.background for c in captions])
        for k, out in enumerate(objects):
            mentions = [c.objects[k] if len(c.objects) > k else Mention() for c in captions]
            loss = loss + object_loss(out, mentions)
        tasks = [TASKS.index(c.task) + 1 if c.task in TASKS else 0 for c in captions]
        return loss + 0.3 * functional.cross_entropy(task, torch.tensor(tasks, device=device))


def color_loss(out: torch.Tensor, colors: Sequence[Rgb | None]) -> torch.Tensor:
    """Whether a colour is said (last column) and which (first three, in [-1, 1])."""
    said = torch.tensor([c is not None for c in colors], device=out.device)
    true = torch.tensor([c or (0, 0, 0) for c in colors], device=out.device) / 127.5 - 1
    presence = functional.binary_cross_entropy_with_logits(out[:, 3], said.float())
    if not said.any():
        return presence
    return presence + COLOR_WEIGHT * functional.smooth_l1_loss(out[said, :3], true[said], beta=0.05)


def object_loss(out: torch.Tensor, mentions: Sequence[Mention]) -> torch.Tensor:
    """Cross-entropy of every attribute, and the colour."""
    widths = [len(v) + 1 for v in ATTRIBUTES.values()]
    *classes, color = torch.split(out, [*widths, 4], 1)
    loss = color_loss(color, [m.rgb for m in mentions])
    for logits, (name, values) in zip(classes, ATTRIBUTES.items(), strict=True):
        said = [getattr(m, name) for m in mentions]
        true = torch.tensor([values.index(s) if s in values else len(values) for s in said], device=out.device)
        loss = loss + functional.cross_entropy(logits, true)
    return loss
