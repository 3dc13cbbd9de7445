"""Thin nodes become our own only where nothing is lost: what is wired, placed or used goes along, or stays."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parent))  # pytest's importlib mode adds no folder by itself

from counting import calls  # found through the line above

from limner.comfy.native import to_native
from limner.engine.document import Document, NodeDocument
from limner.engine.offload import Offload
from limner.engine.registry import Registry
from limner.nodes.comfy.model_files import MODELS_ENV
from limner.session import Session

SESSION = Session(registry=Registry.installed())
NODES: dict[str, dict[str, Any]] = {
    "unet": {"type": "ComfyUNETLoader", "settings": {"unet_name": "tiny"}},
    "clip": {"type": "ComfyCLIPLoader", "settings": {"clip_name": "tiny"}},
    "vae": {"type": "ComfyVAELoader", "settings": {"vae_name": "tiny"}},
    "text": {"type": "ComfyCLIPTextEncode", "settings": {"text": "a"}, "wires": {"clip": "clip"}},
    "guider": {"type": "ComfyBasicGuider", "wires": {"model": "unet", "conditioning": "text"}},
    "noise": {"type": "ComfyRandomNoise"},
    "euler": {"type": "ComfyKSamplerSelect"},
    "sigmas": {"type": "ComfyFlux2Scheduler", "settings": {"width": 64, "height": 64}},
    "latent": {"type": "ComfyEmptyFlux2LatentImage", "settings": {"width": 64, "height": 64}},
    "sampler": {
        "type": "ComfySamplerCustomAdvanced",
        "wires": {
            "noise": "noise",
            "guider": "guider",
            "sampler": "euler",
            "sigmas": "sigmas",
            "latent_image": "latent",
        },
    },
    "decode": {"type": "ComfyVAEDecode", "wires": {"samples": "sampler.output", "vae": "vae"}},
    "save": {"type": "SaveImage", "wires": {"images": "decode"}},
}


def rewritten(**changes: dict[str, Any]) -> tuple[Document, list[str]]:
    nodes = {name: NodeDocument(**NODES.get(name, {}) | changes.get(name, {})) for name in NODES | changes}
    document = Document(nodes=nodes)
    SESSION.check(document)
    found, stayed = to_native(document)
    SESSION.check(found)
    return found, stayed


def by_type(document: Document, type_name: str) -> NodeDocument:
    (node,) = [node for node in document.nodes.values() if node.type == type_name]
    return node


def test_devices_and_policies_go_along() -> None:
    """What computed on a device still does, with its weights where they were."""
    offload = Offload(mode="model")
    document, stayed = rewritten(sampler={"device": "cuda:1", "offload": offload}, text={"device": "cpu"})
    assert stayed == []
    assert by_type(document, "Denoise").device == "cuda:1"
    assert by_type(document, "Denoise").offload == offload
    assert by_type(document, "TextEncode").device == "cpu"


def test_wires_into_settings_are_kept() -> None:
    """Shared numbers and texts lead to the settings that they stood for."""
    document, stayed = rewritten(
        number={"type": "ComfyPrimitiveInt", "settings": {"value": 64}},
        words={"type": "ComfyPrimitiveStringMultiline", "settings": {"value": "b"}},
        text={"settings": {}, "wires": {"clip": "clip", "text": "words"}},
        sigmas={"settings": {"height": 64}, "wires": {"width": "number", "steps": "number"}},
        latent={"settings": {"height": 64}, "wires": {"width": "number"}},
        noise={"wires": {"noise_seed": "number"}},
    )
    assert stayed == []
    wires = by_type(document, "Denoise").wires
    assert (wires["width"], wires["steps"], wires["seed"]) == ("number", "number", "number")
    assert by_type(document, "TextEncode").wires["prompt"] == "words"
    assert document.parameters["seed"] == "number.value"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"latent": {"settings": {"width": 128, "height": 64}}}, "not a multiple of 16, or is another one"),
        (
            {"latent": {"settings": {"width": 72, "height": 64}}, "sigmas": {"settings": {"width": 72}}},
            "not a multiple",
        ),
        ({"clip": {"settings": {"clip_name": "qwen_3_4b.safetensors"}}}, "another model's"),
        (
            {
                "guider": {
                    "type": "ComfyCFGGuider",
                    "wires": {"model": "unet", "positive": "text", "negative": "zeros"},
                },
                "zeros": {"type": "ComfyConditioningZeroOut", "wires": {"conditioning": "text"}},
            },
            "zeros",
        ),
        (
            {
                "guider": {
                    "type": "ComfyCFGGuider",
                    "settings": {"cfg": 0.5},
                    "wires": {"model": "unet", "positive": "text", "negative": "text"},
                }
            },
            "leads no such model away",
        ),
    ],
    ids=["schedule", "odd size", "encoder", "zeros", "cfg"],
)
def test_a_sampler_that_denoise_is_not_equal_to_stays(changes: dict[str, Any], reason: str) -> None:
    """The reason is said, once for all that leads it; what is beside it is rewritten."""
    document, stayed = rewritten(**changes)
    (line,) = [line for line in stayed if line.startswith("sampler ")]
    assert reason in line
    assert by_type(document, "VAEDecode")
    assert "ComfySamplerCustomAdvanced" in {node.type for node in document.nodes.values()}


@pytest.mark.parametrize("switch", [False, True])
def test_a_switch_that_is_set_is_decided(switch: bool) -> None:
    document, stayed = rewritten(
        flag={"type": "ComfyPrimitiveBoolean", "settings": {"value": switch}},
        few={"type": "ComfyPrimitiveInt", "settings": {"value": 4}},
        many={"type": "ComfyPrimitiveInt", "settings": {"value": 20}},
        choice={"type": "ComfyComfySwitchNode", "wires": {"switch": "flag", "on_false": "many", "on_true": "few"}},
        sigmas={"wires": {"steps": "choice"}},
    )
    assert stayed == []
    assert by_type(document, "Denoise").wires["steps"] == ("few" if switch else "many")
    assert {"flag", "choice"}.isdisjoint(document.nodes)


def test_a_cache_is_a_setting_only_where_there_are_references() -> None:
    """Without references it would be a fault of Denoise, and does nothing in ComfyUI."""
    document, _ = rewritten(
        cached={"type": "ComfyFluxKVCache", "wires": {"model": "unet"}},
        guider={"wires": {"model": "cached", "conditioning": "text"}},
    )
    assert "reference_cache" not in by_type(document, "Denoise").settings
    assert by_type(document, "Denoise").wires["transformer"] == "load_model.transformer"


def test_a_lora_behind_the_cache_stays_with_its_sampler() -> None:
    """ApplyLoRA takes a plain transformer, so nothing is torn apart."""
    lora = str(Path(__file__).parents[3] / "tiny" / "lora" / "moon.safetensors")
    document, stayed = rewritten(
        cached={"type": "ComfyFluxKVCache", "wires": {"model": "unet"}},
        lora={"type": "ComfyLoraLoaderModelOnly", "settings": {"lora_name": lora}, "wires": {"model": "cached"}},
        guider={"wires": {"model": "lora", "conditioning": "text"}},
    )
    assert any("behind the cache" in line for line in stayed)
    assert {"ComfyLoraLoaderModelOnly", "LoadModel"} <= {node.type for node in document.nodes.values()}


def test_files_are_loaded_by_our_nodes_for_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the model that each was made from as its base."""
    weights = Path(__file__).parents[3] / "tiny" / "weights"
    for folder, component in (("unet", "transformer"), ("clip", "text_encoder"), ("vae", "vae")):
        (tmp_path / folder).mkdir()
        (source,) = (weights / component).glob("*.safetensors")
        (tmp_path / folder / "mine.safetensors").symlink_to(source)
    monkeypatch.setenv(MODELS_ENV, str(tmp_path))
    document, stayed = rewritten(
        unet={"settings": {"unet_name": "mine.safetensors"}},
        clip={"settings": {"clip_name": "mine.safetensors"}},
        vae={"settings": {"vae_name": "mine.safetensors"}},
    )
    assert stayed == []
    for type_name, folder in (("LoadTransformer", "unet"), ("LoadTextEncoder", "clip"), ("LoadVAE", "vae")):
        file = str(tmp_path / folder / "mine.safetensors")
        assert by_type(document, type_name).settings == {"file": file, "base": "tiny"}


def many_drawings(count: int) -> Document:
    nodes = {}
    for number in range(count):
        for name, node in NODES.items():
            ends = ((port, wire.partition(".")) for port, wire in node.get("wires", {}).items())
            wires = {port: f"{source}_{number}{dot}{output}" for port, (source, dot, output) in ends}
            nodes[f"{name}_{number}"] = NodeDocument(**node | {"wires": wires})
    return Document(nodes=nodes)


def test_many_drawings_cost_no_more_each_than_few() -> None:
    """What is done for a sampler does not go through all nodes of the document."""
    one, few, many = (many_drawings(count) for count in (1, 20, 40))
    assert len(to_native(few)[0].nodes) == 20 * 4 + 1
    to_native(one)  # what is found out once
    assert calls(lambda: to_native(many)) < 2.5 * calls(lambda: to_native(few))
