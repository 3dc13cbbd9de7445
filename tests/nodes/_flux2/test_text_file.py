"""Text encoders in single files, as users of ComfyUI have them: read as they are, or refused in words."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from limner.engine.errors import ModelError
from limner.engine.offload import Offload
from limner.engine.testing import FakeContext
from limner.nodes import LoadModel, LoadTextEncoder, Quantize, UpsamplePrompt
from limner.nodes._flux2 import text_model
from limner.nodes._flux2.base import single_file_faults, single_file_tensors
from limner.nodes._flux2.catalog import CONFIGS
from limner.nodes._flux2.loader import Flux2Loader
from limner.nodes._flux2.read_stored import read_stored
from limner.nodes._flux2.save import check
from limner.nodes._flux2.shapes import text_encoder_shapes
from limner.nodes._flux2.text import encode_prompt
from limner.nodes.values import TextEncoder

from single_files import scaled_fp8, write, write_header  # isort: skip  # found in the folder of these tests

READ = [1, 2]
"""Of three layers: so the last one may be missing, and the norm behind it."""
OTHERS = ("vision", "multi_modal", "lm_head")
MARK = torch.frombuffer(bytearray(b'{"format": "float8_e4m3fn"}'), dtype=torch.uint8)
Weights = dict[str, Tensor]


@pytest.fixture
def base(model_folder: Any, tmp_path: Path) -> Callable[[str], Path]:
    """A model of a kind whose states of the first two layers are read."""

    def copy(kind: str) -> Path:
        folder = tmp_path / kind
        if not folder.exists():
            shutil.copytree(model_folder(kind), folder)
            document = json.loads((folder / "limner.json").read_text())
            document["text"]["out_layers"] = READ
            (folder / "limner.json").write_text(json.dumps(document))
        return folder

    return copy


def weights_of(folder: Path) -> Weights:
    """The language model's weights under the names that ComfyUI's files have them by, with a tokenizer in bytes."""
    (path,) = (folder / "text_encoder").glob("*.safetensors")
    tensors = safetensors.torch.load_file(path)
    found = {
        f"model.{name.replace('language_model.', '').replace('model.', '')}": tensor
        for name, tensor in tensors.items()
        if not any(part in name for part in OTHERS)
    }
    return found | {"tekken_model": torch.arange(7, dtype=torch.uint8)}


def cut(weights: Weights) -> Weights:
    """Without the layers behind the last one that is read. ComfyUI's file of dev keeps the norm, and never uses it."""
    return {name: tensor for name, tensor in weights.items() if "layers.2." not in name}


def in_fp8(weights: Weights, suffix: str) -> Weights:
    """Linear layers in fp8 with a scale each, the rest as it is."""
    layers = {name: tensor for name, tensor in weights.items() if "layers." in name}
    return weights | scaled_fp8(layers, suffix)


def spec_of(folder: Path, file: Path | None = None, dtype: Any = "float32") -> TextEncoder:
    if file is None:
        return LoadModel(source=str(folder), dtype=dtype).run(FakeContext()).text_encoder
    return LoadTextEncoder(file=str(file), base=str(folder), dtype=dtype).run(FakeContext())


def states(spec: TextEncoder, offload: Offload | None = None) -> tuple[Tensor, ...]:
    live: Any = Flux2Loader().load(spec, "cpu", *([offload] if offload else []))
    with torch.no_grad():
        found = live.model(input_ids=torch.arange(5, 45).reshape(1, -1), output_hidden_states=True).hidden_states
    return tuple(found[layer] for layer in READ)


