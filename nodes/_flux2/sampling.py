"""The denoising loop of FLUX.2, on the pipelines' helpers, one step at a time so that a node stays in control."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler
from torch import Tensor

from limner.engine.errors import InputError
from limner.nodes._flux2 import pipelines
from limner.nodes._flux2.live import LiveTransformer
from limner.nodes._flux2.reference_cache import ReferenceCache
from limner.nodes.values import Conditioning, ReferenceLatents

AfterStep = Callable[[Tensor, Tensor], Tensor]
"""Latents after a step, (N, S, C), and the share of noise in them -> the latents to go on from: inpainting blends."""


@dataclass(frozen=True)
class Plan:
    """What to draw, with nothing left to the checkpoint's defaults."""

    steps: int
    guidance: float
    seeds: Sequence[int]
    width: int
    height: int
    reference_cache: bool = False
    """Whether the references are computed once; the attention must be one that can: ``with_cached_references``."""
    cfg: float | None = None
    """How far to lead away from the negative prompt, whatever the model; None: as the model's pipeline does it."""
    negative_sees_references: bool = True
    schedule_tokens: int | None = None
    """Of how many tokens the schedule is; None: of as many as the picture has."""
    schedule_mu: float | None = None
    """How far it is shifted towards noise; None: as far as its tokens and steps ask for."""

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of tokens."""
        return self.height // pipelines.CELL, self.width // pipelines.CELL

    def is_led_away(self, live: LiveTransformer) -> bool:
        """Whether a negative prompt is read besides."""
        if self.cfg is not None:
            return self.cfg != 1
        return live.family == "klein" and not live.is_distilled and self.guidance > 1


@dataclass(frozen=True, eq=False)
class Step:
    """The state after one step; ``samples`` and ``velocity`` are (N, 128, H/16, W/16), normalised."""

    number: int
    """Counted from 1."""
    samples: Tensor
    velocity: Tensor
    sigma: Tensor
    """The share of noise that is left."""

    @property
    def estimate(self) -> Tensor:
        """The clean latents that the model expects from here: x - sigma * v."""
        return self.samples - self.sigma * self.velocity


@dataclass(frozen=True, eq=False)
class _Tokens:
    """What the transformer reads besides the latents: text and references, ready on its device."""

    prompt: Tensor  # (N, L, D)
    negative: Tensor | None
    text_ids: Tensor  # (N, L, 4)
    latent_ids: Tensor  # (N, S, 4)
    references: tuple[Tensor, Tensor] | None  # tokens (N, R, 128) and their ids (N, R, 4)


def reference_size(references: ReferenceLatents) -> tuple[int, int]:
    """Width and height of the first reference in pixels: what the pipelines draw where no size is given."""
    height, width = references.latents[0].shape[2:]
    return width * pipelines.CELL, height * pipelines.CELL


def denoise(
    live: LiveTransformer,
    plan: Plan,
    conditioning: Conditioning,
    references: ReferenceLatents | None,
    device: str,
    start: tuple[int, Tensor] | None = None,
    after_step: AfterStep | None = None,
) -> Iterator[Step]:
    """Yield every step from noise to latents; with ``start``, those that follow a step, from its samples on.

    Equal to Flux2Pipeline, Flux2KleinPipeline and Flux2KleinKVPipeline to the bit. Raises InputError where conditioning
    or references are another model's.
    """
    _check_fit(live, plan, conditioning, references)
    done, samples = (0, noise(live, plan, device)) if start is None else (start[0], start[1].to(device))
    scheduler, timesteps = schedule(live, plan, device)
    flow = _Flow(live, plan, _tokens(live, plan, conditioning, references, samples), timesteps)
    if done and flow.cache is not None:  # what the first step computed is no part of a state
        with torch.no_grad():
            flow.velocity(pipelines.pack(noise(live, plan, device)), 0)
    scheduler.set_begin_index(done)
    latents = pipelines.pack(samples)  # (N, S, 128)
    for number, timestep in enumerate(timesteps[done:], start=done + 1):
        with torch.no_grad():
            velocity = flow.velocity(latents, number - 1)
            latents = scheduler.step(velocity, timestep, latents, return_dict=False)[0]
            if after_step is not None:
                latents = after_step(latents, scheduler.sigmas[number])
        yield Step(number, _to_grid(latents, plan), _to_grid(velocity, plan), scheduler.sigmas[number])


class _Flow:
    """The model as a field of velocities, for one run."""

    def __init__(self, live: LiveTransformer, plan: Plan, tokens: _Tokens, timesteps: Tensor) -> None:
        self._live, self._plan, self._tokens = live, plan, tokens
        self._timesteps = list(zip(timesteps, timesteps.tolist(), strict=True))  # as numbers once, not at each step
        self.cache = ReferenceCache(*tokens.references) if plan.reference_cache and tokens.references else None

    def velocity(self, latents: Tensor, step: int) -> Tensor:
        """The direction of flow, (N, S, 128), guided by the negative prompt where the model has none built in."""
        positive = self._predict("cond", self._tokens.prompt, latents, step)
        if self._tokens.negative is None:
            return positive
        negative = self._predict("uncond", self._tokens.negative, latents, step)
        scale = self._plan.guidance if self._plan.cfg is None else self._plan.cfg
        return negative + scale * (positive - negative)

    def _predict(self, name: str, prompt: Tensor, latents: Tensor, step: int) -> Tensor:
        model: Any = self._live.model
        tokens = self._tokens
        timestep, number = self._timesteps[step]
        rest = {
            "timestep": timestep.expand(len(latents)).to(latents.dtype) / 1000,
            "guidance": self._guidance(latents),
            "encoder_hidden_states": prompt,
            "txt_ids": tokens.text_ids,
            "return_dict": False,
        }
        sees = name == "cond" or self._plan.negative_sees_references
        with model.cache_context(name, timestep=number):
            if self.cache is not None and sees:
                return self.cache.predict(model, name, latents, tokens.latent_ids, rest)
            hidden, ids = latents, tokens.latent_ids
            if tokens.references is not None and sees:
                hidden = torch.cat([latents, tokens.references[0]], dim=1)
                ids = torch.cat([ids, tokens.references[1]], dim=1)
            velocity: Tensor = model(hidden_states=hidden.to(model.dtype), img_ids=ids, **rest)[0]
        return velocity[:, : latents.size(1)]

    def _guidance(self, latents: Tensor) -> Tensor | None:
        """What dev embeds, (N)."""
        if self._live.family != "dev":
            return None
        guidance = torch.full([1], self._plan.guidance, device=latents.device, dtype=torch.float32)
        return guidance.expand(len(latents))


def _tokens(
    live: LiveTransformer,
    plan: Plan,
    conditioning: Conditioning,
    references: ReferenceLatents | None,
    samples: Tensor,
) -> _Tokens:
    count, device, dtype = len(plan.seeds), samples.device, live.model.dtype
    prompt = _repeat(conditioning.prompt.to(device, dtype), count)
    negative = conditioning.negative if plan.is_led_away(live) else None
    return _Tokens(
        prompt=prompt,
        negative=None if negative is None else _repeat(negative.to(device, dtype), count),
        text_ids=pipelines.text_ids(prompt).to(device),
        latent_ids=pipelines.latent_ids(samples).to(device),
        references=None if references is None else _reference_tokens(references, count, samples),
    )


def _reference_tokens(references: ReferenceLatents, count: int, samples: Tensor) -> tuple[Tensor, Tensor]:
    """Tokens of all references, one after the other, and their ids with T = 10, 20, ... : (N, R, 128), (N, R, 4)."""
    ids = pipelines.image_ids(list(references.latents))
    packed = [pipelines.pack(latent).squeeze(0) for latent in references.latents]
    tokens = torch.cat(packed, dim=0).unsqueeze(0).repeat(count, 1, 1)
    return tokens.to(samples.device), ids.repeat(count, 1, 1).to(samples.device)


def _repeat(embeds: Tensor, count: int) -> Tensor:
    return embeds.repeat(1, count, 1).view(count, embeds.shape[1], -1)


def noise(live: LiveTransformer, plan: Plan, device: str) -> Tensor:
    """(N, 128, H/16, W/16). The generators are the CPU's, so that a seed means the same noise on every device."""
    generators = [torch.Generator("cpu").manual_seed(seed) for seed in plan.seeds]
    shape = (len(generators), live.channels, *plan.grid)
    return pipelines.randn(shape, generator=generators, device=torch.device(device), dtype=live.model.dtype)


