"""``limner import``, and workflows of ComfyUI where other commands take a graph."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.PngImagePlugin
import pytest

from limner.nodes.comfy.model_files import MODELS_ENV

TINY = Path(__file__).parents[2] / "tiny"
PROMPT: dict[str, Any] = {
    "1": {"class_type": "UNETLoader", "inputs": {"unet_name": "flux-2-klein-base-4b.safetensors"}},
    "2": {"class_type": "CLIPLoader", "inputs": {"clip_name": "qwen_3_4b.safetensors", "type": "flux2"}},
    "3": {"class_type": "VAELoader", "inputs": {"vae_name": "flux2-vae.safetensors"}},
    "4": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["2", 0], "text": "a red circle"}},
    "5": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["2", 0], "text": ""}},
    "6": {
        "class_type": "CFGGuider",
        "inputs": {"model": ["1", 0], "positive": ["4", 0], "negative": ["5", 0], "cfg": 4.0},
    },
    "7": {"class_type": "RandomNoise", "inputs": {"noise_seed": 3}},
    "8": {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "euler"}},
    "9": {"class_type": "Flux2Scheduler", "inputs": {"steps": 2, "width": 64, "height": 64}},
    "10": {"class_type": "EmptyFlux2LatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
    "11": {
        "class_type": "SamplerCustomAdvanced",
        "inputs": {
            "noise": ["7", 0],
            "guider": ["6", 0],
            "sampler": ["8", 0],
            "sigmas": ["9", 0],
            "latent_image": ["10", 0],
        },
    },
    "12": {"class_type": "VAEDecode", "inputs": {"samples": ["11", 0], "vae": ["3", 0]}},
    "13": {"class_type": "SaveImage", "inputs": {"images": ["12", 0], "filename_prefix": "Flux2"}},
}


@pytest.fixture
def workflow(tmp_path: Path) -> Path:
    path = tmp_path / "workflow.json"
    path.write_text(json.dumps(PROMPT))
    return path


def pixels(path: str) -> Any:
    with PIL.Image.open(path) as image:
        return np.asarray(image)


def changed(**nodes: dict[str, Any]) -> dict[str, Any]:
    return PROMPT | {name.lstrip("_"): node for name, node in nodes.items()}


def test_a_workflow_runs_as_it_is(limner: Any, workflow: Path) -> None:
    """Parameters have the names of our templates; the embedded model stands in for the named ones."""
    answer = limner("run", workflow, "-q", "-s", "model=tiny", "-s", "steps=1", "--out", "here.png")
    assert (answer.code, answer.stdout) == (0, "here.png\n")
    assert pixels("here.png").shape == (64, 64, 3)


@pytest.mark.parametrize("options", [(), ("--native",)], ids=["thin", "native"])
def test_an_imported_graph_draws_what_the_workflow_draws(limner: Any, workflow: Path, options: Any) -> None:
    """The file that is written is a graph like any other, and the picture is the same."""
    answer = limner("import", workflow, "--model", "tiny", "-o", "graph.json", *options)
    assert (answer.code, answer.stdout) == (0, "graph.json\n")
    assert limner("run", "graph.json", "-q").stdout == "outputs/Flux2.png\n"
    assert limner("run", workflow, "-q", "-s", "model=tiny", "--out", "direct.png").code == 0
    assert np.array_equal(pixels("outputs/Flux2.png"), pixels("direct.png"))


def test_native_nodes_take_the_place_of_all_of_them(limner: Any, workflow: Path) -> None:
    """A text-to-image workflow becomes our five nodes, with the sources that its file names stand for."""
    answer = limner("import", workflow, "--native")
    nodes = answer.json["nodes"]
    assert sorted(node["type"] for node in nodes.values()) == [
        "Denoise",
        "LoadModel",
        "SaveImage",
        "TextEncode",
        "VAEDecode",
    ]
    assert nodes["load_model"]["settings"] == {"source": "black-forest-labs/FLUX.2-klein-base-4B"}
    assert nodes["denoise"]["settings"] == {"guidance": 4.0, "steps": 2, "seed": 3, "width": 64, "height": 64}
    assert answer.stderr == ""


def test_what_stays_is_said_with_its_reason(limner: Any, tmp_path: Path) -> None:
    """A negative conditioning of zeros is no text, so the sampler stays, and with it what leads it."""
    zeros = {"class_type": "ConditioningZeroOut", "inputs": {"conditioning": ["4", 0]}}
    (tmp_path / "zeros.json").write_text(json.dumps(changed(_5=zeros)))
    answer = limner("import", "zeros.json", "--native")
    assert "sampler_custom_advanced stays" in answer.stderr
    assert "its negative conditioning is zeros" in answer.stderr
    assert {"VAEDecode", "LoadModel"} <= {node["type"] for node in answer.json["nodes"].values()}


def test_pictures_of_comfyui_are_workflows(limner: Any, tmp_path: Path) -> None:
    """What ran is inside, and counts before what the editor showed, unless it cannot be read."""
    empty = json.dumps({"nodes": [], "links": []})
    for name, ran, shown in (("ran", json.dumps(PROMPT), empty), ("shown", '{"1": NaN}', json.dumps(PROMPT))):
        texts = PIL.PngImagePlugin.PngInfo()
        texts.add_text("prompt", ran)
        texts.add_text("workflow", shown)
        PIL.Image.new("RGB", (8, 8)).save(tmp_path / f"{name}.png", pnginfo=texts)
        assert limner("import", f"{name}.png", "--native").json["name"] == name
        assert "sampler_custom_advanced" in limner("show", f"{name}.png").stdout


def test_what_is_sent_to_comfyui_is_a_workflow(limner: Any, tmp_path: Path) -> None:
    """A request's body holds the prompt beside other things."""
    (tmp_path / "body.json").write_text(json.dumps({"prompt": PROMPT, "client_id": "me"}))
    assert limner("validate", "body.json").code == 0


