"""Feathering makes edges soft and leaves the rest."""

from __future__ import annotations

import numpy as np

from limner.engine.testing import FakeContext
from limner.nodes import FeatherMask
from limner.nodes.values import Mask


def test_an_edge_becomes_a_ramp() -> None:
    """Half grey stays where the edge was; far from it, nothing changes; without a radius, nothing at all."""
    values = np.zeros((16, 64), np.uint8)
    values[:, 32:] = 255
    soft = FeatherMask(radius=4).run(FakeContext(), Mask(values)).values
    row = soft[8].astype(int)
    assert (np.diff(row) >= 0).all()
    assert len(set(row)) > 8
    assert abs(row[31] + row[32] - 255) <= 2
    assert (row[:16] == 0).all()
    assert (row[48:] == 255).all()
    np.testing.assert_array_equal(FeatherMask(radius=0).run(FakeContext(), Mask(values)).values, values)
