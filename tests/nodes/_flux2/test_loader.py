"""Weights come alive whole, in the precision that was asked for, or not at all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from limner.engine.errors import ModelError
from limner.engine.models import ModelSpec
from limner.engine.testing import FakeContext
from limner.nodes import LoadModel
from limner.nodes._flux2.loader import Flux2Loader
from limner.nodes._flux2.size import module_bytes
from limner.nodes.load_model import Model


@pytest.fixture
def copy(model_folder: Any, tmp_path: Path) -> Path:
    return Path(shutil.copytree(model_folder("klein"), tmp_path / "model"))


def specs(folder: Path, dtype: Any = "auto") -> Model:
    return LoadModel(source=str(folder), dtype=dtype).run(FakeContext())


def weights(folder: Path, component: str) -> Path:
    (path,) = (folder / component).glob("*.safetensors")
    return path


def rewrite(folder: Path, component: str, change: Any) -> None:
    """Store a component's weights changed."""
    path = weights(folder, component)
    safetensors.torch.save_file(change(safetensors.torch.load_file(path)), path, {"format": "pt"})


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_every_component_has_the_asked_precision(model_folder: Any, dtype: str) -> None:
    model, loader = specs(model_folder("dev"), dtype), Flux2Loader()
    for module in (
        loader.load(model.text_encoder, "cpu").model,
        loader.load(model.transformer, "cpu").model,
        loader.load(model.vae, "cpu"),
    ):
        assert {p.dtype for p in module.parameters()} == {getattr(torch, dtype)}
        assert not module.training