def test_what_cannot_be_mapped_stops_it_before_anything_runs(limner: Any, tmp_path: Path) -> None:
    """Each node is named as the workflow names it, and no file is written."""
    sampler = {"class_type": "KSamplerAdvanced", "inputs": {"model": ["1", 0], "steps": 20}}
    (tmp_path / "old.json").write_text(json.dumps(changed(_11=sampler)))
    for arguments in (("import", "old.json", "-o", "graph.json"), ("run", "old.json")):
        answer = limner(*arguments)
        assert answer.code == 2
        assert "unknown node type KSamplerAdvanced" in answer.stderr
        assert "11 (KSamplerAdvanced)" in answer.stderr
        assert "Flux2Scheduler" in answer.stderr
    assert not (tmp_path / "graph.json").exists()


def test_a_setting_that_is_not_there_says_how_to_give_another(limner: Any, tmp_path: Path) -> None:
    """Samplers and types of other models do not stop for good: the option that mends it is said, and does."""
    sampler = {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "dpmpp_2m"}}
    (tmp_path / "other.json").write_text(json.dumps(changed(_8=sampler)))
    answer = limner("import", "other.json")
    assert answer.code == 2
    assert "sampler_name: must be 'euler'" in answer.stderr
    assert "--set k_sampler_select.sampler_name=..." in answer.stderr
    assert limner("import", "other.json", "-s", "k_sampler_select.sampler_name=euler").code == 0


def test_what_is_left_out_is_said(limner: Any, tmp_path: Path) -> None:
    """By an import and by a run; what shows a picture elsewhere changes none."""
    shown = {"class_type": "Image Comparer (rgthree)", "inputs": {"image_a": ["12", 0]}}
    (tmp_path / "shown.json").write_text(json.dumps(changed(_14=shown)))
    said = "left out, as no picture needs it: Image Comparer (rgthree) 14"
    assert said in limner("import", "shown.json").stderr
    assert said in limner("run", "shown.json", "-s", "model=tiny", "-s", "steps=1").stderr
    assert limner("run", "shown.json", "-q", "-s", "model=tiny", "-s", "steps=1").stderr == ""


def test_a_wired_prefix_goes_on_to_name_files(limner: Any, tmp_path: Path) -> None:
    """Ours has no such input, so ComfyUI's SaveImage stays, beside one of ours too."""
    nodes = {
        "_13": {"class_type": "SaveImage", "inputs": {"images": ["12", 0], "filename_prefix": ["14", 0]}},
        "_14": {"class_type": "PrimitiveString", "inputs": {"value": "mine"}},
    }
    (tmp_path / "wired.json").write_text(json.dumps(changed(**nodes)))
    assert limner("run", "wired.json", "-q", "-s", "model=tiny", "-s", "steps=1").stdout == "outputs/mine_00001_.png\n"
    (tmp_path / "both.json").write_text(json.dumps(changed(**nodes, _15=PROMPT["13"])))
    answer = limner("import", "both.json", "--native")
    kinds = [node["type"] for node in answer.json["nodes"].values()]
    assert {"ComfySaveImage", "SaveImage"} <= set(kinds)
    assert "what its file names begin with comes by a wire" in answer.stderr


def test_a_lora_loader_without_a_text_encoder_lacks_one(limner: Any, tmp_path: Path) -> None:
    """What is said is what the workflow lacks, and nothing of a class that is not in it."""
    lora = str(TINY / "lora" / "moon.safetensors")
    load = {"class_type": "LoraLoader", "inputs": {"model": ["1", 0], "lora_name": lora}}
    text = {"class_type": "CLIPTextEncode", "inputs": {"clip": ["14", 1], "text": "a"}}
    (tmp_path / "open.json").write_text(json.dumps(changed(_4=text, _14=load)))
    answer = limner("import", "open.json")
    assert (answer.code, "clip: is not wired" in answer.stderr) == (2, True)
    assert "ModelOnly" not in answer.stderr
    led = PROMPT["6"] | {"inputs": PROMPT["6"]["inputs"] | {"model": ["14", 0]}}
    (tmp_path / "unused.json").write_text(json.dumps(changed(_6=led, _14=load)))
    assert limner("import", "unused.json", "-m", "tiny").code == 0


