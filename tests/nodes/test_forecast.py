"""What FLUX.2's nodes need is known from headers and configurations: no torch, no weight, no hub."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from limner.engine.device import Device, DeviceTable
from limner.engine.errors import GraphError, ModelError
from limner.engine.memory_plan import MemoryPlan
from limner.engine.offload import Offload
from limner.engine.placement import placement
from limner.nodes import Quantize
from limner.nodes._flux2 import activations
from limner.nodes._flux2.known import known
from limner.nodes._flux2.weigh import weigh
from limner.nodes.sizes import PictureSizes, as_reference
from limner.nodes.specs import VAE, Quantization, QuantizationMethod, TextEncoder, Transformer
from limner.session import Session

DEV = "black-forest-labs/FLUX.2-dev"


def plan(template: str, memory: dict[str, int], **values: Any) -> MemoryPlan:
    devices = DeviceTable([Device(name, size) for name, size in memory.items()])
    found = Session(devices=devices, budget_bytes=memory).plan(template, values).memory
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("model", "bf16", "fp8", "nf4"),
    [
        ("FLUX.2-dev", 64.45, 32.22, 16.62),
        ("FLUX.2-klein-4B", 7.75, 3.88, 2.00),
        ("FLUX.2-klein-9B", 18.16, 9.08, 4.68),
    ],
)
def test_weights_are_the_published_ones(model: str, bf16: float, fp8: float, nf4: float) -> None:
    """Bytes of the transformer plain, in fp8 and in NF4 with double quantization."""
    spec = Transformer(f"black-forest-labs/{model}")
    small = replace(spec, quantization=Quantization("nf4", double_quant=True))
    eight = replace(spec, quantization=Quantization("fp8-wo"))
    assert round(weigh(spec, "cuda:0").weight_bytes / 1e9, 2) == bf16
    assert weigh(eight, "cuda:0").weight_bytes / 1e9 == pytest.approx(fp8, rel=2e-3)  # published without scales
    assert round(weigh(small, "cuda:0").weight_bytes / 1e9, 2) == nf4


def test_the_text_encoder_counts_the_layers_that_are_read() -> None:
    """31 of dev's 40 layers are 35.8 GB."""
    assert round(weigh(TextEncoder(DEV), "cuda:0").weight_bytes / 1e9, 1) == 35.8


def test_small_weights_are_widened_on_a_processor() -> None:
    """As they are loaded: the VAE in float32 on a CPU, in bfloat16 elsewhere."""
    on_device, on_cpu = (weigh(VAE(DEV), device).weight_bytes for device in ("cuda:0", "cpu"))
    assert on_cpu == pytest.approx(2 * on_device, rel=1e-6)


@pytest.mark.parametrize("method", ["nf4", "int8", "int8-wo", "fp8-wo", "quanto-int4", "quanto-int8", "layerwise-fp8"])
@pytest.mark.parametrize("component", [TextEncoder, Transformer])
def test_embedded_weights_are_as_loaded(method: Any, component: Any) -> None:
    """What is predicted from the headers is what lies in memory, within 5 %, plain and quantized by each method."""
    from limner.nodes._flux2.loader import Flux2Loader

    if list(Quantize(method=method).problems()):
        pytest.skip("the library of this method is not installed")
    for spec in (component("tiny"), component("tiny", quantization=Quantization(method))):
        live = Flux2Loader().load(spec, "cpu")
        assert weigh(spec, "cpu").weight_bytes == pytest.approx(Flux2Loader().size_bytes(live), rel=0.05)
        assert weigh(spec, "cpu").origin == "headers"


def test_plain_weights_are_exact() -> None:
    """Parameters and saved buffers of the embedded model, to the byte, but for buffers that are computed."""
    from limner.nodes._flux2.loader import Flux2Loader

    loader = Flux2Loader()
    for spec in (Transformer("tiny"), VAE("tiny")):
        assert weigh(spec, "cpu").weight_bytes == loader.size_bytes(loader.load(spec, "cpu"))


POLICIES = (
    Offload(mode="none"),
    Offload(mode="model"),
    Offload(mode="group"),
    Offload(mode="group", level="block", blocks_per_group=2),
    Offload(mode="group", stream=True),
    Offload(mode="group", stream=True, low_cpu_mem=True),
    Offload(mode="group", disk="groups"),
)


