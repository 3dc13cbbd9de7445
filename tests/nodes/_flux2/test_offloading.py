"""Offload on small random models: the same bits as without, exact accounting, and clear refusals."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.hooks import AlignDevicesHook, add_hook_to_module
from bitsandbytes.nn.modules import Linear4bit
from diffusers.hooks.group_offloading import ModuleGroup
from diffusers.hooks.hooks import HookRegistry
from lora_files import random_pairs, split, write

from limner import Session
from limner.engine.device import Device, DeviceTable
from limner.engine.errors import GraphError, ModelError
from limner.engine.offload import NONE, Offload
from limner.engine.pool import ModelPool
from limner.engine.testing import FakeContext
from limner.nodes import ApplyLoRA, LoadModel
from limner.nodes._flux2.loader import Flux2Loader
from limner.nodes._flux2.offloading import _StateFollows, group_part, place, put_hooks
from limner.nodes._flux2.size import module_bytes, tensors_bytes
from limner.nodes.specs import Flux2Spec, Quantization

POLICIES = {
    "model": Offload(mode="model"),
    "leaf": Offload(mode="group"),
    "block": Offload(mode="group", level="block"),
    "blocks": Offload(mode="group", level="block", blocks_per_group=2),
}
LORA = str(Path(__file__).parents[3] / "tiny" / "lora" / "moon.safetensors")
Draw = Callable[[ModelPool, str, Flux2Spec[Any], Offload], torch.Tensor]


@pytest.fixture
def compute() -> Draw:
    """What a component gives, held under a policy, twice: the second time its weights have been away."""
    from limner.nodes._flux2.decode import decode
    from limner.nodes._flux2.references import encode_reference
    from limner.nodes._flux2.text import encode_prompt

    def once(live: Any, component: str) -> torch.Tensor:
        torch.manual_seed(0)
        if component == "text_encoder":
            return encode_prompt(live, "a red star", 64, "cpu")
        if component == "transformer":
            return predict(live.model)
        image = (torch.arange(64 * 64 * 3) % 251).to(torch.uint8).view(64, 64, 3).numpy()
        return torch.cat([decode(live, torch.randn(1, 16, 4, 4)).flatten(), encode_reference(live, image).flatten()])

    def draw(pool: ModelPool, device: str, spec: Flux2Spec[Any], offload: Offload) -> torch.Tensor:
        with pool.hold(spec, device, offload=offload) as live:
            first = once(live, spec.component)
        with pool.hold(spec, device, offload=offload) as live:
            again = once(live, spec.component)
        assert torch.equal(first, again)
        return first

    return draw


@torch.no_grad()
def predict(model: Any) -> torch.Tensor:
    """One call of a transformer."""
    image_ids, text_ids = torch.zeros(1, 6, 4), torch.zeros(1, 5, 4)
    image_ids[..., 1] = torch.arange(6)
    velocity: torch.Tensor = model(
        hidden_states=torch.randn(1, 6, model.config["in_channels"]).to(model.dtype),
        timestep=torch.tensor([0.5]),
        guidance=torch.tensor([2.0]) if model.config["guidance_embeds"] else None,
        encoder_hidden_states=torch.randn(1, 5, model.config["joint_attention_dim"]).to(model.dtype),
        txt_ids=text_ids,
        img_ids=image_ids,
        return_dict=False,
    )[0]
    return velocity


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("component", ["text_encoder", "transformer", "vae"])
@pytest.mark.parametrize("kind", ["dev", "klein-base"])
def test_every_policy_gives_the_same_bits(
    load_model: Callable[..., Any], compute: Draw, kind: str, component: str, policy: str
) -> None:
    """Of every component of both families; and what waits, and what is held, is counted to the byte."""
    spec = getattr(load_model(kind), component)
    plain = compute(ModelPool(Flux2Loader()), "cpu", spec, NONE)
    pool = ModelPool(Flux2Loader())
    assert torch.equal(compute(pool, "cpu", spec, POLICIES[policy]), plain)
    (resident,) = pool.residents()
    module = getattr(resident.module, "model", resident.module)
    assert resident.footprint.waiting == {"cpu": module_bytes(module)}
    assert pool.used_bytes("cpu") == module_bytes(module)


@pytest.mark.parametrize("method", ["nf4", "fp4", "layerwise-fp8"])
@pytest.mark.parametrize("policy", POLICIES)
def test_quantized_weights_wait_too(load_model: Callable[..., Any], compute: Draw, method: Any, policy: str) -> None:
    """With their quantization state, which is no parameter."""
    spec = replace(load_model("dev").transformer, quantization=Quantization(method))
    plain = compute(ModelPool(Flux2Loader()), "cpu", spec, NONE)
    assert torch.equal(compute(ModelPool(Flux2Loader()), "cpu", spec, POLICIES[policy]), plain)


@pytest.mark.parametrize("method", [None, "nf4"])
@pytest.mark.parametrize("policy", POLICIES)
def test_adapters_go_with_what_waits(load_model: Callable[..., Any], tmp_path: Path, method: Any, policy: str) -> None:
    """A LoRA on an offloaded transformer is the LoRA on a plain one; taken off, the base is what it was."""
    base = load_model("klein").transformer
    if method is not None:
        base = replace(base, quantization=Quantization(method))
    plain, pool = ModelPool(Flux2Loader()), ModelPool(Flux2Loader())
    with plain.hold(load_model("klein").transformer, "cpu") as live:
        file = write(tmp_path / "lora.safetensors", split(random_pairs(live.model)))
    styled = ApplyLoRA(path=str(file), weight=0.7).run(FakeContext(), base)
    for spec in (base, styled, base, styled):
        torch.manual_seed(0)
        with plain.hold(spec, "cpu") as live:
            wanted = predict(live.model)
        torch.manual_seed(0)
        with pool.hold(spec, "cpu", offload=POLICIES[policy]) as live:
            assert torch.equal(predict(live.model), wanted)
    (resident,) = pool.residents()
    assert pool.used_bytes("cpu") == module_bytes(resident.module.model)


@pytest.mark.parametrize(
    ("method", "offload", "said"),
    [
        ("int8", "model", "offload: int8 layers of bitsandbytes keep hold of their weights once they have computed"),
        ("int8", "group", "offload: int8 layers of bitsandbytes keep hold of their weights once they have computed"),
        ("nf4", {"mode": "group", "disk": "x"}, "offload: quantized weights wait in RAM, not on disk"),
        ("nf4", "group", None),
        ("nf4", "none", None),
        ("int8", "none", None),
    ],
)
def test_weights_that_cannot_move_are_a_fault_of_the_plan(method: str, offload: Any, said: str | None) -> None:
    """Found through the wires, before anything loads."""
    quantize = {"type": "Quantize", "settings": {"method": method}, "wires": {"model": "model.transformer"}}
    raw = {
        "limner": 1,
        "nodes": {
            "model": {"type": "LoadModel"},
            "quantize": quantize,
            "lora": {"type": "ApplyLoRA", "settings": {"path": LORA}, "wires": {"transformer": "quantize"}},
            "encode": {"type": "TextEncode", "wires": {"text_encoder": "model.text_encoder"}, "offload": "group"},
            "denoise": {
                "type": "Denoise",
                "wires": {"transformer": "lora", "conditioning": "encode"},
                "offload": offload,
            },
        },
    }
    session = Session(devices=DeviceTable([Device("cuda:0"), Device("cpu")]))
    if said is None:
        assert str(session.plan(raw).steps[-1].offload).startswith(str(offload))
        return
    with pytest.raises(GraphError) as caught:
        session.plan(raw)
    (fault,) = caught.value.faults
    assert fault.message == said
    assert fault.path == ("nodes", "denoise", "offload")
    assert fault.hint


def test_a_quantized_folder_that_cannot_wait_on_disk_is_refused(load_model: Callable[..., Any], tmp_path: Path) -> None:
    """Where only its files tell that it is quantized, loading it does, before it reads weights."""
    source = Path(load_model("klein").transformer.source)
    folder = tmp_path / "model"
    shutil.copytree(source, folder)
    config = folder / "transformer" / "config.json"
    stored = {"quant_method": "bitsandbytes", "load_in_8bit": True}
    config.write_text(json.dumps(json.loads(config.read_text()) | {"quantization_config": stored}))
    spec = LoadModel(source=str(folder)).run(FakeContext()).transformer
    with pytest.raises(ModelError, match="int8 layers of bitsandbytes keep hold"):
        Flux2Loader().load(spec, "cpu", Offload(mode="group"))


@pytest.mark.parametrize("policy", POLICIES)
def test_hooks_that_loading_leaves_are_not_in_the_way(load_model: Callable[..., Any], policy: str) -> None:
    """A bitsandbytes model is pinned by accelerate to where it was loaded to; an offloaded one must leave."""
    model = Flux2Loader().load(load_model("dev").transformer, "cpu").model
    torch.manual_seed(0)
    wanted = predict(model)
    add_hook_to_module(model, AlignDevicesHook("cpu"))
    put_hooks(model, "cpu", POLICIES[policy])
    torch.manual_seed(0)
    assert torch.equal(predict(model), wanted)
    if policy == "model":
        place(model, "cpu")


class Chain(torch.nn.Module):
    """Two layers and a weight of its own, for a hidden state of four numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)
        self.scale = torch.nn.Parameter(torch.ones(4))

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """The second raises for a hidden state that is not finite, as a device does that has no room."""
        hidden = self.first(hidden * self.scale)
        if not hidden.isfinite().all():
            hidden = hidden[..., :3]
        return self.second(hidden)


