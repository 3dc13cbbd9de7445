"""Draw scenes as tensors, many at once, with anti-aliased edges."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from limner.tiny.scenes import SIDE, TEXTURES, Object, Scene
from limner.tiny.shapes import ALL_SHAPES, EXTENT, templates

Pictures = npt.NDArray[np.uint8]

STRIPE = 8  # pixels a stripe is wide
OUTLINE = 5.0  # pixels an outline is wide


def pixel_grid() -> tuple[torch.Tensor, torch.Tensor]:
    """Centres of pixels: two (SIDE, SIDE) tensors, x and y."""
    axis = torch.arange(SIDE) + 0.5
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return x, y


def distance_field(things: Sequence[Object]) -> torch.Tensor:
    """Signed distance in pixels to each object, (N, SIDE, SIDE), negative inside."""
    x, y = pixel_grid()
    where = torch.tensor([[o.x, o.y, o.radius] for o in things])[:, :, None, None]
    scale = where[:, 2] * EXTENT
    grid = torch.stack([(x - where[:, 0]) / scale, (y - where[:, 1]) / scale], -1)
    fields = templates()[[ALL_SHAPES.index(o.shape) for o in things]]
    sampled = functional.grid_sample(fields, grid, align_corners=True, padding_mode="border")[:, 0]
    return sampled * where[:, 2]


def render(scenes: Sequence[Scene]) -> torch.Tensor:
    """Draw scenes: (N, 3, SIDE, SIDE) in [-1, 1]."""
    backgrounds = torch.tensor([s.background.rgb for s in scenes], dtype=torch.float32)
    image = backgrounds[:, :, None, None].repeat(1, 1, SIDE, SIDE)
    for k in range(max(len(s.objects) for s in scenes)):
        rows = [i for i, s in enumerate(scenes) if len(s.objects) > k]
        things = [scenes[i].objects[k] for i in rows]
        field = distance_field(things)[:, None]
        cover = (0.5 - field).clamp(0, 1)
        image[rows] = image[rows] * (1 - cover) + _paint(things, field) * cover
    return image / 127.5 - 1


def _paint(things: Sequence[Object], field: torch.Tensor) -> torch.Tensor:
    """Colour of every pixel as if the object covered it, (N, 3, SIDE, SIDE) in 0..255."""
    color = torch.tensor([o.color.rgb for o in things], dtype=torch.float32)[:, :, None, None]
    texture = torch.tensor([TEXTURES.index(o.texture) for o in things])[:, None, None, None]
    _, y = pixel_grid()
    stripes = 1 - 0.55 * ((y / STRIPE).floor() % 2)
    rim = 1 - (field + OUTLINE).clamp(0, 1)
    one = torch.ones(())
    return color * torch.where(texture == 1, stripes, one) * torch.where(texture == 2, rim, one)


def to_bytes(images: torch.Tensor) -> Pictures:
    """Turn (N, 3, H, W) in [-1, 1] into bytes (N, H, W, 3)."""
    scaled = ((images.clamp(-1, 1) + 1) * 127.5).round().byte()
    pictures: Pictures = scaled.permute(0, 2, 3, 1).cpu().numpy()
    return pictures
