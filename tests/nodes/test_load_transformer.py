"""A transformer in one file is the one it was made from, to the bit, or a fault that names what misfits."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from single_files import bfl_transformer, bfl_vae, scaled_fp8, write
from torch import Tensor

from limner.engine.errors import ModelError
from limner.engine.offload import Offload
from limner.engine.testing import FakeContext
from limner.nodes import LoadModel, LoadTextEncoder, LoadTransformer, LoadVAE, Quantize
from limner.nodes._flux2.loader import Flux2Loader
from limner.nodes._flux2.weigh import weigh

KINDS = ("dev", "klein")
Files = Callable[..., tuple[Path, Path]]


def load(spec: Any) -> Any:
    live = Flux2Loader().load(spec, "cpu")
    return getattr(live, "model", live)


def name(file: Path, base: Path, dtype: Any = "float32", **quantization: Any) -> Any:
    spec = LoadTransformer(file=str(file), base=str(base), dtype=dtype).run(FakeContext())
    return Quantize(**quantization).run(FakeContext(), spec) if quantization else spec


def faults(file: Path, base: Path) -> list[str]:
    found = list(LoadTransformer(file=str(file), base=str(base)).problems())
    return [message.replace(str(file), "FILE").replace(str(base), "BASE") for _, message in found]


@pytest.fixture
def files(model_folder: Any, tmp_path: Path) -> Files:
    """A file with a model's transformer, as ``change`` makes it, and a base that has no weights."""

    def make(kind: str, change: Any = None, prefix: str = "") -> tuple[Path, Path]:
        whole = model_folder(kind)
        base = tmp_path / f"base-{kind}"
        if not base.exists():
            shutil.copytree(whole, base)
            shutil.rmtree(base / "text_encoder")
            next((base / "transformer").glob("*.safetensors")).unlink()
        tensors = bfl_transformer(load(LoadModel(source=str(whole)).run(FakeContext()).transformer), prefix)
        return write(tmp_path / "transformer.safetensors", change(tensors) if change else tensors), base

    return make


