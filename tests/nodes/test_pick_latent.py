"""One of several pictures."""

from __future__ import annotations

import pytest
import torch

from limner.engine.errors import InputError
from limner.engine.testing import FakeContext
from limner.nodes import PickLatent
from limner.nodes.sizes import PictureSizes
from limner.nodes.values import Latent

BATCH = Latent(torch.arange(3 * 4, dtype=torch.float32).reshape(3, 1, 2, 2))


def test_it_gives_that_picture_alone() -> None:
    """Counted from 1, as a value that does not hold on to the batch."""
    found = PickLatent(number=2).run(FakeContext(), BATCH)
    assert torch.equal(found.samples, BATCH.samples[1:2])
    assert found.samples.untyped_storage().nbytes() == BATCH.size_bytes // 3


def test_a_batch_that_is_smaller_is_refused() -> None:
    with pytest.raises(InputError, match="no picture 4 in a batch of 3"):
        PickLatent(number=4).run(FakeContext(), BATCH)


def test_it_is_forecast_as_one_picture() -> None:
    """So that the memory of what follows is that of one."""
    forecast = PickLatent(number=2).forecast("cpu", {"latent": PictureSizes(((64, 32),) * 3)})
    assert forecast is not None
    assert forecast.outputs == (PictureSizes(((64, 32),)),)
    assert PickLatent().forecast("cpu", {"latent": None}) is None
