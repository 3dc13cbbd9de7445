"""Stage ``vae``: the autoencoder on crops, then on whole pictures, then its decoder alone."""

import random

import torch
from diffusers.models.autoencoders.autoencoder_kl_flux2 import AutoencoderKLFlux2

from limner.tiny.render import render, to_bytes
from limner.tiny.scenes import SIDE, Scene, sample_scene
from limner.tiny.shapes import ALL_SHAPES
from limner.tiny.vae import autoencoder_loss, pixel_weights, reconstruction_loss

CROP = 64
CELL = 16
POOL = 2048
THIN = 0.4  # share of the decoder's pictures that have thin parts, besides those by chance
NOISE = 0.06  # of the latents, in standard deviations of each channel: the decoder is to forgive small errors


def draw_pictures(count: int, seed: int, thin: float = 0.0) -> torch.Tensor:
    """Render random scenes once, as bytes (N, 3, SIDE, SIDE): the autoencoder sees every shape, "moon" too.

    A share ``thin`` of them, besides those by chance, has an object with parts of few pixels.
    """
    rng = random.Random(seed)
    scenes = [_sample(rng, is_thin=thin > 0 and rng.random() < thin) for _ in range(count)]
    parts = [torch.from_numpy(to_bytes(render(scenes[i : i + 64]))) for i in range(0, count, 64)]
    return torch.cat(parts).permute(0, 3, 1, 2).contiguous()


def _sample(rng: random.Random, is_thin: bool) -> Scene:
    while True:
        scene = sample_scene(rng, shapes=ALL_SHAPES)
        if not is_thin or any(thing.has_thin_parts for thing in scene.objects):
            return scene


class AutoencoderTask:
    """Crops are cheap and the net is convolutional; whole pictures come at the end, for the norms' statistics."""

    def __init__(self, vae: AutoencoderKLFlux2, pictures: torch.Tensor, steps: int, batch: int) -> None:
        self.module = vae
        self.pictures, self.steps, self.batch = pictures, steps, batch

    def loss(self, step: int, rng: random.Random, generator: torch.Generator) -> torch.Tensor:
        """Reconstruct a fresh batch of crops or pictures."""
        whole = step >= 0.7 * self.steps
        rows = torch.randint(
            len(self.pictures), (max(self.batch // 2, 1) if whole else self.batch,), generator=generator
        )
        images = self.pictures[rows]
        if not whole:
            top, left = (CELL * rng.randrange((SIDE - CROP) // CELL + 1) for _ in range(2))
            images = images[:, :, top : top + CROP, left : left + CROP]
        images = (images.to(self.device) / 127.5 - 1).contiguous(memory_format=torch.channels_last)
        torch.manual_seed(generator.initial_seed())
        with torch.autocast(self.device.type, torch.bfloat16):
            return autoencoder_loss(self.module, images, noise=NOISE)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.module.parameters()).device


class DecoderTask:
    """Whole pictures from the frozen encoder's latents, a little noisy, through the decoder."""

    def __init__(self, vae: AutoencoderKLFlux2, pictures: torch.Tensor, batch: int) -> None:
        self.module = vae
        self.pictures, self.batch = pictures, batch

    def loss(self, step: int, rng: random.Random, generator: torch.Generator) -> torch.Tensor:
        """Reconstruct a fresh batch of pictures."""
        rows = torch.randint(len(self.pictures), (self.batch,), generator=generator)
        device = next(self.module.parameters()).device
        images = (self.pictures[rows].to(device) / 127.5 - 1).contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16):
            with torch.no_grad():
                latents = self.module.encode(images).latent_dist.mode()
            spread = latents.std((0, 2, 3), keepdim=True)
            noise = torch.randn(latents.shape, generator=generator).to(device)
            decoded = self.module.decode(latents + NOISE * spread * noise).sample
            return reconstruction_loss(images, decoded, pixel_weights(images))