def same(one: Any, other: Any) -> bool:
    before, after = one.state_dict(), other.state_dict()
    return before.keys() == after.keys() and all(torch.equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_file_is_the_folder_to_the_bit(load_model: Any, files: Files, kind: str, prefix: str, dtype: str) -> None:
    """Under BFL's names and ComfyUI's, in any precision; the base needs no weights, not even a text encoder."""
    file, base = files(kind, prefix=prefix)
    assert faults(file, base) == []
    spec = name(file, base, dtype)
    found = load(spec)
    assert same(found, load(load_model(kind, dtype).transformer))
    assert found.dtype == getattr(torch, dtype)
    assert not found.training
    assert Flux2Loader().expect(spec, "cpu").waiting["cpu"] == Flux2Loader().size_bytes(found)


def test_it_says_what_its_checkpoint_says(load_model: Any, files: Files) -> None:
    """Family, schedule, defaults and preview are those of the base."""
    file, base = files("klein")
    expected = Flux2Loader().load(load_model("klein", "float32").transformer, "cpu")
    live = Flux2Loader().load(name(file, base), "cpu")
    for field in ("channels", "text_width", "scheduler_config", "family", "is_distilled", "defaults"):
        assert getattr(live, field) == getattr(expected, field)
    assert str(name(file, base)) == f"the transformer in {file}"


def test_weights_begin_where_vectors_do(files: Files) -> None:
    """Wherever they begin in the file: kernels round differently elsewhere, and a picture would depend on a header."""
    file, base = files("klein")
    found = load(name(file, base))
    assert {parameter.data_ptr() % 64 for parameter in found.parameters()} == {0}


def test_names_of_diffusers_do_too(load_model: Any, files: Files) -> None:
    file, base = files("klein", lambda _: load(load_model("klein").transformer).state_dict())
    assert same(load(name(file, base)), load(load_model("klein", "float32").transformer))


@pytest.mark.parametrize("suffix", ["scale_weight", "weight_scale"])
@pytest.mark.parametrize("by_row", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_scaled_fp8_is_multiplied_out(load_model: Any, files: Files, suffix: str, by_row: bool, kind: str) -> None:
    """By one number or one a row, as ComfyUI and BFL write it; what is only for multiplying in fp8 is not needed."""

    def change(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        marks = {"scaled_fp8": torch.zeros(2, dtype=torch.float8_e4m3fn)} if suffix == "scale_weight" else {}
        beside = {"img_in.input_scale": torch.ones(1), "img_in.comfy_quant": torch.zeros(4, dtype=torch.uint8)}
        return scaled_fp8(tensors, suffix, by_row) | marks | beside

    file, base = files(kind, change)
    assert faults(file, base) == []
    spec = name(file, base, "auto")
    exact, found = load(load_model(kind).transformer).state_dict(), load(spec).state_dict()
    assert exact.keys() == found.keys()
    for key, tensor in exact.items():
        error = (found[key].float() - tensor).abs().max() / tensor.abs().max()
        assert error < 0.04, key
    weights = scaled_fp8(bfl_transformer(load(load_model(kind).transformer)), suffix, by_row)
    scale, fp8 = weights[f"double_blocks.0.img_attn.qkv.{suffix}"], weights["double_blocks.0.img_attn.qkv.weight"]
    key = fp8.float() * (scale[:, None] if by_row else scale)
    assert torch.equal(found["transformer_blocks.0.attn.to_k.weight"], key.chunk(3)[1])
    assert Flux2Loader().expect(spec, "cpu").waiting["cpu"] == sum(tensor.nbytes for tensor in found.values())


@pytest.mark.parametrize("method", ["nf4", "int8", "layerwise-fp8"])
@pytest.mark.parametrize("is_fp8", [False, True])
def test_a_file_is_quantized_as_the_folder_is(load_model: Any, files: Files, method: Any, is_fp8: bool) -> None:
    """To the bit, whether it is in full precision or in fp8."""
    file, base = files("dev", (lambda tensors: scaled_fp8(tensors, "weight_scale")) if is_fp8 else None)
    found = load(name(file, base, method=method))
    plain = load(name(file, base))
    folder = Path(shutil.copytree(base, base.with_name("whole")))
    plain.save_pretrained(folder / "transformer")
    spec = LoadModel(source=str(folder), dtype="float32").run(FakeContext()).transformer
    assert same(found, load(Quantize(method=method).run(FakeContext(), spec)))


@pytest.mark.parametrize("load_file", [LoadTransformer, LoadTextEncoder, LoadVAE])
def test_the_base_again_means_its_own(load_file: Any) -> None:
    """The spec is that of LoadModel, so that weights are held once; a revision of a file is then a fault."""
    node = load_file(file="tiny", base="tiny")
    assert list(node.problems()) == []
    assert node.run(FakeContext()) in LoadModel(source="tiny").run(FakeContext())
    assert node.sources() == LoadModel(source="tiny").sources()
    assert [name for name, _ in load_file(file="tiny", base="tiny", file_revision="a").problems()] == ["file_revision"]


def other_size(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return tensors | {n.replace("blocks.0", "blocks.1"): t.clone() for n, t in tensors.items() if "single" in n}


def without(tensors: dict[str, Tensor], key: str) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in tensors.items() if name != key}


MARK = torch.zeros(8, dtype=torch.uint8)
SCALED = {"scaled_fp8": torch.zeros(2, dtype=torch.float8_e4m3fn)}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (other_size, r"FILE has 1 double and 3 single blocks, and the base 1 and 1|FILE has 1 double and 2 single"),
        (lambda t: dict(sorted(t.items())[4:]), r"FILE lacks weights: transformer_blocks\.0\.\S+, \S+, \S+ and 3 more"),
        (lambda t: t | {"odd.weight": torch.ones(1)}, r"FILE has unknown weights: odd\.weight"),
        (lambda t: t | {"odd.weight_scale": torch.ones(1)}, r"FILE has unknown weights: odd\.weight_scale"),
        (
            lambda t: t | {"img_in.weight": torch.ones(3, 4)},
            r"FILE misfits the base: x_embedder\.weight \(3x4 for 16x16\)",
        ),
        (
            lambda t: t | {"img_in.weight": torch.ones(16, 16, dtype=torch.uint8)},
            r"FILE is quantized in a way that is not read: x_embedder\.weight \(U8\)",
        ),
        (
            lambda t: scaled_fp8(t, "weight_scale") | {"img_in.weight_scale": torch.ones(16, 2)},
            r"FILE has scales that are not read: img_in\.weight_scale",
        ),
        (
            lambda t: without(scaled_fp8(t, "scale_weight"), "img_in.scale_weight") | SCALED,
            r"FILE is marked as scaled and lacks the scales of img_in\.weight",
        ),
        (
            lambda t: without(scaled_fp8(t, "weight_scale"), "img_in.weight_scale") | {"img_in.comfy_quant": MARK},
            r"FILE is marked as scaled and lacks the scales of img_in\.weight",
        ),
        (
            lambda t: t | {"x_embedder.weight": t["img_in.weight"] + 1},
            r"FILE has weights that another name gives too: (img_in|x_embedder)\.weight",
        ),
        (lambda t: {"lora.weight": torch.ones(2)}, r"FILE has unknown weights: lora\.weight"),
    ],
    ids=[
        "size",
        "missing",
        "unknown",
        "scale",
        "shape",
        "packed",
        "block scales",
        "no scale",
        "no scale of a layer",
        "twice",
        "other",
    ],
)
def test_what_misfits_is_named(files: Files, change: Any, fault: str) -> None:
    """While checking, from the header alone; and again before a weight is read."""
    file, base = files("klein", change)
    assert re.match(fault, faults(file, base)[0]), faults(file, base)
    with pytest.raises(ModelError, match=fault.replace("FILE", re.escape(str(file)))):
        load(name(file, base))


def test_another_family_is_a_fault(files: Files) -> None:
    """Dev has an embedding of guidance, klein none."""
    file, _ = files("dev")
    _, base = files("klein")
    file, _ = files("dev")
    assert faults(file, base) == [
        "FILE has weights that the base has not: time_guidance_embed.guidance_embedder.linear_1.weight, "
        "time_guidance_embed.guidance_embedder.linear_2.weight"
    ]


def test_a_released_model_is_known_before_it_is_downloaded(files: Files) -> None:
    """Its configuration comes with Limner, so a file of another size is a fault with no hub."""
    file, _ = files("klein")
    node = LoadTransformer(file=str(file), base="black-forest-labs/FLUX.2-klein-4B", revision="no/such/branch")
    (_, first), *_ = node.problems()
    assert first.endswith("has 1 double and 1 single blocks, and the base 5 and 20")
    assert list(LoadTransformer(file=str(file), base="someone/unknown").problems()) == []


@pytest.mark.parametrize(
    ("settings", "setting", "fault"),
    [
        ({"file": "gone.safetensors"}, "file", "there is no file gone.safetensors"),
        ({"file": "."}, "file", ". is not a file (give the file itself, which ends in .gguf or .safetensors)"),
        ({"base": "nowhere"}, "base", "there is no model folder nowhere"),
        ({"file_revision": "v1"}, "file_revision", "is of a file on the hub, and the file is here"),
    ],
)
def test_what_is_not_there(files: Files, settings: dict[str, Any], setting: str, fault: str) -> None:
    file, base = files("klein")
    node = LoadTransformer(**{"file": str(file), "base": str(base)} | settings)
    ((found, message),) = node.problems()
    assert found == setting
    assert message.startswith(fault)


def test_a_base_that_lacks_what_is_needed(files: Files) -> None:
    file, base = files("klein")
    shutil.rmtree(base / "scheduler")
    (base / "transformer" / "config.json").unlink()
    assert faults(file, base) == [
        "BASE: the folder scheduler is missing",
        "BASE: transformer/config.json is missing",
    ]


def test_a_pickle_is_not_opened(files: Files) -> None:
    file, base = files("klein")
    renamed = file.rename(file.with_suffix(".ckpt"))
    assert faults(renamed, base) == ["FILE is not a .gguf or .safetensors file (no format is read that runs code)"]


def test_the_identity_is_of_file_and_base(files: Files) -> None:
    """Another file, another base or another content is another model."""
    file, base = files("klein")
    node = LoadTransformer(file=str(file), base=str(base))
    seen = {node.fingerprint(), LoadTransformer(file=str(file), base="tiny").fingerprint()}
    (base / "transformer" / "config.json").write_text("{}")
    seen.add(node.fingerprint())
    safetensors.torch.save_file({"a": torch.zeros(1)}, file)
    seen.add(node.fingerprint())
    assert len(seen) == 4


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_bfl", [False, True])
def test_a_vae_is_the_folder_to_the_bit(load_model: Any, files: Files, tmp_path: Path, kind: str, is_bfl: bool) -> None:
    """Under BFL's names, whose attention is a convolution and whose decoder counts from the other end."""
    _, base = files(kind)
    vae = load(load_model(kind, "float32").vae)
    file = write(tmp_path / "ae.safetensors", bfl_vae(vae) if is_bfl else dict(vae.state_dict()))
    node = LoadVAE(file=str(file), base=str(base), dtype="float32")
    assert list(node.problems()) == []
    found = load(node.run(FakeContext()))
    assert same(found, vae)
    pixels = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(found.encode(pixels).latent_dist.mean, vae.encode(pixels).latent_dist.mean)


def test_a_vae_may_have_a_narrower_decoder(load_model: Any, files: Files, tmp_path: Path) -> None:
    """Its widths are read off the file, for the check, the plan and loading; the encoder is the base's."""
    from diffusers import AutoencoderKLFlux2

    _, base = files("klein")
    vae = load(load_model("klein", "float32").vae)
    small = AutoencoderKLFlux2.from_config(dict(vae.config) | {"decoder_block_out_channels": (2, 2, 2, 2)})
    file = write(tmp_path / "small.safetensors", dict(small.state_dict()))
    node = LoadVAE(file=str(file), base=str(base), dtype="float32")
    assert list(node.problems()) == []
    spec = node.run(FakeContext())
    assert same(load(spec), small)
    assert weigh(spec, "cpu").weight_bytes < weigh(load_model("klein", "float32").vae, "cpu").weight_bytes


def test_a_vae_that_misfits_is_named(load_model: Any, files: Files, tmp_path: Path) -> None:
    _, base = files("klein")
    tensors = bfl_vae(load(load_model("klein").vae))
    del tensors["bn.running_mean"]
    node = LoadVAE(file=str(write(tmp_path / "ae.safetensors", tensors)), base=str(base))
    ((setting, message),) = node.problems()
    assert (setting, message.endswith("lacks weights: bn.running_mean")) == ("file", True)


def test_a_base_of_another_kind(files: Files, tmp_path: Path) -> None:
    """A configuration that is no configuration is a fault, not a crash."""
    file, base = files("klein")
    (base / "transformer" / "config.json").write_text(json.dumps({"num_attention_heads": "many"}))
    (fault,) = faults(file, base)
    assert fault.startswith("the base's transformer/config.json is not usable")


@pytest.mark.parametrize("is_fp8", [False, True])
def test_a_file_may_wait_on_disk(files: Files, tmp_path: Path, is_fp8: bool) -> None:
    """Group by group, under the names of the module, to the same bits."""
    file, base = files("klein", (lambda tensors: scaled_fp8(tensors, "weight_scale", True)) if is_fp8 else None)
    spec = name(file, base)
    waiting = Flux2Loader().load(spec, "cpu", Offload(mode="group", disk=str(tmp_path / "groups")))
    (folder,) = (path for path in (tmp_path / "groups").iterdir() if path.is_dir())
    found = {}
    for path in folder.rglob("*.safetensors"):
        found |= {id(tensor): tensor for tensor in safetensors.torch.load_file(path).values()}
    expected = load(spec)
    assert sorted(t.float().sum().item() for t in found.values() if t.ndim == 2) == sorted(
        t.float().sum().item() for n, t in expected.state_dict().items() if t.ndim == 2
    )
    assert waiting.model.dtype == torch.float32


def test_the_plan_counts_a_file(files: Files) -> None:
    """As it will be loaded, from its header."""
    file, base = files("dev")
    spec = name(file, base)
    assert weigh(spec, "cpu").weight_bytes == Flux2Loader().size_bytes(load(spec))
    assert weigh(spec, "cpu").origin == "headers"
