"""The shapes that the embedded model knows, as signed distance fields of unit size."""

import math
from collections.abc import Callable
from functools import cache

import torch

SHAPES = ("circle", "square", "triangle", "star", "heart", "diamond", "cross", "ring")
HELD_OUT = ("moon",)  # never trained: the concept that the LoRA teaches
ALL_SHAPES = (*SHAPES, *HELD_OUT)

EXTENT = 1.6  # templates cover [-EXTENT, EXTENT] in units of the object's radius
RESOLUTION = 161

Vertices = list[tuple[float, float]]


def polygon(vertices: Vertices, points: torch.Tensor) -> torch.Tensor:
    """Signed distance to a closed polygon (Quilez, "2D distance functions"); points are (..., 2)."""
    v = torch.tensor(vertices, dtype=torch.float32)
    nearest = ((points - v[0]) ** 2).sum(-1)
    sign = torch.ones_like(nearest)
    for i in range(len(v)):
        j = i - 1
        edge, to_point = v[j] - v[i], points - v[i]
        along = ((to_point * edge).sum(-1) / (edge * edge).sum()).clamp(0, 1)
        offset = to_point - edge * along[..., None]
        nearest = torch.minimum(nearest, (offset * offset).sum(-1))
        above, below = points[..., 1] >= v[i][1], points[..., 1] < v[j][1]
        left = edge[0] * to_point[..., 1] > edge[1] * to_point[..., 0]
        sign = torch.where((above & below & left) | (~above & ~below & ~left), -sign, sign)
    return sign * nearest.sqrt()


def _star() -> Vertices:
    radii = [1.08 if k % 2 == 0 else 0.45 for k in range(10)]
    return [(math.sin(k * math.pi / 5) * r, -math.cos(k * math.pi / 5) * r) for k, r in enumerate(radii)]


def _heart() -> Vertices:
    angles = [2 * math.pi * k / 40 for k in range(40)]
    x = [16 * math.sin(a) ** 3 / 17 for a in angles]
    y = [-(13 * math.cos(a) - 5 * math.cos(2 * a) - 2 * math.cos(3 * a) - math.cos(4 * a)) / 17 for a in angles]
    return list(zip(x, y, strict=True))


def _cross(a: float = 0.34, b: float = 0.95) -> Vertices:
    arm: Vertices = [(-a, -b), (a, -b), (a, -a), (b, -a), (b, a), (a, a)]
    return [*arm, *((-x, -y) for x, y in arm)]


def _moon(p: torch.Tensor) -> torch.Tensor:
    bite = (p - torch.tensor([0.5, -0.2])).norm(dim=-1) - 0.8
    return torch.maximum(p.norm(dim=-1) - 0.95, -bite)


FIELDS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "circle": lambda p: p.norm(dim=-1) - 0.92,
    "square": lambda p: polygon([(-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)], p),
    "triangle": lambda p: polygon([(0, -0.95), (0.95, 0.75), (-0.95, 0.75)], p),
    "star": lambda p: polygon(_star(), p),
    "heart": lambda p: polygon(_heart(), p),
    "diamond": lambda p: polygon([(0, -1.05), (0.72, 0), (0, 1.05), (-0.72, 0)], p),
    "cross": lambda p: polygon(_cross(), p),
    "ring": lambda p: (p.norm(dim=-1) - 0.68).abs() - 0.27,
    "moon": _moon,
}


@cache
def templates() -> torch.Tensor:
    """Sample every field once: (shape, 1, RESOLUTION, RESOLUTION), in radii, negative inside."""
    axis = torch.linspace(-EXTENT, EXTENT, RESOLUTION)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    points = torch.stack([x, y], -1)
    return torch.stack([FIELDS[name](points) for name in ALL_SHAPES])[:, None]