@pytest.mark.parametrize("kind", ["dev", "klein"])
@pytest.mark.parametrize("change", [dict, cut, lambda w: {n: t for n, t in cut(w).items() if n != "model.norm.weight"}])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_file_in_full_precision_is_the_model_to_the_bit(
    base: Any, tmp_path: Path, kind: str, change: Any, dtype: str
) -> None:
    """Whole, cut behind the last layer that is read, or without the norm, too: every state, and the embeddings."""
    folder = base(kind)
    stored = {name: t.to(torch.bfloat16) if t.is_floating_point() else t for name, t in weights_of(folder).items()}
    (path,) = (folder / "text_encoder").glob("*.safetensors")
    rounded = {n: t.to(torch.bfloat16) for n, t in safetensors.torch.load_file(path).items()}
    safetensors.torch.save_file(rounded, path, {"format": "pt"})
    spec = spec_of(folder, write(tmp_path / "te.safetensors", change(stored)), dtype)
    own = spec_of(folder, dtype=dtype)
    for found, expected in zip(states(spec), states(own), strict=True):
        assert torch.equal(found, expected)
    loader: Any = Flux2Loader()
    one, other = (encode_prompt(loader.load(s, "cpu"), "a red circle", None, "cpu") for s in (spec, own))
    assert torch.equal(one, other)


