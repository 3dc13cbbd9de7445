"""Of a text encoder, only the layers that are listened to exist: on disk, in bytes, and in memory."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from transformers import AutoModelForCausalLM, Mistral3ForConditionalGeneration, MistralConfig, Qwen3Config

from limner.engine.errors import ModelError
from limner.engine.testing import FakeContext
from limner.nodes import LoadModel, Quantize
from limner.nodes._flux2 import text_layers
from limner.nodes._flux2.loader import Flux2Loader
from limner.nodes._flux2.text import encode_prompt
from limner.nodes._flux2.text_layers import layers_to_keep, needed_files, text_tensors


def folder_that_reads(folder: Path, model: Path, layers: list[int]) -> Path:
    shutil.copytree(model, folder)
    document = json.loads((folder / "limner.json").read_text())
    document["text"]["out_layers"] = layers
    (folder / "limner.json").write_text(json.dumps(document))
    return folder


def load(folder: Path, **quantization: Any) -> Any:
    spec = LoadModel(source=str(folder), dtype="float32").run(FakeContext()).text_encoder
    if quantization:
        spec = Quantize(**quantization).run(FakeContext(), spec)
    return Flux2Loader().load(spec, "cpu"), Flux2Loader().expect(spec, "cpu").waiting["cpu"]


def whole(folder: Path, kind: str) -> Any:
    """The text encoder as the stock pipeline has it."""
    cls: Any = Mistral3ForConditionalGeneration if kind == "dev" else AutoModelForCausalLM
    return cls.from_pretrained(folder / "text_encoder", dtype=torch.float32)


@pytest.mark.parametrize("kind", ["dev", "klein"])
@pytest.mark.parametrize(("read", "kept"), [([0], 1), ([0, 1], 2), ([1, 2], 3), ([3], 3)])
def test_what_is_read_is_the_same_to_the_bit(
    model_folder: Any, tmp_path: Path, kind: str, read: list[int], kept: int
) -> None:
    """The states of every layer are those of the whole model, and so is the last, which passes the norm."""
    folder = folder_that_reads(tmp_path / "model", model_folder(kind), read)
    live, stored = load(folder)
    assert len(live.model.layers) == kept
    assert stored == sum(tensor.nbytes for tensor in live.model.state_dict().values())
    ids = torch.arange(5, 45).reshape(1, -1)
    with torch.no_grad():
        expected = whole(folder, kind)(input_ids=ids, output_hidden_states=True).hidden_states
        found = live.model(input_ids=ids, output_hidden_states=True).hidden_states
    for layer in read:
        assert torch.equal(found[layer], expected[layer])


@pytest.mark.parametrize("kind", ["dev", "klein"])
def test_one_layer_fewer_would_be_wrong(model_folder: Any, tmp_path: Path, kind: str) -> None:
    """Why one more is kept than is read: behind the last one comes a norm."""
    folder = folder_that_reads(tmp_path / "model", model_folder(kind), [2])
    live, _ = load(folder)
    ids = torch.arange(5, 45).reshape(1, -1)
    with torch.no_grad():
        right = live.model(input_ids=ids, output_hidden_states=True).hidden_states[2]
        del live.model.layers[2]
        wrong = live.model(input_ids=ids, output_hidden_states=True).hidden_states[2]
    assert not torch.equal(right, wrong)


def sharded(folder: Path) -> Path:
    """The same weights, a layer a file, with an index."""
    (path,) = (folder / "text_encoder").glob("*.safetensors")
    tensors = safetensors.torch.load_file(path)
    path.unlink()
    files: dict[str, dict[str, Any]] = {}
    for key, tensor in tensors.items():
        part = key.split("layers.")[1][0] if "layers." in key and "vision" not in key else "rest"
        files.setdefault("head" if "lm_head" in key or "vision" in key else part, {})[key] = tensor
    shards = {}
    for part, content in files.items():
        safetensors.torch.save_file(content, path.with_name(f"{part}.safetensors"), {"format": "pt"})
        shards |= dict.fromkeys(content, f"{part}.safetensors")
    (path.parent / text_layers.INDEX).write_text(json.dumps({"weight_map": shards}))
    return folder


@pytest.mark.parametrize("kind", ["dev", "klein"])
def test_files_of_other_layers_need_not_be_there(model_folder: Any, tmp_path: Path, kind: str) -> None:
    """The index tells which are needed; those are all that is downloaded and opened."""
    folder = folder_that_reads(tmp_path / "model", model_folder(kind), [0])
    expected = encode_prompt(load(folder)[0], "a red circle", None, "cpu")
    sharded(folder)
    assert needed_files(folder) == ["0.safetensors", "rest.safetensors"]
    for path in (folder / "text_encoder").glob("*.safetensors"):
        if path.stem not in ("0", "rest"):
            path.unlink()
    assert torch.equal(encode_prompt(load(folder)[0], "a red circle", None, "cpu"), expected)


def test_an_index_points_at_nothing_outside(model_folder: Any, tmp_path: Path) -> None:
    folder = sharded(folder_that_reads(tmp_path / "model", model_folder("klein"), [0]))
    index = folder / "text_encoder" / text_layers.INDEX
    index.write_text(json.dumps({"weight_map": {"model.norm.weight": "../secret.safetensors"}}))
    with pytest.raises(ModelError, match="names no files"):
        needed_files(folder)


def test_a_cut_file_is_not_taken_for_a_whole_one(model_folder: Any, tmp_path: Path) -> None:
    """Without the layer behind it, a layer's states would pass the norm, and be silently wrong."""
    folder = folder_that_reads(tmp_path / "model", model_folder("klein"), [1])
    (path,) = (folder / "text_encoder").glob("*.safetensors")
    tensors = safetensors.torch.load_file(path)
    safetensors.torch.save_file({k: t for k, t in tensors.items() if "layers.1" not in k}, path, {"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks weights: layers\.1"):
        load(folder)


@pytest.mark.parametrize("kind", ["dev", "klein"])
@pytest.mark.parametrize("method", ["nf4", "int8"])
def test_a_folder_that_is_quantized_already(model_folder: Any, tmp_path: Path, kind: str, method: Any) -> None:
    """Quantized as a whole and saved by transformers, head and all, it reads as if it were quantized here."""
    from limner.nodes._flux2.bitsandbytes_cpu import CPU_MAP

    folder = folder_that_reads(tmp_path / "model", model_folder(kind), [0, 1])
    expected, size = load(folder, method=method)[0], Flux2Loader().size_bytes
    from transformers import BitsAndBytesConfig

    bits: Any = {"load_in_8bit": True} if method == "int8" else {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
    config: Any = BitsAndBytesConfig(**bits, bnb_4bit_compute_dtype=torch.float32)
    cls: Any = Mistral3ForConditionalGeneration if kind == "dev" else AutoModelForCausalLM
    model = cls.from_pretrained(
        folder / "text_encoder", dtype=torch.float32, quantization_config=config, device_map=CPU_MAP
    )
    shutil.rmtree(folder / "text_encoder")
    model.save_pretrained(folder / "text_encoder")
    found, _ = load(folder)
    assert len(found.model.layers) == 2
    assert size(found) == size(expected)
    assert torch.equal(
        encode_prompt(found, "a red circle", None, "cpu"), encode_prompt(expected, "a red circle", None, "cpu")
    )


def test_how_many_layers_a_configuration_means(model_folder: Any, tmp_path: Path) -> None:
    """One that says nothing means the default of transformers; nonsense is refused."""
    assert {config().num_hidden_layers for config in (MistralConfig, Qwen3Config)} == {text_layers.DEFAULT_LAYERS}
    folder = folder_that_reads(tmp_path / "model", model_folder("klein"), [9, 18, 27])
    path = folder / "text_encoder" / "config.json"
    document = json.loads(path.read_text())
    path.write_text(json.dumps({k: v for k, v in document.items() if k != "num_hidden_layers"}))
    assert layers_to_keep(folder) == 28
    path.write_text(json.dumps(document | {"num_hidden_layers": "many"}))
    with pytest.raises(ModelError, match="'many' is no number of layers"):
        text_tensors(folder)
