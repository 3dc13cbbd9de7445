"""The nodes of ComfyUI's workflows one by one: what they are called, take, give, say and refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch

from limner.engine.errors import GraphError, InputError
from limner.engine.graph import Graph
from limner.engine.node import NodeType
from limner.engine.testing import FakeContext
from limner.nodes import Denoise, LoadModel, TextEncode
from limner.nodes import comfy as thin
from limner.nodes.comfy.values import AttachedConditioning
from limner.nodes.values import Conditioning, Image, Latent
from limner.session import Session


def picture(width: int, height: int) -> Image:
    rows = np.linspace(0, 255, height, dtype=np.uint8)[:, None, None]
    return Image(np.broadcast_to(rows, (height, width, 3)).copy()[None])


def attached(references: int = 0) -> AttachedConditioning:
    return AttachedConditioning(
        torch.ones(1, 4, 6), references=tuple(torch.ones(1, 16, 2, 2) for _ in range(references))
    )


@pytest.mark.parametrize("node", thin.NODES, ids=lambda node: node.__name__)
def test_a_thin_node_is_known_as_one(node: Any) -> None:
    """Its name is ComfyUI's behind Comfy, and its file is named after it."""
    assert node.category == "comfyui"
    name = node.__name__.removeprefix("Comfy")
    assert node.__module__.rpartition(".")[2].replace("_", "") == name.lower()


def test_the_order_of_inputs_is_that_of_workflows() -> None:
    """Outputs are referred to by slot, and inputs of some clients by order."""
    sampler = NodeType.of(thin.ComfySamplerCustomAdvanced)
    assert list(sampler.inputs) == ["noise", "guider", "sampler", "sigmas", "latent_image"]
    assert [port.name for port in sampler.outputs] == ["output", "denoised_output"]
    assert list(NodeType.of(thin.ComfyFlux2Scheduler).settings) == ["steps", "width", "height"]


def test_what_denoise_would_not_see_does_not_fit_it() -> None:
    """A conditioning with references and a transformer with a cache are faults at Denoise, before anything runs."""
    graph = Graph("mixed")
    model = graph.add(LoadModel())
    conditioning = graph.add(TextEncode(), text_encoder=model.text_encoder)
    guided = graph.add(thin.ComfyFluxGuidance(), conditioning=conditioning)
    caching = graph.add(thin.ComfyFluxKVCache(), model=model.transformer)
    graph.add(Denoise(), transformer=caching, conditioning=guided)
    with pytest.raises(GraphError) as caught:
        Session().check(graph)
    assert {str(fault.path[-1]) for fault in caught.value.faults} == {"transformer", "conditioning"}


@pytest.mark.parametrize(
    ("size", "settings", "scaled"),
    [
        ((2048, 1024), {}, (1448, 724)),
        ((64, 64), {"megapixels": 1.0}, (1024, 1024)),
        ((300, 200), {"megapixels": 0.05, "resolution_steps": 16}, (288, 192)),
        ((300, 200), {"megapixels": 0.05, "upscale_method": "lanczos"}, (280, 187)),
    ],
    ids=str,
)
def test_pictures_are_scaled_to_so_many_pixels(size: tuple[int, int], settings: Any, scaled: tuple[int, int]) -> None:
    """Up or down, with sides rounded; the plan says the same size."""
    from limner.nodes.sizes import PictureSizes

    node = thin.ComfyImageScaleToTotalPixels(**settings)
    pixels = node.run(FakeContext(), picture(*size)).pixels
    assert pixels.shape == (1, scaled[1], scaled[0], 3)
    known = node.forecast("cpu", {"image": PictureSizes((size,))})
    assert known is not None
    assert known.outputs == (PictureSizes((scaled,)),)


def test_a_picture_that_would_get_too_long_is_refused() -> None:
    with pytest.raises(InputError, match="would become"):
        thin.ComfyImageScaleToTotalPixels(megapixels=16).run(FakeContext(), picture(1, 20_000))


def test_the_size_of_a_picture() -> None:
    assert thin.ComfyGetImageSize().run(FakeContext(), picture(30, 20)) == (30, 20, 1)


def test_a_loaded_picture_brings_its_transparency(tmp_path: Path) -> None:
    """The mask is white where the picture is transparent, and black all over where nothing is."""
    pixels = np.full((4, 6, 4), 255, dtype=np.uint8)
    pixels[1, 2, 3] = 0
    PIL.Image.fromarray(pixels).save(tmp_path / "holes.png")
    PIL.Image.fromarray(pixels[..., :3]).save(tmp_path / "whole.png")
    image, mask = thin.ComfyLoadImage(image=str(tmp_path / "holes.png")).run(FakeContext())
    assert image.pixels.shape == (1, 4, 6, 3)
    assert mask.values[1, 2] == 255
    assert mask.values.sum() == 255
    assert not thin.ComfyLoadImage(image=str(tmp_path / "whole.png")).run(FakeContext()).mask.values.any()


def test_a_picture_that_is_not_there_is_a_fault_of_its_setting() -> None:
    assert [name for name, _ in thin.ComfyLoadImage(image="nowhere.png").problems()] == ["image"]


