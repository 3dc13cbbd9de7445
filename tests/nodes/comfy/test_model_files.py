"""The names of model files in workflows: found in ComfyUI's folders, known, or a model; never outside."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from single_files import write_header  # found in the folder of these tests

from limner.engine.errors import InputError
from limner.engine.user_path import CONFINE_ENV
from limner.nodes import LoadModel
from limner.nodes import comfy as thin
from limner.nodes._flux2.catalog import CONFIGS
from limner.nodes._flux2.index import read_json
from limner.nodes._flux2.shapes import text_encoder_shapes
from limner.nodes.comfy.model_files import DEV, KNOWN, MODELS_ENV, Place, find_file, locate_lora, locate_model, names
from limner.nodes.specs import Quantization

TINY = Path(__file__).parents[3] / "tiny"


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """ComfyUI's folders, with the embedded model's files under names of their own."""
    for folder in ("diffusion_models/sub", "text_encoders", "vae", "loras"):
        (tmp_path / "models" / folder).mkdir(parents=True)
    weights = TINY / "weights"
    shutil.copy(
        weights / "transformer" / "diffusion_pytorch_model.safetensors",
        tmp_path / "models" / "diffusion_models" / "sub" / "mine.safetensors",
    )
    shutil.copy(weights / "vae" / "diffusion_pytorch_model.safetensors", tmp_path / "models" / "vae" / "v.safetensors")
    texts = tmp_path / "models" / "text_encoders"
    shutil.copy(weights / "text_encoder" / "model.safetensors", texts / "te.safetensors")
    shutil.copy(TINY / "lora" / "moon.safetensors", tmp_path / "models" / "loras")
    monkeypatch.setenv(MODELS_ENV, str(tmp_path))
    return tmp_path / "models"


@pytest.mark.parametrize("below", [".", "models"])
def test_a_file_in_a_folder_is_found_with_the_model_that_it_was_made_from(
    models: Path, below: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The base follows from the header; ComfyUI's folder or its folder of models may be named."""
    monkeypatch.setenv(MODELS_ENV, os.pathsep.join(["/nowhere", str(models.parent / below)]))
    path = models / "diffusion_models" / "sub" / "mine.safetensors"
    assert locate_model("transformer", "sub/mine.safetensors") == Place("tiny", str(path))
    assert locate_model("transformer", "sub\\mine.safetensors").file == str(path)
    assert locate_model("vae", "v.safetensors").source == "tiny"
    assert locate_lora("moon.safetensors") == str(models / "loras" / "moon.safetensors")


def test_names_are_listed(models: Path) -> None:
    """Files of the folders, what is known, and the embedded model."""
    assert {"sub/mine.safetensors", "flux-2-klein-4b.safetensors", "tiny"} <= set(names("transformer"))
    assert "moon.safetensors" in names("lora")
    assert "sub/mine.safetensors" not in names("vae")


def test_a_known_name_that_is_in_the_folder_is_that_file(models: Path) -> None:
    """What is on this machine is not downloaded."""
    path = models / "vae" / "flux2-vae.safetensors"
    shutil.copy(models / "vae" / "v.safetensors", path)
    assert locate_model("vae", "flux2-vae.safetensors") == Place(
        KNOWN["vae"]["flux2-vae.safetensors"].source, str(path)
    )


@pytest.mark.parametrize("name", ["../secret.safetensors", "/etc/secret.safetensors", "sub/../../x.safetensors"])
def test_no_name_leads_out_of_the_folders(models: Path, name: str) -> None:
    (models / "secret.safetensors").write_bytes(b"")
    assert find_file("transformer", name) is None
    assert list(thin.ComfyUNETLoader(unet_name=name).problems())