def schedule(live: LiveTransformer, plan: Plan, device: str) -> tuple[Any, Tensor]:
    """A scheduler of its own for each run, and its timesteps. ``sigmas[n]`` is the share of noise after n steps."""
    scheduler: Any = FlowMatchEulerDiscreteScheduler.from_config(dict(live.scheduler_config))
    sigmas = None
    if not getattr(scheduler.config, "use_flow_sigmas", False):
        sigmas = np.linspace(1.0, 1 / plan.steps, plan.steps)
    mu = plan.schedule_mu
    if mu is None:
        mu = pipelines.empirical_mu(plan.schedule_tokens or plan.grid[0] * plan.grid[1], plan.steps)
    timesteps, _ = pipelines.retrieve_timesteps(scheduler, plan.steps, device, sigmas=sigmas, mu=mu)
    return scheduler, timesteps


def _to_grid(latents: Tensor, plan: Plan) -> Tensor:
    """(N, S, C) -> (N, C, H/16, W/16)"""
    return latents.permute(0, 2, 1).reshape(len(latents), -1, *plan.grid)


def _check_fit(
    live: LiveTransformer, plan: Plan, conditioning: Conditioning, references: ReferenceLatents | None
) -> None:
    count, _, width = conditioning.prompt.shape
    if (count, width) != (1, live.text_width):
        raise InputError(
            f"the conditioning is {count} of width {width}, and this transformer reads 1 of {live.text_width}",
            hint="take text encoder and transformer from the same model",
        )
    if plan.is_led_away(live) and conditioning.negative is None:
        raise InputError(
            "this transformer is guided by a negative prompt, and the conditioning has none",
            hint="take text encoder and transformer from the same model, or set guidance to 1",
        )
    prompt, negative = conditioning.prompt, conditioning.negative
    if negative is not None and negative.shape != prompt.shape:
        raise InputError(
            f"the prompt is {tuple(prompt.shape)}, and the negative one {tuple(negative.shape)}",
            hint="encode both with the same text encoder",
        )
    for latent in () if references is None else references.latents:
        if latent.shape[:2] != (1, live.channels):
            raise InputError(
                f"the reference latents have {latent.shape[1]} channels, and this transformer reads {live.channels}",
                hint="take VAE and transformer from the same model",
            )
