"""Fewer bits: the type stays, the bytes shrink as they should, and nothing is quantized or left out in silence."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from pydantic import ValidationError

from limner.engine.check import check
from limner.engine.errors import DeviceError, GraphError, ModelError
from limner.engine.pool import ModelPool
from limner.engine.registry import Registry
from limner.engine.testing import FakeContext
from limner.nodes import LoadModel, Quantize
from limner.nodes import quantize as quantize_module
from limner.nodes._flux2.loader import Flux2Loader
from limner.nodes._flux2.sampling import Plan, denoise
from limner.nodes._flux2.text import encode_prompt
from limner.nodes.quantize import EXTRAS, LIBRARIES
from limner.nodes.specs import QuantizationMethod, TextEncoder, Transformer
from limner.nodes.values import Conditioning

METHODS: tuple[QuantizationMethod, ...] = get_args(QuantizationMethod)
ON_CPU = [method for method in METHODS if method != "fp8-dynamic"]
RATIOS = {
    "nf4": 0.2819,
    "fp4": 0.2819,
    "int8": 0.5091,
    "int8-wo": 0.5113,
    "fp8-wo": 0.5091,
    "quanto-int8": 0.5091,
    "quanto-int4": 0.2902,
    "quanto-float8": 0.5091,
    "layerwise-fp8": 0.5293,
}
"""Bytes of the embedded transformer, quantized, against bfloat16. Norms, and scales in float32, are what is above."""

pytestmark = [
    pytest.mark.filterwarnings("ignore:`Quanto:FutureWarning"),  # diffusers deprecates its quanto loader
    pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*"),  # torchao, on import
]


def quantize(spec: Any, method: str, **settings: Any) -> Any:
    if method in EXTRAS:
        pytest.importorskip(LIBRARIES[EXTRAS[method]], reason=f"needs the extra {EXTRAS[method]}")
    return Quantize(method=method, **settings).run(FakeContext(), spec)


def load(spec: Any) -> Any:
    return Flux2Loader().load(spec, "cpu")


def size(spec: Any) -> int:
    return Flux2Loader().size_bytes(load(spec))


@pytest.fixture(scope="module")
def tiny() -> Any:
    return LoadModel().run(FakeContext())


@pytest.mark.parametrize("method", METHODS)
def test_a_spec_stays_what_it_was(tiny: Any, method: str) -> None:
    """Only its description changes; nothing is loaded."""
    for spec in (tiny.text_encoder, tiny.transformer):
        found = Quantize(method=method).run(FakeContext(), spec)
        assert type(found) is type(spec)
        assert (found.source, found.identity, found.quantization.method) == (spec.source, spec.identity, method)
        assert found.base == found != spec


@pytest.mark.parametrize("method", ON_CPU)
def test_the_memory_is_what_it_should_be(tiny: Any, method: str) -> None:
    """Counted to the byte: weights, scales, code books and what was kept."""
    found = size(quantize(tiny.transformer, method)) / (size(tiny.transformer) / 2)
    assert found == pytest.approx(RATIOS[method], rel=0.002)


@pytest.mark.parametrize("method", ON_CPU)
def test_the_memory_is_known_before(tiny: Any, method: str) -> None:
    """From the headers, within 3 %: the pool makes room before it loads."""
    for spec in (quantize(tiny.transformer, method, skip=["proj_out"]), quantize(tiny.transformer, method)):
        assert Flux2Loader().expect(spec, "cpu").waiting["cpu"] == pytest.approx(size(spec), rel=0.03)


def test_double_quantization_saves_more(tiny: Any) -> None:
    """Scales of 4-bit blocks cost half a bit a weight; quantized, an eighth."""
    plain, twice = (size(quantize(tiny.transformer, "nf4", double_quant=flag)) for flag in (False, True))
    assert twice / plain == pytest.approx(0.9316, rel=0.002)


@pytest.mark.parametrize("method", [method for method in ON_CPU if method != "quanto-int4"])  # it compiles a kernel
@pytest.mark.parametrize("component", ["transformer", "text_encoder"])
def test_what_is_computed_is_near(tiny: Any, method: str, component: str) -> None:
    """8 bits are a few percent off, 4 bits more, in the first step of a picture and in the states of a prompt."""
    spec = getattr(tiny, component)
    exact, found = compute(spec), compute(quantize(spec, method))
    error = ((found - exact).norm() / exact.norm()).item()
    assert 0 < error < (0.3 if method.endswith("4") else 0.1)


def compute(spec: Any) -> torch.Tensor:
    """What a model makes of inputs as it was trained on: a prompt's last states, or the first step from noise."""
    live = load(spec)
    if isinstance(spec, TextEncoder):
        return encode_prompt(live, "a red circle on a #203040 background", None, "cpu")
    encoder = load(TextEncoder(spec.source, spec.revision, spec.dtype, spec.identity))
    prompt = encode_prompt(encoder, "a red circle on a #203040 background", None, "cpu")
    plan = Plan(steps=12, guidance=1.0, seeds=range(3), width=128, height=128)
    return next(denoise(live, plan, Conditioning(prompt), None, "cpu")).velocity