def test_pictures_are_numbered_as_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names go on from the first free number, and folders in a prefix are made."""
    monkeypatch.chdir(tmp_path)
    node = thin.ComfySaveImage(filename_prefix="sub/Flux2")
    batch = Image(np.concatenate([picture(8, 8).pixels] * 2))
    assert node.run(FakeContext(), batch).paths == ("outputs/sub/Flux2_00001_.png", "outputs/sub/Flux2_00002_.png")
    assert node.run(FakeContext(), picture(8, 8)).paths == ("outputs/sub/Flux2_00003_.png",)


def test_a_prefix_that_leads_out_stays_outside_of_servers() -> None:
    """A run with a folder of its own writes there, whatever the prefix says."""
    from limner.engine.output_folder import leads_out, place

    node = place(thin.ComfySaveImage(filename_prefix="sub/Flux2"), Path("/own"))
    assert isinstance(node, thin.ComfySaveImage)
    assert node._native.path == "/own/sub/Flux2_.png"
    assert leads_out("../Flux2")


def test_references_are_added_in_order() -> None:
    """Each comes behind those that are there; without latents nothing changes."""
    node, ctx = thin.ComfyReferenceLatent(), FakeContext()
    first, second = (Latent(torch.full((1, 16, 2, 2), float(value))) for value in (1, 2))
    found = node.run(ctx, node.run(ctx, Conditioning(torch.ones(1, 4, 6)), first), second)
    assert [float(tensor[0, 0, 0, 0]) for tensor in found.references] == [1, 2]
    assert node.run(ctx, found) is found


@pytest.mark.parametrize(("references", "batch", "message"), [(10, 1, "10 references"), (0, 2, "one picture")])
def test_a_reference_too_many(references: int, batch: int, message: str) -> None:
    latent = Latent(torch.ones(batch, 16, 2, 2))
    with pytest.raises(InputError, match=message):
        thin.ComfyReferenceLatent().run(FakeContext(), attached(references), latent)


def test_two_prompts_with_different_references_are_refused() -> None:
    """Where both are read; at cfg 1 the negative one is not."""
    from limner.nodes.specs import Transformer

    negative = AttachedConditioning(torch.ones(1, 4, 6), references=(torch.zeros(1, 16, 2, 2),))
    transformer = Transformer("tiny")
    with pytest.raises(InputError, match="different references"):
        thin.ComfyCFGGuider(cfg=2.0).run(FakeContext(), transformer, attached(1), negative)
    assert thin.ComfyCFGGuider(cfg=1.0).run(FakeContext(), transformer, attached(1), negative).negative is None


@pytest.mark.parametrize("switch", [False, True])
def test_a_switch_gives_on_one_of_two(switch: bool) -> None:
    assert thin.ComfyComfySwitchNode(switch=switch).run(FakeContext(), 20, 8) == (8 if switch else 20)


def test_another_sampler_than_eulers_is_a_fault() -> None:
    with pytest.raises(ValueError, match="euler"):
        thin.ComfyKSamplerSelect.model_validate({"sampler_name": "dpmpp_2m"})


@pytest.mark.parametrize(
    ("node", "size", "scaled"),
    [
        (thin.ComfyImageScale(width=60, height=40), (30, 20), (60, 40)),
        (thin.ComfyImageScale(width=60, height=0), (30, 20), (60, 40)),
        (thin.ComfyImageScale(width=0, height=1), (300, 20), (15, 1)),
        (thin.ComfyImageScale(width=0, height=0), (30, 20), (30, 20)),
        (thin.ComfyImageScaleBy(scale_by=0.5), (30, 20), (15, 10)),
        (thin.ComfyImageScaleBy(scale_by=1.5, upscale_method="lanczos"), (30, 21), (45, 32)),
    ],
    ids=str,
)
def test_pictures_are_scaled_to_a_size_or_by_a_factor(node: Any, size: Any, scaled: Any) -> None:
    """A side of 0 follows from the other; the plan says the same size, and the pixels are Pillow's."""
    from limner.nodes.sizes import PictureSizes

    pixels = node.run(FakeContext(), picture(*size)).pixels
    assert pixels.shape == (1, scaled[1], scaled[0], 3)
    assert node.forecast("cpu", {"image": PictureSizes((size,))}).outputs == (PictureSizes((scaled,)),)
    way = {"nearest-exact": PIL.Image.Resampling.NEAREST, "lanczos": PIL.Image.Resampling.LANCZOS}
    expected = PIL.Image.fromarray(picture(*size).pixels[0]).resize(scaled, way[node.upscale_method])
    assert np.array_equal(pixels[0], np.asarray(expected))


def test_a_picture_is_cut_in_its_middle_before_it_is_scaled() -> None:
    """To the new proportions, on both sides alike."""
    wide = np.zeros((10, 30, 3), dtype=np.uint8)
    wide[:, 10:20] = 200
    for image, node in (
        (wide, thin.ComfyImageScale(width=5, height=5, crop="center")),
        (wide.transpose(1, 0, 2).copy(), thin.ComfyImageScale(width=7, height=7, crop="center")),
    ):
        assert (node.run(FakeContext(), Image(image[None])).pixels == 200).all()
    stretched = thin.ComfyImageScale(width=5, height=5).run(FakeContext(), Image(wide[None])).pixels
    assert not (stretched == 200).all()


