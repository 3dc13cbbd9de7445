"""A model is named, not loaded; what is no FLUX.2 model is found before anything runs."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from limner.engine.errors import ModelError
from limner.engine.testing import FakeContext
from limner.nodes import LoadModel
from limner.nodes.values import VAE, TextEncoder, Transformer


@pytest.fixture
def copy(model_folder: Any, tmp_path: Path) -> Path:
    """A model folder to spoil."""
    return Path(shutil.copytree(model_folder("klein"), tmp_path / "model"))


def faults(source: Path | str) -> list[str]:
    found = list(LoadModel(source=str(source)).problems())
    assert all(setting == "source" for setting, _ in found)
    return [message.replace(str(source), "MODEL") for _, message in found]


def test_the_outputs_describe_the_same_source(copy: Path) -> None:
    model = LoadModel(source=str(copy), dtype="bfloat16").run(FakeContext())
    assert [type(spec) for spec in model] == [TextEncoder, Transformer, VAE]
    for spec in model:
        assert (spec.source, spec.revision, spec.dtype) == (str(copy), None, "bfloat16")
        assert spec.identity == LoadModel(source=str(copy)).fingerprint()
        assert spec.base is spec
        assert hash(spec) == hash(type(spec)(spec.source, None, "bfloat16", spec.identity))
    assert model.vae != model.transformer


def test_a_good_folder_has_no_faults(model_folder: Any) -> None:
    for kind in ("dev", "klein", "klein-base"):
        assert faults(model_folder(kind)) == []


def edit(name: str, **changes: Any) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        document = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(document | changes))

    return spoil


def write(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(content) and None


def remove(name: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return spoil


INDEX = "model_index.json"


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (remove(INDEX), "MODEL holds no model: it has no model_index.json"),
        (write(INDEX, b"{"), "MODEL/model_index.json is not JSON"),
        (write(INDEX, b"\xff\xfe"), "MODEL/model_index.json is not JSON"),
        (write(INDEX, b"[1]"), "MODEL/model_index.json is not a JSON object"),
        (write(INDEX, b"[" * 100_000), "MODEL/model_index.json is not JSON"),
        (write(INDEX, b" " * (2 << 20)), "MODEL/model_index.json is larger than 1048576 bytes"),
        (edit(INDEX, _class_name="StableDiffusionPipeline"), "MODEL is a 'StableDiffusionPipeline', not a FLUX.2"),
        (edit(INDEX, _class_name=["x"]), "MODEL is a ['x'], not a FLUX.2 pipeline"),
        (edit(INDEX, transformer=["my_module", "Evil"]), "MODEL: transformer is my_module.Evil, and only diffusers"),
        (edit(INDEX, vae=["diffusers", "AutoencoderKL"]), "MODEL: vae is diffusers.AutoencoderKL, and only"),
        (edit(INDEX, tokenizer=None), "MODEL: model_index.json names no tokenizer"),
        (edit(INDEX, _class_name="Flux2Pipeline"), "MODEL: text_encoder is transformers.Qwen3ForCausalLM, and only"),
        (remove("scheduler"), "MODEL: the folder scheduler is missing"),
        (remove("vae/diffusion_pytorch_model.safetensors"), "MODEL: vae has no weights in safetensors"),
        (edit("vae/config.json", block_out_channels=[4, 4, 4]), "MODEL: its VAE scales by 4, that of FLUX.2 by 8"),
    ],
)
def test_a_folder_that_is_no_model(copy: Path, spoil: Callable[[Path], None], fault: str) -> None:
    spoil(copy)
    (found,) = faults(copy)
    assert found.startswith(fault)


def test_all_faults_are_reported_at_once(copy: Path) -> None:
    remove("vae")(copy)
    remove("tokenizer")(copy)
    edit(INDEX, scheduler=["diffusers", "DDIMScheduler"])(copy)
    assert len(faults(copy)) == 3


def test_pickled_weights_are_no_weights(copy: Path) -> None:
    """Also where they are beside the name of safetensors in other formats."""
    weights = copy / "transformer" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    assert faults(copy) == ["MODEL: transformer has no weights in safetensors, the only format that is read"]


@pytest.mark.parametrize(
    "source", ["nowhere", "./nowhere", "/nowhere/at/all", "a/b/c", "../x", "a b/c", "//host/share"]
)
def test_a_source_that_is_neither_folder_nor_hub_id(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (fault,) = faults(source)
    assert fault == "there is no model folder MODEL; give a folder in diffusers layout, a hub id, or tiny"


def test_a_file_is_no_source(tmp_path: Path) -> None:
    (tmp_path / "flux.safetensors").write_bytes(b"")
    (fault,) = faults(tmp_path / "flux.safetensors")
    assert fault.startswith("MODEL is a file")


def test_a_hub_id_is_only_named() -> None:
    """Nothing asks the network before a component is needed."""
    node = LoadModel(source="black-forest-labs/FLUX.2-dev", revision="refs/pr/1")
    assert faults(node.source) == []
    assert node.fingerprint() == "hub:black-forest-labs/FLUX.2-dev@refs/pr/1"
    assert node.run(FakeContext()).vae.revision == "refs/pr/1"
    assert LoadModel(source="a/b").fingerprint() == "hub:a/b@main"


def test_the_identity_is_that_of_the_content(copy: Path, tmp_path: Path) -> None:
    """Equal folders are the same model wherever they lie and whenever they were copied; any change is another."""
    node = LoadModel(source=str(copy))
    before = node.fingerprint()
    os.utime(copy / "vae" / "diffusion_pytorch_model.safetensors", (1, 1))
    (copy / "README.md").write_text("a note")
    (copy / "vae" / "sample.png").write_bytes(b"a picture")
    (copy / "single_file.safetensors").write_bytes(b"weights that are not read")
    other = shutil.copytree(copy, tmp_path / "other")
    assert {before, node.fingerprint(), LoadModel(source=str(other)).fingerprint()} == {before}
    seen = {before}
    for name in ("limner.json", "tokenizer/chat_template.jinja", "transformer/config.json"):
        (copy / name).write_text((copy / name).read_text() + "\n")
        seen.add(node.fingerprint())
    weights = copy / "vae" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    seen.add(node.fingerprint())
    assert len(seen) == 5


def test_large_weights_count_by_size_and_time(copy: Path) -> None:
    """Reading 100 GB to name them would not be instant."""
    weights, node = copy / "vae" / "large.safetensors", LoadModel(source=str(copy))
    with weights.open("wb") as file:
        file.truncate(17 << 20)
    os.utime(weights, ns=(1, 1))
    before = node.fingerprint()
    assert node.fingerprint() == before
    os.utime(weights, ns=(2, 2))
    assert node.fingerprint() != before


def test_a_source_that_vanished_is_a_model_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no model folder"):
        LoadModel(source=str(tmp_path / "gone")).fingerprint()


@pytest.mark.parametrize("settings", [{"source": ""}, {"revision": ""}, {"dtype": "int8"}, {"source": 3}])
def test_settings_of_the_wrong_kind_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LoadModel(**settings)