@pytest.mark.parametrize("kind", ["dev", "klein"])
@pytest.mark.parametrize("component", ["transformer", "text_encoder"])
@pytest.mark.parametrize("method", ON_CPU)
def test_both_families(load_model: Any, kind: str, component: str, method: str) -> None:
    """Every method loads dev's and klein's layout, and makes it smaller."""
    spec = getattr(load_model(kind), component)
    assert size(quantize(spec, method, skip=())) < size(spec)


def test_the_pool_keeps_one_model_a_quantization(tiny: Any) -> None:
    """The base spec differs, so nothing is ever taken for another precision."""
    pool = ModelPool(Flux2Loader())
    specs = [tiny.transformer, quantize(tiny.transformer, "nf4"), quantize(tiny.transformer, "int8")]
    for spec in [*specs, *specs]:
        with pool.hold(spec, "cpu"):
            pass
    assert len(pool.residents()) == 3
    assert pool.used_bytes("cpu") == sum(size(spec) for spec in specs)


@pytest.mark.parametrize("method", [method for method in ON_CPU if method != "layerwise-fp8"])
def test_what_is_skipped_keeps_its_precision(tiny: Any, method: str) -> None:
    """By full name or by part of it, and nothing else does."""
    model = load(quantize(tiny.transformer, method, skip=["proj_out", "attn.to_q"])).model
    kept = {name for name, layer in model.named_modules() if type(layer) is torch.nn.Linear and plain(layer)}
    assert kept == {"proj_out", "transformer_blocks.0.attn.to_q"}


def plain(layer: torch.nn.Linear) -> bool:
    return type(layer.weight) is torch.nn.Parameter and type(layer.weight.data) is torch.Tensor


def test_quanto_says_what_it_cannot_keep(tiny: Any) -> None:
    """Its loader knows layers by their last name: one block of several cannot be kept."""
    with pytest.raises(ModelError, match=r"single_transformer_blocks\.1\S+ would be kept too"):
        load(quantize(tiny.transformer, "quanto-int8", skip=["single_transformer_blocks.0"]))
    kept = quantize(tiny.text_encoder, "quanto-int8", skip=["up_proj"])
    assert size(quantize(tiny.text_encoder, "quanto-int8")) < size(kept) < size(tiny.text_encoder)


def test_layerwise_keeps_what_is_skipped(tiny: Any) -> None:
    model = load(quantize(tiny.transformer, "layerwise-fp8", skip=["attn.to_q"])).model
    assert model.transformer_blocks[0].attn.to_q.weight.dtype == torch.float32
    assert model.transformer_blocks[0].attn.to_k.weight.dtype == torch.float8_e4m3fn


@pytest.mark.parametrize("method", ["nf4", "layerwise-fp8"])
def test_an_unknown_name_to_skip_is_refused(tiny: Any, method: str) -> None:
    with pytest.raises(ModelError, match=r"has no linear layer proj_oot\n  did you mean proj_out\?"):
        load(quantize(tiny.transformer, method, skip=["proj_oot"]))


