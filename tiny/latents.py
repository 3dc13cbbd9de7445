"""A pool of encoded pictures: drawing and encoding once is far cheaper than at every step."""

import random
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers.models.autoencoders.autoencoder_kl_flux2 import AutoencoderKLFlux2
from safetensors.torch import load_file, save_file

from limner.tiny.references import TASKS, Family, sample_family
from limner.tiny.render import render
from limner.tiny.scenes import Scene, sample_scene
from limner.tiny.vae import encode_tokens

MEMBERS = 2 + len(TASKS)  # pictures of a family: two sources and the targets


@dataclass(frozen=True)
class Pool:
    """Scenes of two objects, families of edits, and the tokens of both.

    ``pairs`` is (N, S, C); ``families`` is (M, MEMBERS, S, C): first, second, then targets in the order of TASKS.
    """

    pair_scenes: list[Scene]
    family_scenes: list[Family]
    pairs: torch.Tensor
    families: torch.Tensor


def draw_scenes(pairs: int, families: int, seed: int) -> tuple[list[Scene], list[Family]]:
    """Draw what the pool shows; the same seed gives the same scenes, so only tokens need a file."""
    rng = random.Random(seed)
    return [sample_scene(rng, 2) for _ in range(pairs)], [sample_family(rng) for _ in range(families)]


def members(family: Family) -> list[Scene]:
    """Give a family's pictures in the order of the pool."""
    return [family.first, family.second, *(family.targets[task] for task in TASKS)]


def encode_scenes(vae: AutoencoderKLFlux2, scenes: list[Scene], batch: int = 32) -> torch.Tensor:
    """Draw and encode scenes: (N, S, C) in half precision."""
    device = next(vae.parameters()).device
    parts = []
    for start in range(0, len(scenes), batch):
        images = render(scenes[start : start + batch]).to(device, memory_format=torch.channels_last)
        parts.append(encode_tokens(vae, images).half().cpu())
    return torch.cat(parts)


def load_pool(vae: AutoencoderKLFlux2, path: Path, pairs: int, families: int, seed: int) -> Pool:
    """Read the pool's tokens, or encode and write them."""
    pair_scenes, family_scenes = draw_scenes(pairs, families, seed)
    if not path.exists():
        flat = [scene for family in family_scenes for scene in members(family)]
        tokens = {"pairs": encode_scenes(vae, pair_scenes), "families": encode_scenes(vae, flat)}
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tokens, path)
    tokens = load_file(path)
    stacked = tokens["families"].view(families, MEMBERS, *tokens["families"].shape[1:])
    return Pool(pair_scenes, family_scenes, tokens["pairs"], stacked)