@pytest.mark.parametrize("policy", POLICIES, ids=str)
@pytest.mark.parametrize("method", [None, *get_args(QuantizationMethod)])
@pytest.mark.parametrize("device", ["cpu", "cuda:0"])
def test_the_pool_expects_what_the_plan_says(device: str, method: Any, policy: Offload) -> None:
    """One estimate, for each method under each policy: a graph that fits by the plan is not refused when it runs."""
    from limner.nodes._flux2.loader import Flux2Loader

    quantization = None if method is None else Quantization(method)
    for spec in (Transformer("tiny", quantization=quantization), TextEncoder("tiny", quantization=quantization)):
        said = placement(weigh(spec, device), policy, device).footprint
        assert Flux2Loader().expect(spec, device, policy) == said


def test_a_layerwise_cast_is_read_whole_first() -> None:
    """Where it waits, which need not be the device; what quantizes is made by the device."""
    plain = weigh(Transformer("tiny"), "cuda:0").weight_bytes
    cast = weigh(Transformer("tiny", quantization=Quantization("layerwise-fp8")), "cuda:0")
    needs = {policy: placement(cast, policy, "cuda:0").footprint for policy in POLICIES[:5]}
    assert [needs[policy].loading for policy in POLICIES[:4]] == [{"cuda:0": plain}, *[{"cpu": plain}] * 3]
    assert needs[POLICIES[4]].loading == {"cpu": 2 * cast.weight_bytes}, "that is more: they are pinned once cast"
    assert needs[POLICIES[1]].peak == {"cpu": plain, "cuda:0": cast.weight_bytes}
    made = weigh(Transformer("tiny", quantization=Quantization("nf4")), "cuda:0")
    assert placement(made, POLICIES[1], "cuda:0").footprint.loading.keys() == {"cuda:0"}


def test_a_layer_is_quantized_beside_those_that_are_done() -> None:
    """On a CPU the largest layer counts, not the files; and a copy of it where it is not stored as it is loaded."""
    component = known(Transformer("tiny"))  # stored in bfloat16, and computed in float32 on a CPU
    largest = max(math.prod(t.shape) for n, t in component.tensors.items() if n.endswith("weight"))
    for method, bytes_a_weight in (("nf4", 10 + 4), ("int8", 10 + 4), ("fp4", 24 + 4)):
        spec = Transformer("tiny", quantization=Quantization(method))  # type: ignore[arg-type]  # one of the methods
        assert weigh(spec, "cpu").making_bytes == largest * bytes_a_weight
    halves = Transformer("tiny", dtype="bfloat16", quantization=Quantization("nf4"))
    assert weigh(halves, "cpu").making_bytes == largest * (10 + 4)  # widened before it is scaled


def test_a_decoder_may_have_channels_of_its_own() -> None:
    """They count when a picture is decoded, and not when one is encoded."""
    plain = {"block_out_channels": [8, 16]}
    wide = plain | {"decoder_block_out_channels": [12, 16]}
    assert activations.decode_bytes(wide, 100, 4) == activations.decode_bytes({"block_out_channels": [12, 16]}, 100, 4)
    assert activations.decode_bytes(wide, 100, 4) > activations.decode_bytes(plain, 100, 4)
    assert activations.encode_bytes(wide, 100, 4) == activations.encode_bytes(plain, 100, 4)


def test_an_unknown_model_says_so() -> None:
    """A hub id that is neither here nor known by its configuration is an error that names the known ones."""
    with pytest.raises(ModelError, match="not on this machine") as error:
        known(Transformer("someone/else"))
    assert error.value.hint is not None
    assert DEV in error.value.hint


def test_published_peaks() -> None:
    """Dev's plans lie where its published peaks do: above 80 GB plain, about 62 GiB one by one, below 20 GB in NF4."""
    plain = plan("text_to_image", {"cuda:0": 180 * 10**9, "cpu": 10**12}, model=DEV)
    turns = plan("text_to_image", {"cuda:0": 70 * 10**9, "cpu": 10**12}, model=DEV)
    small = plan("nf4_20gb", {"cuda:0": 24 * 10**9, "cpu": 10**11}, model=DEV)
    assert plain.peak_bytes["cuda:0"] > 80e9
    assert turns.peak_bytes["cuda:0"] / 2**30 == pytest.approx(62, rel=0.03)
    assert 17.5e9 < small.peak_bytes["cuda:0"] < 20e9


