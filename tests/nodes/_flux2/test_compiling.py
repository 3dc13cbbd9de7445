"""Compiled blocks serve those who asked for them, and nobody else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch._inductor.config
from torch._dynamo.exc import Unsupported

from limner.engine.errors import DeviceError, ModelError
from limner.engine.offload import Offload
from limner.engine.pool import ModelPool
from limner.nodes import Denoise, TextEncode
from limner.nodes._flux2.compiling import with_compiled_blocks
from limner.nodes._flux2.loader import Flux2Loader
from limner.nodes.values import Latent

Draw = Callable[..., Latent]


@pytest.fixture(autouse=True)
def _one_process() -> Iterator[None]:
    """Blocks this small compile faster than workers start."""
    with torch._inductor.config.patch(compile_threads=1):
        yield


@pytest.fixture
def draw(load_model: Any, new_context: Any) -> Draw:
    """Denoise a small picture."""

    def run(ctx: Any, transformer: Any = None, **settings: Any) -> Latent:
        model = load_model("klein-base")
        conditioning = TextEncode(prompt="a red circle").run(new_context(), model.text_encoder)
        node = Denoise(**{"steps": 2, "seed": 3, "width": 48, "height": 32} | settings)
        return node.run(ctx, transformer or model.transformer, conditioning)

    return run


def test_it_is_the_same_picture_but_for_rounding(draw: Draw, new_context: Any, load_model: Any) -> None:
    """Said once for each size; the same bytes each time; and who draws uncompiled next gets the stock picture."""
    told, later = new_context(), new_context()
    stock, first, second = draw(new_context()), draw(told, compile=True), draw(later, compile=True)
    assert [message.partition(":")[0] for message in told.warnings] == ["compiling for this size"]
    assert later.warnings == []
    assert first.to_bytes() == second.to_bytes()
    torch.testing.assert_close(first.samples, stock.samples)
    assert draw(new_context()).to_bytes() == stock.to_bytes()
    with told.hold(load_model("klein-base").transformer) as live:
        assert not [part for part in live.model.modules() if part._compiled_call_impl is not None]


def test_what_torch_cannot_compile_is_said(new_context: Any, load_model: Any) -> None:
    """As a fault that names the setting; the model is its own again."""
    with new_context().hold(load_model("klein-base").transformer) as live:
        with pytest.raises(DeviceError, match="no such operation"), with_compiled_blocks(live.model, wanted=True):
            raise Unsupported("no such operation\nand a page more", "")
        assert live.model.transformer_blocks[0]._compiled_call_impl is None


def test_weights_in_groups_are_refused(load_model: Any) -> None:
    """Their hooks move weights, which is no part of a compiled block."""
    pool = ModelPool(Flux2Loader())
    with (
        pool.hold(load_model("klein").transformer, "cpu", offload=Offload(mode="group")) as live,
        pytest.raises(ModelError, match="group offloading"),
        with_compiled_blocks(live.model, wanted=True),
    ):
        pass