def test_a_link_that_leads_out_is_refused_on_a_server(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Confinement goes by where a file really is."""
    outside = models.parent.parent / "outside.safetensors"
    shutil.copy(models / "vae" / "v.safetensors", outside)
    (models / "vae" / "link.safetensors").symlink_to(outside)
    monkeypatch.setenv(CONFINE_ENV, str(models))
    assert locate_model("vae", "v.safetensors").source == "tiny"
    with pytest.raises(InputError, match="outside the folders"):
        locate_model("vae", "link.safetensors")


@pytest.mark.parametrize(
    ("node", "hint"),
    [
        (thin.ComfyUNETLoader(unet_name="sdxl.safetensors"), "--comfy-models"),
        (thin.ComfyCLIPLoader(clip_name="t5xxl.safetensors"), "diffusers layout"),
        (thin.ComfyVAELoader(vae_name="nonsense"), "hub id"),
        (thin.ComfyLoraLoaderModelOnly(lora_name="lost.safetensors"), "no file"),
        (thin.ComfyLoraLoaderModelOnly(), "required"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_name_that_stands_for_nothing_is_a_fault(node: Any, hint: str) -> None:
    """It is at its setting, and says what to try."""
    ((setting, message),) = node.problems()
    assert setting in type(node).model_fields
    assert hint in message


def test_files_that_are_something_else_are_faults(models: Path) -> None:
    """A transformer's file of no known model is refused by its header."""
    shutil.copy(models / "vae" / "v.safetensors", models / "diffusion_models" / "wrong.safetensors")
    ((setting, message),) = thin.ComfyUNETLoader(unet_name="wrong.safetensors").problems()
    assert setting == "unet_name"
    assert "no transformer that is known" in message


def test_loaders_describe_what_they_name(new_context: Any) -> None:
    """The embedded model by its name, known files by theirs, weights in 8 bits as layerwise-fp8."""
    ctx = new_context()
    model = LoadModel().run(ctx)
    assert thin.ComfyUNETLoader(unet_name="tiny").run(ctx) == model.transformer
    assert thin.ComfyCLIPLoader(clip_name="tiny").run(ctx) == model.text_encoder
    assert thin.ComfyVAELoader(vae_name="tiny").run(ctx) == model.vae
    quantized = thin.ComfyUNETLoader(unet_name="tiny", weight_dtype="fp8_e4m3fn").run(ctx)
    assert quantized.quantization == Quantization("layerwise-fp8")
    known = thin.ComfyUNETLoader(unet_name="flux2_dev_fp8mixed.safetensors").run(ctx)
    assert known.source == "black-forest-labs/FLUX.2-dev"
    assert known.file == "Comfy-Org/flux2-dev/split_files/diffusion_models/flux2_dev_fp8mixed.safetensors"


def test_a_device_that_nobody_heeds_is_said(new_context: Any) -> None:
    ctx = new_context()
    thin.ComfyCLIPLoader(clip_name="tiny", device="cpu").run(ctx)
    assert any("device" in warning for warning in ctx.warnings)


def test_a_text_encoder_is_read_from_its_file(models: Path, new_context: Any) -> None:
    """In full precision, with the tokenizer of the model that it belongs to: the same conditioning, to the bit."""
    loader = thin.ComfyCLIPLoader(clip_name="te.safetensors")
    assert list(loader.problems()) == []
    ctx = new_context()
    spec = loader.run(ctx)
    assert (spec.source, spec.file) == ("tiny", str(models / "text_encoders" / "te.safetensors"))
    node = thin.ComfyCLIPTextEncode(text="a red circle")
    own = node.run(ctx, LoadModel().run(ctx).text_encoder)
    assert torch.equal(node.run(ctx, spec).prompt, own.prompt)
    assert loader.forecast("cpu", {}).outputs == (spec,)


def test_a_text_encoder_of_no_known_name_is_known_by_its_header(models: Path, new_context: Any) -> None:
    """ComfyUI's file of dev has 30 layers of 40: that is dev's text encoder, with the model's tokenizer."""
    shapes = {
        f"model.{name.removeprefix('model.').removeprefix('language_model.')}": shape
        for name, shape in text_encoder_shapes(read_json(CONFIGS / "FLUX.2-dev/text_encoder/config.json")).items()
        if not any(part in name for part in ("vision", "multi_modal", "lm_head"))
        and not ("layers." in name and int(name.partition("layers.")[2].partition(".")[0]) >= 30)
    }
    write_header(models / "text_encoders" / "mine.safetensors", shapes)
    assert list(thin.ComfyCLIPLoader(clip_name="mine.safetensors").problems()) == []
    assert thin.ComfyCLIPLoader(clip_name="mine.safetensors").run(new_context()).source == DEV


@pytest.mark.parametrize("name", ["qwen_3_4b.safetensors", "mine.safetensors"])
def test_a_broken_text_encoder_is_a_fault_and_no_download(
    models: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it is called: the model that most of it fits is known, and what it lacks is said."""
    folder = models / "text_encoders"
    tensors = safetensors.torch.load_file(folder / "te.safetensors")
    del tensors["model.layers.0.self_attn.q_proj.weight"]
    safetensors.torch.save_file(tensors, folder / name)
    monkeypatch.setitem(KNOWN["text_encoder"], "qwen_3_4b.safetensors", Place("tiny"))  # type: ignore[arg-type]  # a dict
    ((setting, message),) = thin.ComfyCLIPLoader(clip_name=name).problems()
    assert setting == "clip_name"
    assert "lacks weights: layers.0.self_attn.q_proj.weight" in message
