"""What was saved is read again as it was, to the bit, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import torch

from limner import Graph, Session
from limner.engine.errors import InputError, ModelError
from limner.engine.testing import FakeContext
from limner.nodes import ApplyLoRA, LoadModel, Quantize, SaveModel
from limner.nodes._flux2.loader import Flux2Loader
from limner.nodes._flux2.text import encode_prompt
from limner.nodes.values import Files

METHODS: dict[str, dict[str, Any]] = {
    "plain": {},
    "nf4": {"method": "nf4"},
    "nf4 twice": {"method": "nf4", "double_quant": True, "skip": ["proj_out", "layers.0.mlp"]},
    "int8": {"method": "int8"},
}


def quantize(spec: Any, settings: dict[str, Any]) -> Any:
    if not settings:
        return spec
    skip = ["proj_out"] if spec.component == "transformer" else ["layers.0.mlp"]
    return Quantize(**settings | ({"skip": skip} if "skip" in settings else {})).run(FakeContext(), spec)


def load(spec: Any) -> Any:
    live = Flux2Loader().load(spec, "cpu")
    return getattr(live, "model", live)


def same(one: Any, other: Any) -> bool:
    before, after = one.state_dict(), other.state_dict()
    return before.keys() == after.keys() and all(torch.equal(before[key], after[key]) for key in before)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "models" / "saved"


@pytest.mark.parametrize("kind", ["dev", "klein"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("method", METHODS)
def test_what_is_saved_is_read_again(
    load_model: Any, new_context: Any, path: Path, kind: str, dtype: Any, method: str
) -> None:
    """Every tensor of every component, and what belongs to it."""
    model = load_model(kind, dtype)
    specs = {"transformer": quantize(model.transformer, METHODS[method]), "vae": model.vae}
    specs["text_encoder"] = quantize(model.text_encoder, METHODS[method])
    files = SaveModel(path=str(path)).run(new_context(), **specs)
    assert files.paths == (str(path),)
    node = LoadModel(source=str(path), dtype=dtype)
    assert list(node.problems()) == []
    again = node.run(FakeContext())
    for component, spec in specs.items():
        found = load(getattr(again, component))
        assert same(found, load(spec)), component
        assert Flux2Loader().size_bytes(found) == Flux2Loader().size_bytes(load(spec))
    before, after = (Flux2Loader().load(spec, "cpu") for spec in (specs["transformer"], again.transformer))
    for field in ("channels", "text_width", "scheduler_config", "family", "is_distilled", "defaults"):
        assert getattr(after, field) == getattr(before, field)
    encoders = [Flux2Loader().load(spec, "cpu") for spec in (specs["text_encoder"], again.text_encoder)]
    assert torch.equal(*(encode_prompt(live, "a red circle", None, "cpu") for live in encoders))


def test_who_may_read_the_folder_may_read_the_weights(
    load_model: Any, new_context: Any, path: Path, tmp_path: Path
) -> None:
    """All of its files have the rights that new files have here."""
    (tmp_path / "new").touch()
    SaveModel(path=str(path)).run(new_context(), vae=load_model("klein").vae)
    modes = {file.stat().st_mode for file in path.rglob("*") if file.is_file()}
    assert modes == {(tmp_path / "new").stat().st_mode}


def test_diffusers_reads_it_too(load_model: Any, new_context: Any, path: Path, stock_encode: Any) -> None:
    """Plain weights are a pipeline, whose embeddings are those of the whole one."""
    from diffusers import Flux2KleinPipeline

    model = load_model("klein", "float32")
    SaveModel(path=str(path)).run(new_context(), model.transformer, model.text_encoder, model.vae)
    pipeline: Any = Flux2KleinPipeline.from_pretrained(path)
    call = {"prompt": "a red circle", "max_sequence_length": 256, "text_encoder_out_layers": (1, 2, 3)}
    found = pipeline.encode_prompt(**call, device="cpu")[0]
    assert torch.equal(found, stock_encode("klein", "float32", "a red circle"))


@pytest.mark.parametrize("component", ["transformer", "text_encoder", "vae"])
def test_a_folder_may_have_one_component(load_model: Any, new_context: Any, path: Path, component: str) -> None:
    """It gives that one; the others are an error that says why, and no fault while nobody asks for them."""
    model = load_model("klein", "float32")
    SaveModel(path=str(path)).run(new_context(), **{component: getattr(model, component)})
    node = LoadModel(source=str(path), dtype="float32")
    assert list(node.problems()) == []
    again = node.run(FakeContext())
    assert same(load(getattr(again, component)), load(getattr(model, component)))
    for other in {"transformer", "text_encoder", "vae"} - {component}:
        with pytest.raises(ModelError, match=f"was saved without its {other}"):
            load(getattr(again, other))


def test_a_name_that_is_taken_is_a_fault(load_model: Any, new_context: Any, path: Path) -> None:
    """While checking, and again while running; what is there stays."""
    path.mkdir(parents=True)
    (path / "note.txt").write_text("mine")
    ((setting, fault),) = SaveModel(path=str(path)).problems()
    assert (setting, fault) == ("path", f"{path} exists (choose another name, or set overwrite)")
    ((_, fault),) = SaveModel(path=str(path), overwrite=True).problems()
    assert fault == f"{path} is no model folder, and only such a folder is replaced"
    for overwrite in (False, True):
        with pytest.raises(InputError, match=r"exists|no model folder"):
            SaveModel(path=str(path), overwrite=overwrite).run(new_context(), vae=load_model("klein").vae)
    assert [one.name for one in path.iterdir()] == ["note.txt"]


def test_a_model_is_replaced_when_asked(load_model: Any, new_context: Any, path: Path) -> None:
    """Even the one that is being read."""
    SaveModel(path=str(path)).run(new_context(), vae=load_model("klein", "float32").vae)
    again = LoadModel(source=str(path), dtype="float32").run(FakeContext()).vae
    SaveModel(path=str(path), overwrite=True).run(new_context(), vae=again)
    assert same(load(LoadModel(source=str(path)).run(FakeContext()).vae), load(load_model("klein", "float32").vae))
    assert [one.name for one in path.parent.iterdir()] == ["saved"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_fails_leaves_nothing(
    load_model: Any, new_context: Any, path: Path, monkeypatch: pytest.MonkeyPatch, overwrite: bool
) -> None:
    """No folder where there was none, and the old one where there was."""
    from limner.nodes._flux2 import save

    model = load_model("klein", "float32")
    if overwrite:
        SaveModel(path=str(path)).run(new_context(), vae=model.vae)

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(save, "save_index", fail)
    with pytest.raises(InputError, match="cannot be written: No space left on device"):
        SaveModel(path=str(path), overwrite=overwrite).run(new_context(), transformer=model.transformer)
    assert [one.name for one in path.parent.iterdir()] == (["saved"] if overwrite else [])
    assert not overwrite or same(load(LoadModel(source=str(path)).run(FakeContext()).vae), load(model.vae))


@pytest.mark.parametrize("method", ["layerwise-fp8", "int8-wo", "fp8-wo", "quanto-int8"])
def test_what_could_not_be_read_again_is_refused(load_model: Any, path: Path, method: Any) -> None:
    """Before anything is loaded: these libraries keep their state in pickles, or in modules."""
    spec = Quantize(method=method).run(FakeContext(), load_model("klein").transformer)
    with pytest.raises(ModelError, match=f"{method} is not saved\n  save it unquantized, or use nf4, fp4, int8"):
        SaveModel(path=str(path)).run(FakeContext(), spec)
    assert not path.parent.exists()


def test_what_makes_no_model_is_refused(load_model: Any, tmp_path: Path, path: Path) -> None:
    """Nothing, a LoRA, two families."""
    from lora_files import random_pairs, split, write

    dev, klein = load_model("dev"), load_model("klein")
    lora = write(tmp_path / "a.safetensors", split(random_pairs(load(klein.transformer))))
    with pytest.raises(ModelError, match="nothing is wired"):
        SaveModel(path=str(path)).run(FakeContext())
    with pytest.raises(ModelError, match="a LoRA is not saved into a model"):
        SaveModel(path=str(path)).run(FakeContext(), ApplyLoRA(path=str(lora)).run(FakeContext(), klein.transformer))
    with pytest.raises(ModelError, match="components of dev and klein make no model"):
        SaveModel(path=str(path)).run(FakeContext(), dev.transformer, klein.text_encoder)


def test_the_embedded_model_draws_the_same_from_its_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Quantize once, save, load it next time: the same picture."""
    monkeypatch.chdir(tmp_path)
    graph = Graph()
    model = graph.add(LoadModel())
    quantized = {
        component: graph.add(Quantize(double_quant=True), model=getattr(model, component))
        for component in ("transformer", "text_encoder")
    }
    graph.add(SaveModel(path="copy"), **quantized, vae=model.vae)
    with Session() as session:
        session.run(graph)
        assert json.loads(Path("copy/limner.json").read_text())["preview"]
        pictures = []
        for name, source in (("nf4_20gb", "tiny"), ("text_to_image", "copy")):
            (files,) = session.run(name, model=source, steps=2).values(Files)
            with PIL.Image.open(files.paths[0]) as image:
                pictures.append(image.tobytes())
    assert pictures[0] == pictures[1]
