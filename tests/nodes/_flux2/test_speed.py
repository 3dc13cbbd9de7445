"""What faster ways need, told before anything loads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from diffusers.hooks.hooks import StateManager

from limner.engine.device import Device
from limner.engine.errors import ModelError
from limner.engine.testing import FakeContext
from limner.nodes import Denoise
from limner.nodes._flux2 import needs
from limner.nodes._flux2.fast import made_fast
from limner.nodes._flux2.loader import Flux2Loader
from limner.nodes._flux2.sampling import Plan, denoise
from limner.nodes._flux2.speed import Speed, compiler_faults
from limner.nodes.sizes import PictureSizes, PromptSize
from limner.nodes.specs import Transformer
from limner.nodes.values import Conditioning, ReferenceLatents

SIDE, STEPS, TOKENS, BATCH = 64, 6, 8, 2
GRID = SIDE // 16
SPEEDS = [
    Speed("magcache", (1.0,) * STEPS),
    Speed("taylorseer"),
    Speed("pab"),
    Speed(reference_cache=True),
]


def working_bytes(spec: Transformer, speed: Speed) -> int:
    """What the plan says of a guided drawing with one reference."""
    sizes = PictureSizes(((SIDE, SIDE),))
    drawing = needs.Drawing(STEPS, 2.0, BATCH, SIDE, SIDE, PromptSize(TOKENS), sizes, speed=speed)
    return needs.denoise(spec, drawing, "cpu").working_bytes


def kept_bytes(live: Any, speed: Speed) -> int:
    """What such a drawing keeps from its first steps for the others, in memory."""
    torch.manual_seed(0)
    plan = Plan(STEPS, 2.0, range(BATCH), SIDE, SIDE, speed.reference_cache)
    prompt, negative = torch.randn(2, 1, TOKENS, live.text_width)
    references = ReferenceLatents((torch.randn(1, live.channels, GRID, GRID),))
    with made_fast(live, speed, "", STEPS, "cpu"):
        steps = denoise(live, plan, Conditioning(prompt, negative), references, "cpu")
        for _ in range(STEPS - 1):  # at its end, MagCache forgets
            next(steps)
        cache = steps.gi_frame.f_locals["flow"].cache  # type: ignore[attr-defined]  # it is a generator
        states = [*hook_states(live.model), *([] if cache is None else layer_caches(cache))]
        return sum({id(one): one.nbytes for state in states for one in tensors(vars(state))}.values())


def hook_states(model: Any) -> Iterator[Any]:
    """What hooks know, of every call of a step."""
    for part in model.modules():
        for hook in getattr(getattr(part, "_diffusers_hook", None), "hooks", {}).values():
            for manager in vars(hook).values():
                if isinstance(manager, StateManager):
                    yield from manager._state_cache.values()


def layer_caches(cache: Any) -> Iterator[Any]:
    """Of every layer and prompt."""
    for kept in cache._kept.values():
        yield from (*kept.double_block_caches, *kept.single_block_caches)


def tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (dict, list, tuple)):
        for one in value.values() if isinstance(value, dict) else value:
            yield from tensors(one)


@pytest.mark.parametrize("speed", SPEEDS, ids=lambda speed: "references" if speed.reference_cache else speed.step_cache)
def test_the_plan_counts_what_is_kept(speed: Speed) -> None:
    """All that the embedded model keeps from step to step is in the forecast, and little more."""
    spec = Transformer("tiny")
    added = working_bytes(spec, speed) - working_bytes(spec, Speed())
    kept = kept_bytes(Flux2Loader().load(spec, "cpu"), speed)
    assert 0 < kept <= added
    if not speed.reference_cache:  # which also counts what only the first step has
        assert added <= 2 * kept


def test_more_references_need_more() -> None:
    """What is said of one more counts what is kept of it."""
    spec, sizes = Transformer("black-forest-labs/FLUX.2-klein-9B"), PictureSizes(((1024, 1024),))
    added = []
    for speed in (Speed(), Speed(reference_cache=True)):
        drawing = needs.Drawing(4, None, 1, 1024, 1024, PromptSize(512), sizes, speed=speed)
        added.append(needs.denoise(spec, drawing, "cuda:0").adds[-1].working_bytes)
    plain, cached = added
    assert cached - plain > 2 * 4096 * 4096 * 32 * 2  # keys and values of 32 layers in bfloat16


def test_what_a_model_cannot_do_is_known_before_it_is_loaded() -> None:
    """Dev has no reference cache; MagCache needs ratios, the setting's or the model's own."""
    dev, klein = (Transformer(f"black-forest-labs/FLUX.2-{name}") for name in ("dev", "klein-4B"))
    with pytest.raises(ModelError, match="FLUX"):
        working_bytes(dev, Speed(reference_cache=True))
    with pytest.raises(ModelError, match="ratios"):
        working_bytes(klein, Speed("magcache"))
    assert working_bytes(klein, Speed("magcache", (1.0,))) > working_bytes(klein, Speed())


def test_a_run_is_refused_before_anything_loads() -> None:
    """What is known of a model is looked at before it is held: here there is none to hold."""
    conditioning = Conditioning(torch.zeros(1, 1, 1))
    with pytest.raises(ModelError, match="ratios"):
        Denoise(step_cache="magcache").run(
            FakeContext(), Transformer("black-forest-labs/FLUX.2-klein-4B"), conditioning
        )


def test_without_a_compiler_it_is_a_fault_of_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Told where the graph will run, and not of machines that are only planned for."""
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    node = Denoise(compile=True)
    (name, message), *_ = node.device_problems(Device("cpu", 1, is_here=True))
    assert name == "compile"
    assert "g++" in message
    assert list(node.device_problems(Device("cpu", 1, is_here=False))) == []
    (tmp_path / "my-compiler").touch(0o755)
    monkeypatch.setenv("CXX", "my-compiler")
    assert list(compiler_faults("cpu")) == []