def test_group_offload_on_8_gb() -> None:
    """The 4-bit checkpoint of dev fits 8 GB of a GPU and 64 GB of RAM: ``auto`` takes groups."""
    memory = plan("text_to_image", {"cuda:0": 8 * 10**9, "cpu": 64 * 10**9}, model="diffusers/FLUX.2-dev-bnb-4bit")
    assert memory.fits
    assert [step.offload.mode for step in memory.steps if step.models] == ["group", "group", "none"]


def test_each_reference_adds_tokens(tmp_path: Path) -> None:
    """Every reference of a megapixel adds 4,096 tokens and the same memory, and the plan shows what one more adds."""
    import PIL.Image

    PIL.Image.new("RGB", (1024, 1024)).save(tmp_path / "a.png")
    room = {"cuda:0": 10**12, "cpu": 10**12}
    values = {"model": DEV, "width": 1024, "height": 1024}
    needs = []
    for count in (1, 2, 3):
        memory = plan("edit_with_references", room, images=[str(tmp_path / "a.png")] * count, **values)
        step = next(step for step in memory.steps if step.node == "denoise")
        assert step.note.startswith(f"{512 + 4096 * (1 + count):,} tokens: 512 of text, 4,096 of the picture")
        assert step.note.endswith("a reference of 1 MP would add 4,096 tokens and 1.07 GB")
        assert [(added.name, added.tokens) for added in step.adds] == [
            *((f"image {number}", 4096) for number in range(1, count + 1)),
            ("a reference of 1 MP", 4096),
        ]
        assert all(added.working_bytes == pytest.approx(1.07e9, rel=0.01) for added in step.adds)
        needs.append(step.working_bytes)
    assert needs[2] - needs[1] == pytest.approx(needs[1] - needs[0], rel=1e-6)
    assert needs[1] - needs[0] == pytest.approx(1.07e9, rel=0.01)


def test_references_are_scaled_as_in_diffusers() -> None:
    """A picture above a megapixel counts as what it is scaled to, cut to multiples of 16."""
    assert as_reference((4000, 3000)) == (1168, 880)
    assert as_reference((100, 70)) == (96, 64)
    assert PictureSizes(((96, 64),)).tokens == 24


def test_planning_imports_no_torch() -> None:
    """A whole plan of dev needs neither torch nor the hub."""
    code = (
        "import sys; from limner.commands import app\n"
        "try: app(['plan', 'nf4_20gb', '-s', 'model=black-forest-labs/FLUX.2-dev', '-m', 'cuda:0=24GB'])\n"
        "except SystemExit as end: assert end.code == 0, end.code\n"
        "assert not {'torch', 'diffusers', 'transformers'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "16.6 GB" in done.stdout


def test_what_is_stored_quantized_is_offered_no_disk() -> None:
    """It cannot wait there: a graph that asks for it is at fault, and no remedy does."""
    session = Session(
        devices=DeviceTable([Device("cuda:0", is_here=False), Device("cpu", is_here=False)]),
        budget_bytes={"cuda:0": 8 * 10**9, "cpu": 10**10},
    )
    document = json.loads(session.document("text_to_image", {"model": "diffusers/FLUX.2-dev-bnb-4bit"}).to_json())
    document["nodes"]["denoise"]["offload"] = {"mode": "group", "stream": True, "disk": "groups"}
    with pytest.raises(GraphError) as caught:
        session.plan(document)
    (fault,) = caught.value.faults
    assert fault.path == ("nodes", "denoise", "offload")
    assert fault.message == "offload: quantized weights wait in RAM, not on disk"


def test_references_of_other_sizes_are_told_apart(tmp_path: Path) -> None:
    """Each adds what its own size makes of it; what adds the same is said once."""
    import PIL.Image

    for name, size in (("a", (1024, 1024)), ("b", (1024, 512))):
        PIL.Image.new("RGB", size).save(tmp_path / f"{name}.png")
    images = [str(tmp_path / f"{name}.png") for name in "aab"]
    memory = plan("edit_with_references", {"cuda:0": 10**12, "cpu": 10**12}, images=images, model=DEV)
    step = next(step for step in memory.steps if step.node == "denoise")
    assert [added.tokens for added in step.adds] == [4096, 4096, 2048, 4096]
    assert "image 1 to image 2 add 4,096 tokens and 1.07 GB each; image 3 adds 2,048 tokens and 0.54 GB" in step.note
