"""A download that ended half-way is neither planned nor loaded as a smaller model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch

from limner.engine.errors import ModelError
from limner.nodes._flux2.loader import Flux2Loader
from limner.nodes._flux2.shards import missing_files
from limner.nodes._flux2.weigh import weigh
from limner.nodes._flux2.weights import read_folder
from limner.nodes.specs import LoRA, TextEncoder, Transformer

COMMIT = "1" * 40
NAMES = ["model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors", "model-00003-of-00003.safetensors"]


def shard(folder: Path, index: str) -> None:
    """Spread a component's weights over three files, layers first, with an index."""
    (path,) = folder.glob("*.safetensors")
    tensors = safetensors.torch.load_file(path)
    path.unlink()
    keys = sorted(tensors)
    parts = {name: keys[number::3] for number, name in enumerate(NAMES)}
    for name, part in parts.items():
        safetensors.torch.save_file({key: tensors[key] for key in part}, folder / name, {"format": "pt"})
    names = {key: name for name, part in parts.items() for key in part}
    (folder / index).write_text(json.dumps({"metadata": {}, "weight_map": names}))


@pytest.fixture
def downloaded(model_folder: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model of the hub, in its cache, in several files."""
    root = tmp_path / "models--someone--flux"
    folder = root / "snapshots" / COMMIT
    shutil.copytree(model_folder("klein"), folder)
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text(COMMIT)
    shard(folder / "transformer", "diffusion_pytorch_model.safetensors.index.json")
    shard(folder / "text_encoder", "model.safetensors.index.json")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    return folder


@pytest.mark.parametrize("component", [Transformer, TextEncoder])
@pytest.mark.parametrize("has_index", [True, False], ids=["index", "names"])
def test_half_a_download_is_planned_as_the_whole(downloaded: Path, component: Any, has_index: bool) -> None:
    """By its configuration, until all is there; then by its headers, in the same process."""
    spec = component("someone/flux", dtype="bfloat16", identity=f"hub:someone/flux@{COMMIT}")
    folder = downloaded / spec.component
    late = [folder / NAMES[1], *([] if has_index else folder.glob("*.index.json"))]
    for path in late:
        path.rename(downloaded / path.name)
    half = weigh(spec, "cuda:0")
    assert half.origin == "configuration"
    for path in late:
        (downloaded / path.name).rename(path)
    whole = weigh(spec, "cuda:0")
    assert whole.origin == "headers"
    assert half.weight_bytes == pytest.approx(whole.weight_bytes, rel=0.01)


def test_half_a_download_is_not_loaded(downloaded: Path) -> None:
    """What is missing is named; a model is never made of the rest."""
    (downloaded / "transformer" / NAMES[1]).unlink()
    with pytest.raises(ModelError, match="lacks model-00002-of-00003"):
        Flux2Loader().load(Transformer(str(downloaded)), "cpu")


def test_an_adapter_counts_as_soon_as_it_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that was not found is remembered."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    spec = replace(Transformer("tiny"), loras=(LoRA("someone/lora/a.safetensors", "hub"),))
    assert weigh(spec, "cuda:0").adapter_bytes == 0
    root = tmp_path / "models--someone--lora"
    (root / "snapshots" / COMMIT).mkdir(parents=True)
    (root / "snapshots" / COMMIT / "a.safetensors").write_bytes(b"x" * 1000)
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text(COMMIT)
    assert weigh(spec, "cuda:0").adapter_bytes == 1000


def test_a_broken_index_is_said(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../b.safetensors"}}))
    with pytest.raises(ModelError, match="names no files"):
        missing_files(tmp_path)
    with pytest.raises(ModelError, match="names no files"):
        read_folder(tmp_path)