@pytest.mark.parametrize("level", ["leaf", "block"])
def test_groups_leave_the_device_after_an_error(level: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those that were there when it was raised, whose own hooks hear only of calls that return."""
    there: set[Any] = set()
    onload, offload = ModuleGroup.onload_, ModuleGroup.offload_
    monkeypatch.setattr(ModuleGroup, "onload_", lambda group: (there.add(group), onload(group)))
    monkeypatch.setattr(ModuleGroup, "offload_", lambda group: (offload(group), there.discard(group)))
    module, at_work = Chain(), []
    group_part(module, "cpu", Offload(mode="group", level=level))
    module.first.register_forward_hook(lambda *_: at_work.append(len(there)))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        module(torch.full((1, 4), torch.nan))
    assert at_work[0] > 0
    assert not there
    assert module(torch.ones(1, 4)).isfinite().all()
    assert not there


@pytest.mark.parametrize("is_nested", [True, False])
def test_the_state_of_4_bit_weights_waits_in_ram(is_nested: bool) -> None:
    """It is on the device while its layer computes, and after that it is what waited, not a copy."""
    layer: Any = Linear4bit(64, 64, bias=False, compress_statistics=is_nested, quant_type="nf4")
    layer = layer.to("cpu")
    state, seen = layer.weight.quant_state, []
    scales = state.absmax
    layer.forward = lambda hidden: seen.append((state.absmax.device.type, state.code.device.type)) or hidden
    HookRegistry.check_if_exists_or_initialize(layer).register_hook(_StateFollows("meta"), "state")
    size_bytes = tensors_bytes([layer.weight])
    for _ in range(2):
        layer(torch.ones(1, 64))
        assert state.absmax is scales
        assert state.nested is is_nested
    assert seen == [("meta", "meta")] * 2
    assert tensors_bytes([layer.weight]) == size_bytes