def test_auto_on_a_cpu_widens_small_weights(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half precision is slow on CPUs; weights of more than a gigabyte stay as stored."""
    rewrite(copy, "vae", lambda tensors: {name: tensor.to(torch.bfloat16) for name, tensor in tensors.items()})
    assert Flux2Loader().load(specs(copy).vae, "cpu").dtype == torch.float32
    monkeypatch.setattr("limner.nodes._flux2.known.SMALL_BYTES", 100)
    assert Flux2Loader().load(specs(copy).vae, "cpu").dtype == torch.bfloat16


def test_sizes_are_those_of_parameters_and_buffers(model_folder: Any) -> None:
    """Weights that are tied count once."""
    model, loader = specs(model_folder("klein")), Flux2Loader()
    vae = loader.load(model.vae, "cpu")
    assert loader.size_bytes(vae) == sum(t.nbytes for t in vae.state_dict().values())
    tied = torch.nn.ModuleDict({"a": torch.nn.Linear(3, 3), "b": torch.nn.Linear(3, 3, bias=False)})
    tied["b"].weight = tied["a"].weight
    assert module_bytes(tied) == (9 + 3) * 4
    loader.release("cpu")


@pytest.mark.parametrize("kind", ["dev", "klein"])
@pytest.mark.parametrize("dtype", ["auto", "bfloat16"])
@pytest.mark.parametrize("component", ["text_encoder", "transformer", "vae"])
def test_what_a_load_needs_is_told_from_the_files(model_folder: Any, kind: str, dtype: str, component: str) -> None:
    """To the byte, but for the few buffers that are computed and stand in no file."""
    spec, loader = getattr(specs(model_folder(kind), dtype), component), Flux2Loader()
    live = loader.load(spec, "cpu")
    module = live if component == "vae" else live.model
    stored = {id(tensor): tensor.nbytes for tensor in module.state_dict(keep_vars=True).values()}
    assert loader.expect(spec, "cpu").waiting["cpu"] == sum(stored.values())
    assert loader.expect(spec, "cpu").waiting["cpu"] <= loader.size_bytes(live)


@pytest.mark.parametrize(("kind", "times"), [("cuda", 1), ("xpu", 1), ("mps", 0), (None, 0)])
def test_pinned_memory_is_given_back(monkeypatch: pytest.MonkeyPatch, kind: str | None, times: int) -> None:
    """Torch keeps it for later, which no other program or model could then use; only some accelerators pin at all."""
    emptied: list[str] = []
    accelerator = None if kind is None else torch.device(kind)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: accelerator)
    monkeypatch.setattr(torch.accelerator, "empty_host_cache", lambda: emptied.append("host"))
    Flux2Loader().release("cpu")
    assert len(emptied) == times


def test_a_folder_is_not_fetched(model_folder: Any) -> None:
    """Nothing is said of what lies on this machine."""
    Flux2Loader().fetch(specs(model_folder("klein")).vae, lambda *news: pytest.fail(str(news)))


def test_only_the_component_that_is_asked_for_is_read(copy: Path) -> None:
    """The rest of the folder may be missing: a hub id downloads one component at a time."""
    model = specs(copy)
    for name in ("transformer", "scheduler", "vae"):
        shutil.rmtree(copy / name)
    assert Flux2Loader().load(model.text_encoder, "cpu").family == "klein"
    with pytest.raises(ModelError, match="the folder transformer is missing"):
        Flux2Loader().load(model.transformer, "cpu")


def drop_first(tensors: dict[str, Any]) -> dict[str, Any]:
    return dict(sorted(tensors.items())[1:])


def narrow(tensors: dict[str, Any]) -> dict[str, Any]:
    return {name: tensor[..., :1].clone() if tensor.ndim else tensor for name, tensor in tensors.items()}


@pytest.mark.parametrize("component", ["text_encoder", "transformer", "vae"])
@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (drop_first, "lacks weights"),
        (lambda tensors: tensors | {"extra.weight": torch.zeros(1)}, "has unknown weights: extra.weight"),
        (narrow, r"misfits|could not be loaded"),
    ],
    ids=["missing", "unknown", "shapes"],
)
def test_weights_that_do_not_fit_are_refused(copy: Path, component: str, change: Any, fault: str) -> None:
    """Nothing ever loads silently wrong."""
    rewrite(copy, component, change)
    with pytest.raises(ModelError, match=fault) as caught:
        Flux2Loader().load(getattr(specs(copy), component), "cpu")
    assert component in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("component", ["text_encoder", "transformer", "vae"])
@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 100, b"\x80\x04K\x01.", b"\x02\0\0\0\0\0\0\0{}"], ids=["empty", "ff", "pickle", "none"]
)
@pytest.mark.parametrize("dtype", ["auto", "bfloat16"])
def test_broken_weights_are_one_clear_line(copy: Path, component: str, content: bytes, dtype: str) -> None:
    weights(copy, component).write_bytes(content)
    with pytest.raises(ModelError) as caught:
        Flux2Loader().load(getattr(specs(copy, dtype), component), "cpu")
    assert component in caught.value.message
    assert "\n" not in caught.value.message


def test_layers_that_the_encoder_has_not_are_refused(copy: Path) -> None:
    (copy / "limner.json").unlink()
    with pytest.raises(ModelError, match=r"has 3 layers, and \(9, 18, 27\) are read from it"):
        Flux2Loader().load(specs(copy).text_encoder, "cpu")


def test_a_checkpoint_without_a_fitted_map_has_no_preview(copy: Path) -> None:
    """A map is fitted, never invented."""
    (copy / "limner.json").unlink()
    live = Flux2Loader().load(specs(copy).transformer, "cpu")
    assert live.preview is None
    assert (live.defaults.steps, live.defaults.guidance, live.defaults.width) == (4, 1.0, 1024)


def test_a_map_for_another_vae_is_refused(copy: Path) -> None:
    document = json.loads((copy / "limner.json").read_text())
    document["preview"]["weight"] = [[0.0] * 5] * 3
    (copy / "limner.json").write_text(json.dumps(document))
    with pytest.raises(ModelError, match="the preview maps 5 channels, of 4"):
        Flux2Loader().load(specs(copy).transformer, "cpu")


def test_a_foreign_spec_is_refused() -> None:
    class Other(ModelSpec[Any]):
        pass

    with pytest.raises(ModelError, match="Other is not a model of FLUX"):
        Flux2Loader().load(Other(), "cpu")