@pytest.mark.parametrize(
    ("setting", "nodes"),
    [
        ("lora_name", {"_14": {"class_type": "LoraLoaderModelOnly", "inputs": {"model": ["1", 0], "lora_name": None}}}),
        (
            "width",
            {
                "_9": {"class_type": "Flux2Scheduler", "inputs": {"steps": 2, "width": "", "height": 64}},
                "_10": {"class_type": "EmptyFlux2LatentImage", "inputs": {"width": "", "height": 64}},
            },
        ),
    ],
)
def test_what_cannot_be_read_is_not_rewritten(limner: Any, tmp_path: Path, setting: str, nodes: Any) -> None:
    """It can be set later in a graph of ComfyUI's nodes; for ours it is a fault, and no traceback."""
    guider = PROMPT["6"]["inputs"] | {"model": ["14" if "_14" in nodes else "1", 0]}
    (tmp_path / "odd.json").write_text(json.dumps(changed(_6=PROMPT["6"] | {"inputs": guider}, **nodes)))
    assert f"to be set before it runs: {setting}: must be" in limner("import", "odd.json").stderr
    answer = limner("import", "odd.json", "--native")
    assert (answer.code, f"{setting}: must be" in answer.stderr, "--set" in answer.stderr) == (2, True, True)


def test_a_picture_that_is_not_here_is_to_be_set_later(limner: Any, tmp_path: Path) -> None:
    """What a parameter can mend does not stop an import; it is said, and a run says it again."""
    load = {"class_type": "LoadImage", "inputs": {"image": "cat.png"}}
    scale = {"class_type": "VAEEncode", "inputs": {"pixels": ["14", 0], "vae": ["3", 0]}}
    attach = {"class_type": "ReferenceLatent", "inputs": {"conditioning": ["4", 0], "latent": ["15", 0]}}
    led = {"class_type": "CFGGuider", "inputs": PROMPT["6"]["inputs"] | {"positive": ["16", 0], "cfg": 1.0}}
    (tmp_path / "edit.json").write_text(json.dumps(changed(_6=led, _14=load, _15=scale, _16=attach)))
    answer = limner("import", "edit.json")
    assert answer.code == 0
    assert "to be set before it runs" in answer.stderr
    assert answer.json["parameters"]["image"] == "load_image.image"
    assert limner("import", "edit.json", "--native").json["parameters"]["image"] == "load_image.file"
    assert limner("run", "edit.json").code == 2
    PIL.Image.new("RGB", (64, 64)).save(tmp_path / "cat.png")
    assert limner("import", "edit.json").stderr == ""


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "there is no file"),
        ("", "file.json: not JSON"),
        ("{}", "holds no workflow"),
        ('{"limner": 1, "nodes": {}}', "limner run file.json"),
        ("{", "file.json: not JSON: Expecting property name"),
        ("[1]", "holds no workflow"),
    ],
)
def test_other_files_are_refused_in_words(limner: Any, tmp_path: Path, content: str | None, said: str) -> None:
    if content is not None:
        (tmp_path / "file.json").write_text(content)
    answer = limner("import", "file.json")
    assert answer.code == 2
    assert said in answer.stderr


def test_a_graph_of_ours_is_never_replaced_by_something_else(limner: Any, workflow: Path, tmp_path: Path) -> None:
    """Writing over a file of another kind is refused."""
    (tmp_path / "other.json").write_text("[]")
    assert limner("import", workflow, "-o", "other.json").code == 2
    assert (tmp_path / "other.json").read_text() == "[]"


def test_files_in_the_folders_of_a_comfyui_are_taken(
    limner: Any, workflow: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names are looked up in its folders first, and pictures in its folder of inputs."""
    monkeypatch.setenv(MODELS_ENV, "")
    folder = tmp_path / "ComfyUI" / "models" / "unet"
    folder.mkdir(parents=True)
    weights = TINY / "weights" / "transformer" / "diffusion_pytorch_model.safetensors"
    shutil.copy(weights, folder / "mine.safetensors")
    mine = "unet_loader.unet_name=mine.safetensors"
    answer = limner("run", workflow, "-q", "--comfy-models", "ComfyUI", "-s", "model=tiny", "-s", mine)
    assert answer.code == 0
    assert os.environ[MODELS_ENV] == str(tmp_path / "ComfyUI")


def test_a_folder_without_models_is_refused(limner: Any, workflow: Path) -> None:
    answer = limner("plan", workflow, "--comfy-models", "nowhere")
    assert answer.code == 2
    assert "--comfy-models nowhere" in answer.stderr
