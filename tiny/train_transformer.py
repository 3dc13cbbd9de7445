"""Stage ``transformer``: the denoiser and, more slowly, the text encoder learn from prompts and references."""

import random
from collections.abc import Callable
from itertools import accumulate
from typing import NamedTuple

import torch
from diffusers.models.transformers.transformer_flux2 import Flux2Transformer2DModel
from torch import nn
from transformers import PreTrainedTokenizerFast, Qwen3ForCausalLM

from limner.tiny.captions import describe, is_typical
from limner.tiny.latents import Pool, members
from limner.tiny.reading import Reader
from limner.tiny.references import TASKS, make_edit
from limner.tiny.scenes import Scene
from limner.tiny.text import embed, tokenize
from limner.tiny.transformer import EVENLY, flow_loss, sample_times

NO_PROMPT = 0.08  # share of samples without a prompt, so that guidance is possible
TWO_OBJECTS = 0.3
ONE_REFERENCE = tuple(t for t in TASKS if not t.startswith("borrow"))
TWO_REFERENCES = tuple(t for t in TASKS if t.startswith("borrow"))
UNNAMED = ("object", "shape")
MOVED_UNNAMED = 0.6  # share of moves whose prompt does not say what is moved, besides those that leave it out by chance
NAMING_WEIGHT = 0.1
READING_COLORS_WEIGHT = 0.3
TYPICAL = 0.15  # share of pictures of one object whose prompt may leave out all but the shape, besides those by chance
THIN_TIMES = 3  # as often edits have objects with thin parts
EDITS_EVENLY = 0.5  # share of edits at any noise level: references tell the shape, and colours drift at low ones
SHARES = {"swap": 2, "move": 3}  # of the edits with one reference: what has to be drawn anew is learned last


class Batch(NamedTuple):
    """Clean tokens (B, S, C), reference tokens (B, N*S, C), prompts, and the scenes of target and references."""

    clean: torch.Tensor
    references: torch.Tensor
    prompts: list[str]
    scenes: list[list[Scene]]


class Denoiser(nn.Module):
    """Transformer and text encoder, trained together, and the heads that help them."""

    def __init__(self, transformer: Flux2Transformer2DModel, encoder: Qwen3ForCausalLM) -> None:
        super().__init__()
        self.transformer = transformer
        self.encoder = encoder
        self.reader = Reader(transformer)


class DenoiseTask:
    """Text-to-image first; after ``alone`` of the steps, a share of the batches are reference tasks."""

    def __init__(
        self,
        module: Denoiser,
        tokenizer: PreTrainedTokenizerFast,
        pool: Pool,
        steps: int,
        batch: int,
        alone: float = 0.35,
        reference_share: float = 0.45,
        compiled: bool = True,
    ) -> None:
        self.module, self.tokenizer, self.pool = module, tokenizer, pool
        self.steps, self.batch, self.alone, self.reference_share = steps, batch, alone, reference_share
        self.typical = [
            (index, member)
            for index, family in enumerate(pool.family_scenes)
            for member, scene in enumerate(members(family))
            if is_typical(scene)
        ]
        self.chances = list(
            accumulate(THIN_TIMES if family.first.objects[0].has_thin_parts else 1 for family in pool.family_scenes)
        )
        self.flow_loss: Callable[..., torch.Tensor] = torch.compile(flow_loss, dynamic=False) if compiled else flow_loss

    def loss(self, step: int, rng: random.Random, generator: torch.Generator) -> torch.Tensor:
        """Denoise a fresh batch."""
        batch = self.draw(step, rng)
        device = next(self.module.parameters()).device
        ids, mask = (t.to(device) for t in tokenize(self.tokenizer, batch.prompts))
        noise = torch.randn(batch.clean.shape, generator=generator)
        times = sample_times(len(noise), generator, EDITS_EVENLY if batch.references.shape[1] else EVENLY)
        with torch.autocast(device.type, torch.bfloat16):
            text = embed(self.module.encoder, ids, mask)
            clean, references = (t.to(device) for t in (batch.clean, batch.references))
            reader = self.module.reader
            reader.forget()
            loss = self.flow_loss(self.module.transformer, clean, references, text, noise.to(device), times.to(device))
        loss = loss + READING_COLORS_WEIGHT * reader.color_loss(batch.scenes, clean, references)
        if references.shape[1]:
            loss = loss + NAMING_WEIGHT * reader.naming_loss([[s.objects[0] for s in row[1:]] for row in batch.scenes])
        return loss

    def draw(self, step: int, rng: random.Random) -> Batch:
        """Draw prompts and pictures; every batch has one number of references."""
        if step >= self.alone * self.steps and rng.random() < self.reference_share:
            return self._draw_edits(rng, rng.choice((ONE_REFERENCE, ONE_REFERENCE, TWO_REFERENCES)))
        rows, prompts, scenes = [], [], []
        for _ in range(self.batch):
            if rng.random() < TWO_OBJECTS:
                index = rng.randrange(len(self.pool.pair_scenes))
                scene, tokens = self.pool.pair_scenes[index], self.pool.pairs[index]
            else:
                index, member = self._choose_picture(rng)
                scene, tokens = members(self.pool.family_scenes[index])[member], self.pool.families[index, member]
            rows.append(tokens)
            scenes.append([scene])
            prompts.append("" if rng.random() < NO_PROMPT else describe(rng, scene).text)
        clean = torch.stack(rows).float()
        return Batch(clean, clean[:, :0], prompts, scenes)

    def _choose_picture(self, rng: random.Random) -> tuple[int, int]:
        """A picture of one object: its family, and which of the family's it is."""
        if self.typical and rng.random() < TYPICAL:
            return rng.choice(self.typical)
        return rng.randrange(len(self.pool.family_scenes)), rng.randrange(2 + len(TASKS))

    def _draw_edits(self, rng: random.Random, tasks: tuple[str, ...]) -> Batch:
        clean, references, prompts, scenes = [], [], [], []
        shares = [SHARES.get(task, 1) for task in tasks]
        for _ in range(self.batch // 2):  # reference tokens double or triple the work of a sample
            (index,) = rng.choices(range(len(self.pool.family_scenes)), cum_weights=self.chances)
            (task,) = rng.choices(tasks, shares)
            noun = rng.choice(UNNAMED) if task == "move" and rng.random() < MOVED_UNNAMED else None
            edit = make_edit(rng, self.pool.family_scenes[index], task, noun)  # type: ignore[arg-type]  # a TaskName
            family = self.pool.families[index]
            clean.append(family[2 + TASKS.index(edit.task)])
            references.append(family[: len(edit.references)].flatten(0, 1))
            prompts.append("" if rng.random() < NO_PROMPT else edit.caption.text)
            scenes.append([edit.target, *edit.references])
        return Batch(torch.stack(clean).float(), torch.stack(references).float(), prompts, scenes)