def test_skipping_everything_is_refused(tiny: Any) -> None:
    with pytest.raises(ModelError, match="nothing is left to quantize"):
        load(quantize(tiny.text_encoder, "nf4", skip=["layers"]))


def test_computing_precision_is_the_asked_one(tiny: Any) -> None:
    layer = load(quantize(tiny.transformer, "nf4", compute_dtype="bfloat16")).model.proj_out
    assert layer.compute_dtype == torch.bfloat16
    assert load(quantize(tiny.transformer, "nf4")).model.proj_out.compute_dtype == torch.float32


@pytest.mark.parametrize(("method", "double"), [("nf4", False), ("nf4", True), ("fp4", False), ("int8", False)])
def test_saved_and_loaded_again_it_is_the_same(model_folder: Any, tmp_path: Path, method: str, double: bool) -> None:
    """To the bit, after computing too; such a folder needs no Quantize node, and refuses one."""
    folder = Path(shutil.copytree(model_folder("klein"), tmp_path / "model"))
    spec = Transformer(str(folder), dtype="float32")
    live = load(quantize(spec, method, double_quant=double))
    shutil.rmtree(folder / "transformer")
    live.model.save_pretrained(folder / "transformer")
    again = load(spec)
    assert Flux2Loader().size_bytes(again) == Flux2Loader().size_bytes(live)
    before, after = live.model.state_dict(), again.model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    with pytest.raises(ModelError, match="is quantized already"):
        load(quantize(spec, "nf4"))


def test_quantizing_twice_is_refused(tiny: Any) -> None:
    with pytest.raises(ModelError, match="quantized already, to nf4"):
        quantize(quantize(tiny.transformer, "nf4"), "int8")


@pytest.mark.parametrize("method", ["fp8-dynamic"])
def test_what_a_cpu_cannot_do(tiny: Any, method: str) -> None:
    with pytest.raises(DeviceError, match="needs a CUDA device, not cpu\n  use fp8-wo"):
        load(Quantize(method=method).run(FakeContext(), tiny.transformer))


def test_a_missing_library_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """While checking, before anything is loaded."""
    monkeypatch.setattr(quantize_module, "LIBRARIES", dict.fromkeys(LIBRARIES, "nowhere.to.be.found"))
    ((setting, message),) = Quantize(method="int8-wo").problems()
    assert setting == "method"
    assert 'pip install "limner[torchao]"' in message
    assert list(Quantize(method="nf4").problems()) == []


def test_settings_of_another_method_are_faults() -> None:
    found = list(Quantize(method="int8", double_quant=True, compute_dtype="bfloat16").problems())
    assert [setting for setting, _ in found] == ["double_quant", "compute_dtype"]
    with pytest.raises(ValidationError):
        Quantize(skip=[""])


def graph(**wires: str) -> dict[str, Any]:
    return {
        "limner": 1,
        "name": "q",
        "nodes": {
            "model": {"type": "LoadModel"},
            "quantize": {"type": "Quantize", "wires": {"model": "model.transformer"}},
            "again": {"type": "Quantize", "wires": {"model": "model.text_encoder"}},
            "encode": {"type": "TextEncode", "wires": {"text_encoder": wires.get("text_encoder", "again")}},
            "denoise": {
                "type": "Denoise",
                "wires": {"transformer": wires.get("transformer", "quantize"), "conditioning": "encode"},
            },
        },
    }


def test_a_quantized_model_fits_where_its_kind_fits() -> None:
    """Known while checking: what Quantize gives is what was wired to it."""
    registry = Registry.installed()
    assert len(check(graph(), registry).nodes) == 5
    with pytest.raises(GraphError, match="text_encoder: takes TextEncoder, but quantize gives Transformer"):
        check(graph(text_encoder="quantize"), registry)
    bad = graph()
    bad["nodes"]["quantize"]["wires"]["model"] = "model.vae"
    with pytest.raises(GraphError) as caught:
        check(bad, registry)
    assert [fault.where for fault in caught.value.faults] == ["nodes.quantize.wires.model"]
