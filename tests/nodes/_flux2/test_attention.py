"""The setting ``attention``: diffusers' backends by name, checked before they are wanted, and put back after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from diffusers.models.attention_dispatch import AttentionBackendName, _AttentionBackendRegistry

from limner import Session
from limner.engine.device import Device, DeviceTable
from limner.engine.errors import DeviceError, GraphError
from limner.engine.plan import make_plan
from limner.nodes import Denoise, TextEncode
from limner.nodes._flux2 import attention
from limner.nodes._flux2.attending import with_attention
from limner.nodes._flux2.attention import BACKENDS

ON_A_CPU = ("native", "_native_flash", "_native_math", "flex")


def graph(name: str, device: str = "cpu") -> dict[str, Any]:
    return {
        "limner": 1,
        "nodes": {
            "model": {"type": "LoadModel"},
            "encode": {"type": "TextEncode", "wires": {"text_encoder": "model.text_encoder"}, "device": "cpu"},
            "denoise": {
                "type": "Denoise",
                "settings": {"attention": name},
                "wires": {"transformer": "model.transformer", "conditioning": "encode"},
                "device": device,
            },
        },
    }


def fault(name: str, device: str = "cpu") -> str:
    table = DeviceTable([Device("cuda:0"), Device("cpu")])
    with pytest.raises(GraphError) as caught:
        make_plan(Session().check(graph(name, device)), table)
    (found,) = caught.value.faults
    assert found.path == ("nodes", "denoise", "settings", "attention")
    return found.message


def test_the_names_are_those_of_diffusers() -> None:
    """All of them, whatever is installed."""
    assert set(BACKENDS) == {name.value for name in AttentionBackendName}


def test_an_unknown_name_gets_the_nearest() -> None:
    assert fault("_flash3_hub") == "attention: no attention is called '_flash3_hub'; did you mean _flash_3_hub?"


def test_one_that_is_not_here_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """And which are, found without importing torch."""
    monkeypatch.setattr(attention, "find_spec", lambda package: None)
    assert fault("_flash_3_hub", "cuda:0") == (
        "attention: _flash_3_hub needs a Hopper GPU and the package kernels; without it there are "
        "native, flex, _native_math, _native_flash, _native_efficient, _native_cudnn"
    )
    assert "needs cuda and the package flash-attn;" in fault("flash", "cuda:0")


def test_another_machine_may_have_what_is_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is planned for a machine that is described is not held against the packages of this one."""
    monkeypatch.setattr(attention, "find_spec", lambda package: None)
    table = DeviceTable([Device("cuda:0", 80 << 30, is_here=False), Device("cpu", is_here=False)])
    assert make_plan(Session().check(graph("_flash_3_hub", "cuda:0")), table).steps


def test_one_for_other_devices_is_a_fault_of_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its package, but on a node that computes elsewhere."""
    monkeypatch.setattr(attention, "find_spec", lambda package: package == "kernels")
    assert fault("_flash_3_hub") == (
        "attention: _flash_3_hub needs a Hopper GPU and the package kernels; on cpu there are "
        "native, flex, _native_math, _native_flash"
    )
    table = DeviceTable([Device("cuda:0"), Device("cpu")])
    assert make_plan(Session().check(graph("_flash_3_hub", "cuda:0")), table).steps


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile:UserWarning")
@pytest.mark.parametrize("name", ON_A_CPU)
@pytest.mark.parametrize("kind", ["dev", "klein-base"])
def test_it_equals_diffusers_with_the_same_backend(
    load_model: Callable[..., Any], new_context: Callable[..., Any], kind: str, name: str
) -> None:
    """Bit for bit; and afterwards the model attends as before."""
    model, context = load_model(kind), new_context()
    conditioning = TextEncode(prompt="a star").run(context, model.text_encoder)
    plain = Denoise(steps=2).run(context, model.transformer, conditioning).samples
    other = Denoise(steps=2, attention=name).run(context, model.transformer, conditioning).samples
    assert torch.equal(Denoise(steps=2).run(context, model.transformer, conditioning).samples, plain)
    active = _AttentionBackendRegistry.get_active_backend()[0]
    with context.hold(model.transformer) as live:
        live.model.set_attention_backend(name)
        try:
            stock = Denoise(steps=2).run(context, model.transformer, conditioning).samples
        finally:
            live.model.reset_attention_backend()
            _AttentionBackendRegistry.set_active_backend(active)
    assert torch.equal(other, stock)
    if name == "_native_math":
        assert not torch.equal(other, plain), "another attention rounds differently"


def test_no_other_model_is_told(load_model: Callable[..., Any], new_context: Callable[..., Any]) -> None:
    """What diffusers uses for models that name nothing stays as it was, also while the block lasts."""
    active = _AttentionBackendRegistry.get_active_backend()
    with new_context().hold(load_model("dev").transformer) as live:
        with with_attention(live.model, "_native_math", "cpu"):
            assert _AttentionBackendRegistry.get_active_backend() == active
        told = pytest.raises(KeyError)
        with told, with_attention(live.model, "_native_math", "cpu"):
            raise KeyError
    assert {block.attn.processor._attention_backend for block in live.model.transformer_blocks} == {None}


def test_what_only_running_tells_is_said_then(load_model: Callable[..., Any], new_context: Callable[..., Any]) -> None:
    """A wired name may be any; a package may be there and broken."""
    with new_context().hold(load_model("dev").transformer) as live:
        with pytest.raises(DeviceError, match="_flash_3_hub needs a Hopper GPU"):
            with_attention(live.model, "_flash_3_hub", "cpu").__enter__()
        with pytest.raises(DeviceError, match="flash cannot be used: Flash Attention backend 'flash' is not usable"):
            with_attention(live.model, "flash", "cuda:0").__enter__()


def test_it_is_part_of_the_key() -> None:
    from limner.engine.keys import node_keys

    keys = {node_keys(Session().check(graph(name)).nodes)[-1] for name in ("", "native", "_native_math")}
    assert len(keys) == 3
