"""A preview is the fitted map and nothing else."""

from __future__ import annotations

import numpy as np
import torch

from limner.nodes._flux2.preview import LatentPreview

Z = 4


def preview(mean: float = 0.0, std: float = 1.0, bias: float = 0.0) -> LatentPreview:
    weight = torch.eye(3, Z)
    return LatentPreview(weight, torch.full((3,), bias), torch.full((4 * Z,), mean), torch.full((4 * Z,), std))


def test_channels_become_colours_cell_by_cell() -> None:
    """Each of the four cells of a patch is its own pixel."""
    cells = torch.rand(2, Z, 6, 8)
    samples = cells.reshape(2, Z, 3, 2, 4, 2).permute(0, 1, 3, 5, 2, 4).reshape(2, 4 * Z, 3, 4)
    wanted = (cells[:, :3].permute(0, 2, 3, 1) * 255).round().to(torch.uint8).numpy()
    np.testing.assert_array_equal(preview()(samples), wanted)


def test_normalisation_is_taken_back_first() -> None:
    samples = torch.ones(1, 4 * Z, 1, 1)
    assert (preview(mean=0.25, std=0.5)(samples) == 191).all()
    assert (preview(bias=0.5, std=0.0)(samples) == 128).all()


def test_colours_are_clamped_and_half_precision_is_fine() -> None:
    samples = torch.full((1, 4 * Z, 2, 2), 3.0, dtype=torch.bfloat16)
    assert (preview()(samples) == 255).all()
    assert (preview()(-samples) == 0).all()