@pytest.mark.parametrize(("size", "box"), [((64, 4096), (4096, 16)), ((4096, 64), (16, 4096)), ((1, 1), (50, 1))])
def test_something_is_left_of_every_picture_that_is_cut(size: tuple[int, int], box: tuple[int, int]) -> None:
    """A strip thinner than a pixel is one: nothing would be black."""
    width, height = box
    white = Image(np.full((1, size[1], size[0], 3), 255, dtype=np.uint8))
    node = thin.ComfyImageScale(width=width, height=height, crop="center")
    assert (node.run(FakeContext(), white).pixels == 255).all()


@pytest.mark.parametrize("node", [thin.ComfyKSampler(denoise=0.5), thin.ComfyBasicScheduler(denoise=0.5)])
def test_less_than_all_noise_is_a_fault_that_names_inpaint(node: Any) -> None:
    ((setting, message),) = node.problems()
    assert setting == "denoise"
    assert "Inpaint" in message


def test_shared_values_are_known_before_they_run() -> None:
    """As ours, whose thin forms they are."""
    assert thin.ComfyPrimitiveFloat(value=2.5).known_outputs() == (2.5,)
    assert thin.ComfyPrimitiveString(value="a").known_outputs() == ("a",)


def planned(**nodes: Any) -> list[str]:
    """What a plan of thin nodes refuses, before anything is loaded."""
    plain: dict[str, Any] = {
        "unet": {"type": "ComfyUNETLoader", "settings": {"unet_name": "tiny"}},
        "clip": {"type": "ComfyCLIPLoader", "settings": {"clip_name": "tiny"}},
        "vae": {"type": "ComfyVAELoader", "settings": {"vae_name": "tiny"}},
        "text": {"type": "ComfyCLIPTextEncode", "wires": {"clip": "clip"}},
        "latent": {"type": "ComfyEmptyFlux2LatentImage", "settings": {"width": 64, "height": 64}},
        "draw": {
            "type": "ComfyKSampler",
            "settings": {"cfg": 2.0},
            "wires": {"model": "unet", "positive": "text", "negative": "text", "latent_image": "latent"},
        },
        "decode": {"type": "ComfyVAEDecode", "wires": {"samples": "draw", "vae": "vae"}},
        "save": {"type": "ComfySaveImage", "wires": {"images": "decode"}},
    }
    document = {"limner": 1, "nodes": {name: plain.get(name, {}) | nodes.get(name, {}) for name in plain | nodes}}
    try:
        Session(device="cpu").plan(document)
    except GraphError as error:
        return [str(fault) for fault in error.faults]
    return []


TWO: dict[str, Any] = {
    "two": {"type": "ComfyEmptyFlux2LatentImage", "settings": {"width": 64, "height": 64, "batch_size": 2}}
}


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        ({}, ""),
        (
            {
                **TWO,
                "more": {"type": "ComfyReferenceLatent", "wires": {"conditioning": "text", "latent": "two"}},
                "draw": {"wires": {"model": "unet", "positive": "more", "negative": "text", "latent_image": "latent"}},
            },
            "a reference is one picture, and these latents are 2 @ nodes.more",
        ),
        (
            {
                "more": {"type": "ComfyReferenceLatent", "wires": {"conditioning": "text", "latent": "latent"}},
                "draw": {
                    "settings": {"cfg": 2.0},
                    "wires": {"model": "unet", "positive": "text", "negative": "more", "latent_image": "latent"},
                },
            },
            "the positive and the negative conditioning have different references @ nodes.draw",
        ),
        (
            {
                **TWO,
                "draw": {
                    "settings": {"seed": 2**64 - 1},
                    "wires": {"model": "unet", "positive": "text", "negative": "text", "latent_image": "two"},
                },
            },
            "go past 18446744073709551615 @ nodes.draw",
        ),
        (
            {"clip": {"settings": {"clip_name": "black-forest-labs/FLUX.2-klein-4B"}}},
            "the conditioning is of width 7680, and this transformer reads 384 @ nodes.draw",
        ),
        (
            {
                "image": {"type": "ComfyEmptyFlux2LatentImage", "settings": {"width": 4096, "height": 4096}},
                "seen": {"type": "ComfyVAEDecode", "wires": {"samples": "image", "vae": "vae"}},
                "large": {"type": "ComfyImageScaleBy", "settings": {"scale_by": 8}, "wires": {"image": "seen"}},
                "save": {"type": "ComfySaveImage", "wires": {"images": "large"}},
            },
            "the picture would become 32768x32768; a side has 1 to 16384 pixels @ nodes.large",
        ),
    ],
    ids=["sound", "batch", "references", "seeds", "encoder", "size"],
)
def test_what_a_run_would_refuse_is_refused_by_the_plan(nodes: Any, said: str) -> None:
    """At its node, and with nothing loaded."""
    found = planned(**nodes)
    assert bool(found) == bool(said)
    assert not said or said in found[0]