@pytest.mark.parametrize("kind", ["dev", "klein"])
@pytest.mark.parametrize("suffix", ["scale_weight", "weight_scale"])
@pytest.mark.parametrize("change", [dict, cut])
def test_fp8_is_multiplied_out(base: Any, tmp_path: Path, kind: str, suffix: str, change: Any) -> None:
    """With either name of scales and the marks beside them: the model with weights that were multiplied before."""
    folder = base(kind)
    stored = change(in_fp8(weights_of(folder), suffix))
    plain = {
        name: t.float() * stored[f"{name.removesuffix('weight')}{suffix}"] if t.dtype == torch.float8_e4m3fn else t
        for name, t in stored.items()
        if not name.endswith(suffix)
    }
    layer = "model.layers.0.mlp.up_proj"
    marks = {"scaled_fp8": torch.zeros(2, dtype=torch.float8_e4m3fn)} if suffix == "scale_weight" else {}
    marks |= {f"{layer}.comfy_quant": MARK, f"{layer}.input_scale": torch.ones(())} if not marks else {}
    fp8 = spec_of(folder, write(tmp_path / "fp8.safetensors", stored | marks))
    expected = spec_of(folder, write(tmp_path / "plain.safetensors", plain))
    for one, other in zip(states(fp8), states(expected), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("change", [dict, cut])
def test_it_is_quantized_and_waits_on_disk_like_any_other(base: Any, tmp_path: Path, change: Any) -> None:
    """NF4 of an fp8 file is NF4 of what it stands for; groups on disk give the same bits."""
    folder = base("dev")
    stored = change(in_fp8(weights_of(folder), "weight_scale"))
    spec = spec_of(folder, write(tmp_path / "fp8.safetensors", stored))
    plain = {
        name: t.float() * stored[f"{name.removesuffix('weight')}weight_scale"] if t.dtype == torch.float8_e4m3fn else t
        for name, t in stored.items()
        if not name.endswith("weight_scale")
    }
    expected = spec_of(folder, write(tmp_path / "plain.safetensors", plain))
    disk = Offload(mode="group", disk=str(tmp_path / "disk"))
    for one, other in zip(states(spec, disk), states(expected), strict=True):
        assert torch.equal(one, other)
    nf4 = Quantize(method="nf4")
    for one, other in zip(states(nf4.run(FakeContext(), spec)), states(nf4.run(FakeContext(), expected)), strict=True):
        assert torch.equal(one, other)


def test_a_plan_counts_what_is_loaded(base: Any, tmp_path: Path) -> None:
    """By the header alone: fp8 as the precision that it is loaded in, and no layer that is not there."""
    folder = base("klein")
    stored = cut(in_fp8(weights_of(folder), "weight_scale"))
    spec = spec_of(folder, write(tmp_path / "fp8.safetensors", stored), "bfloat16")
    loader: Any = Flux2Loader()
    live = loader.load(spec, "cpu")
    assert loader.expect(spec, "cpu").waiting["cpu"] == sum(t.nbytes for t in live.model.state_dict().values())


def test_one_tensor_is_unpacked_at_a_time(base: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Transformers asks from several threads; what is made meanwhile is as large as one layer in float32."""
    folder = base("klein")
    spec = spec_of(folder, write(tmp_path / "fp8.safetensors", in_fp8(weights_of(folder), "weight_scale")))
    at_once: list[int] = [0]
    most: list[int] = []

    def slow(file: Any, piece: Any) -> Tensor:
        at_once[0] += 1
        most.append(at_once[0])
        time.sleep(0.001)
        at_once[0] -= 1
        return read_stored(file, piece)

    monkeypatch.setattr(text_model, "read_stored", slow)
    states(spec)
    assert set(most) == {1}


def without(weights: Weights, name: str) -> Weights:
    return {key: tensor for key, tensor in weights.items() if key != name}


FIRST = "model.layers.0.mlp.up_proj"
FAULTS: dict[str, tuple[Callable[[Weights], Weights], str]] = {
    "one layer too few": (
        lambda w: {n: t for n, t in cut(w).items() if "layers.1." not in n},
        r"lacks weights: layers\.1",
    ),
    "a weight": (lambda w: without(w, f"{FIRST}.weight"), r"lacks weights: layers\.0\.mlp\.up_proj"),
    "a scale": (
        lambda w: without(in_fp8(w, "weight_scale"), f"{FIRST}.weight_scale"),
        r"lacks the scales of model\.layers\.0\.mlp\.up_proj\.weight",
    ),
    "scales without weights": (
        lambda w: w | {"model.odd.weight_scale": torch.ones(())},
        r"unknown weights: model\.odd",
    ),
    "4 bits": (
        lambda w: (
            w | {f"{FIRST}.weight": torch.zeros(4, 4, dtype=torch.uint8), f"{FIRST}.weight_scale_2": torch.ones(())}
        ),
        r"quantized in a way that is not read: .*U8.*; take it in bfloat16 or fp8",
    ),
    "scales of blocks": (
        lambda w: in_fp8(w, "weight_scale") | {f"{FIRST}.weight_scale": torch.ones(2, 3)},
        "scales that are not read",
    ),
    "something else": (lambda w: {"conv.weight": torch.zeros(2, 2)}, r"unknown weights: conv\.weight"),
    "another size": (
        lambda w: w | {"model.embed_tokens.weight": torch.zeros(3, 5)},
        r"misfits the base: embed_tokens\.weight \(3x5 for",
    ),
}


@pytest.mark.parametrize(("change", "said"), FAULTS.values(), ids=FAULTS)
def test_what_is_wrong_is_said_before_anything_is_loaded(base: Any, tmp_path: Path, change: Any, said: str) -> None:
    """With the file, the tensor and, where there is one, a way out; and a load says the same."""
    folder = base("klein")
    file = write(tmp_path / "te.safetensors", change(weights_of(folder)))
    found = [message for _, message in LoadTextEncoder(file=str(file), base=str(folder)).problems()]
    assert any(message.startswith(str(file)) and re.search(said, message) for message in found), found
    with pytest.raises(ModelError):
        Flux2Loader().load(spec_of(folder, file), "cpu")


def test_a_scale_that_only_the_header_promises_is_missed(base: Any, tmp_path: Path) -> None:
    """ComfyUI's newest files say in their metadata which layers are quantized."""
    folder = base("klein")
    stored = {n: t for n, t in in_fp8(weights_of(folder), "weight_scale").items() if not n.endswith("weight_scale")}
    file = tmp_path / "te.safetensors"
    said = json.dumps({"format_version": "1.0", "layers": {FIRST: {"format": "float8_e4m3fn"}}})
    for metadata, count in (({}, 0), ({"_quantization_metadata": said}, 1)):
        safetensors.torch.save_file(stored, file, metadata)
        found = [text for _, text in single_file_faults("text_encoder", str(file), None, str(folder), None)]
        assert len(found) == count


def test_a_file_that_was_not_downloaded_to_its_end_is_a_fault(base: Any, tmp_path: Path) -> None:
    """Its header is whole, so this is known from its size."""
    folder = base("klein")
    file = write(tmp_path / "te.safetensors", weights_of(folder))
    file.write_bytes(file.read_bytes()[:-100])
    ((_, message),) = single_file_faults("text_encoder", str(file), None, str(folder), None)
    assert "is cut off" in message
    assert "download the file again" in message


def test_a_model_without_its_norm_is_not_saved(base: Any, tmp_path: Path) -> None:
    """A folder in diffusers layout has one, and would be read as another model."""
    folder = base("dev")
    file = write(tmp_path / "te.safetensors", cut(weights_of(folder)))
    with pytest.raises(ModelError, match="ends behind its last layer"):
        check([spec_of(folder, file)])
    check([spec_of(folder)])


def test_it_reads_and_does_not_write(base: Any, tmp_path: Path) -> None:
    """What is not there is said, and not taken from the base, which would be a download."""
    folder = base("dev")
    spec = spec_of(folder, write(tmp_path / "te.safetensors", cut(weights_of(folder))))
    with pytest.raises(ModelError, match="a single file only reads"):
        UpsamplePrompt(prompt="a cat").run(FakeContext(), spec)


def test_the_node_says_what_is_wrong_and_what_it_read(base: Any, tmp_path: Path) -> None:
    """Faults at their settings, another key where file or base are others, and both in a picture's story."""
    folder = base("klein")
    file = write(tmp_path / "te.safetensors", weights_of(folder))
    node = LoadTextEncoder(file=str(file), base=str(folder))
    assert list(node.problems()) == []
    assert node.sources().keys() == {str(file), str(folder)}
    assert node.forecast("cpu", {}).outputs == (node.run(FakeContext()),)
    before = node.fingerprint()
    write(file, weights_of(folder) | {"model.norm.weight": torch.zeros(16)})
    assert node.fingerprint() != before
    assert [name for name, _ in LoadTextEncoder(file="/nowhere.safetensors", base="/none").problems()] == [
        "base",
        "file",
    ]


COMFY_DEV_LAYERS, COMFY_QWEN_LAYERS = 30, 36


@pytest.mark.parametrize(
    ("model", "layers", "has_norm"),
    [("FLUX.2-dev", COMFY_DEV_LAYERS, True), ("FLUX.2-klein-4B", COMFY_QWEN_LAYERS, True), ("FLUX.2-dev", 40, False)],
)
def test_the_real_files_are_read_by_their_headers(tmp_path: Path, model: str, layers: int, has_norm: bool) -> None:
    """ComfyUI's of dev has 30 layers of 40, and a norm that nobody uses; those of klein are whole."""
    config = json.loads((CONFIGS / model / "text_encoder" / "config.json").read_text())
    shapes = {
        f"model.{name.removeprefix('model.').removeprefix('language_model.')}": shape
        for name, shape in text_encoder_shapes(config).items()
        if not any(part in name for part in OTHERS)
    }
    kept = {
        name: shape
        for name, shape in shapes.items()
        if ("layers." not in name or int(name.split(".")[2]) < layers) and (has_norm or "norm" not in name[:11])
    }
    file = write_header(tmp_path / "te.safetensors", kept | {"tekken_model": (19_399_895,)})
    faults = list(single_file_faults("text_encoder", str(file), None, f"black-forest-labs/{model}", None))
    if not has_norm:
        assert any("norm.weight" in text for _, text in faults)
        return
    assert faults == []
    tensors = single_file_tensors("text_encoder", file, CONFIGS / model / "text_encoder")
    assert ("norm.weight" in tensors) == (layers != COMFY_DEV_LAYERS)
    assert {name.split(".")[1] for name in tensors if name.startswith("layers.")} == {
        str(number) for number in range(30 if model == "FLUX.2-dev" else 28)
    }
