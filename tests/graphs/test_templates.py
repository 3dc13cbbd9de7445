"""The templates: sound, described, and each draws a picture on the embedded model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import safetensors.torch
import torch

from limner import Graph, GraphError, Session
from limner.engine.device import Device, DeviceTable
from limner.engine.document import Document
from limner.engine.parameters import describe
from limner.engine.plan import make_plan
from limner.graphs import GraphLibrary
from limner.nodes.values import Files, Table

NAMES = GraphLibrary().names()
FOR_A_CARD = {"cpu_offload_62gb", "flash_attention_3", "group_offload_8gb", "group_offload_low_ram_10gb"}
"""Templates that say how a graphics card is to be used, which a processor cannot do."""
CARD = DeviceTable([Device("cuda:0", 80 << 30, is_here=False), Device("cpu", 128 << 30, is_here=False)])
SMALL = {"steps": 2, "width": 64, "height": 64}
SHEETS = {"quantization_compare": (2 * (256 + 12) + 12, 5 * (256 + 2 * 24 + 12) + 24)}
"""Sizes of the pictures of templates that show more than one."""
NEEDED = {
    "images": ["a.png"],
    "image": "a.png",
    "mask": "b.png",
    "lora": "a.safetensors",
    "second_lora": "a.safetensors",
}


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    """A session for all tests of this file."""
    with Session() as session:
        yield session


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working folder with two pictures to refer to and a LoRA."""
    monkeypatch.chdir(tmp_path)
    sides = {"A": torch.ones(1, 192), "B": torch.ones(32, 1)}
    layers = {f"transformer.proj_out.lora_{side}.weight": tensor for side, tensor in sides.items()}
    safetensors.torch.save_file(layers, "a.safetensors")
    for name in ("a.png", "b.png"):
        PIL.Image.new("RGB", (64, 64), "red").save(name)


def values_for(session: Session, name: str) -> dict[str, Any]:
    """Values that make a template quick, and those that it cannot do without."""
    offered = {p.name for p in describe(session.document(name), session.registry, session.library)}
    return {key: value for key, value in (SMALL | NEEDED | {"model": "tiny"}).items() if key in offered}


def services_for(name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Values of a template that asks another machine: a service that is started for it."""
    if "remote_encoder" not in name and "group_offload" not in name:
        return {}
    encoder = request.getfixturevalue("encoder")
    monkeypatch.setenv("LIMNER_TOKEN", encoder.token)
    return {"url": encoder.url}


def for_a_processor(document: Document) -> Document:
    """The same graph without offload and without an attention of its own."""
    raw = json.loads(document.to_json())
    for node in raw["nodes"].values():
        node.pop("offload", None)
        node.get("settings", {}).pop("attention", None)
    return Document.model_validate(raw)


def test_there_are_templates() -> None:
    """The main jobs have a template each."""
    plain = {"text_to_image", "edit_with_references", "inpaint", "klein_4b", "klein_9b", "klein_base_cfg"}
    smaller = {"nf4_20gb", "remote_encoder_nf4_18gb", "quantization_compare"}
    assert plain | smaller | {"lora", "lora_stack"} | FOR_A_CARD <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_template_is_well_described(session: Session, name: str) -> None:
    """Its name is its file's; it has a description, and each parameter a schema, a description and a sound default."""
    document = session.document(name)
    assert document.name == name
    assert document.description.endswith(".")
    assert document.outputs
    parameters = describe(document, session.registry, session.library)
    assert {"prompt", "seed", "model"} <= {parameter.name for parameter in parameters}
    for parameter in parameters:
        assert parameter.schema.get("description"), parameter.name
        assert {"type", "anyOf"} & set(parameter.schema), parameter.name


@pytest.mark.parametrize("name", NAMES)
def test_a_template_is_sound(session: Session, name: str) -> None:
    """Every template checks without a fault, and its file is in the form in which graphs are saved."""
    checked = session.check(name, values_for(session, name))
    assert checked.nodes
    file = json.loads((Path(__file__).parents[2] / "graphs" / f"{name}.json").read_text())
    assert json.loads(Graph.of(checked.document).document().to_json()).keys() == file.keys()


@pytest.mark.parametrize("name", NAMES)
def test_a_template_draws(
    session: Session, name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every template draws a picture on the embedded model; what only a card can do is left out."""
    graph = session.document(name)
    if name in FOR_A_CARD:
        graph = for_a_processor(graph)
    result = session.run(graph, **values_for(session, name), **services_for(name, request, monkeypatch))
    (files,) = result.outputs["save"].values()
    with PIL.Image.open(files.paths[0]) as image:
        assert image.size == SHEETS.get(name, (64, 64))


def test_inpaint_changes_nothing_outside_the_mask(session: Session) -> None:
    """As its description says: every pixel where the mask is black is the picture's own."""
    rng = np.random.default_rng(0)
    picture, mask = rng.integers(0, 256, (64, 64, 3), np.uint8), np.zeros((64, 64), np.uint8)
    mask[20:44, 12:51] = 255
    PIL.Image.fromarray(picture).save("picture.png")
    PIL.Image.fromarray(mask).save("mask.png")
    result = session.run("inpaint", image="picture.png", mask="mask.png", steps=2)
    (files,) = result.outputs["save"].values()
    painted = np.asarray(PIL.Image.open(files.paths[0]))
    np.testing.assert_array_equal(painted[mask == 0], picture[mask == 0])
    assert (painted[mask == 255] != picture[mask == 255]).any()


@pytest.mark.parametrize("name", sorted(FOR_A_CARD))
def test_a_template_for_a_card_is_planned_for_one(session: Session, name: str) -> None:
    """It is placed as its file says on a machine with a card, and refused with a reason on one without."""
    graph = session.document(name)
    plan = make_plan(session.check(name, {"model": "tiny"}), CARD)
    said = {key: node.offload.mode for key, node in graph.nodes.items() if node.offload.mode != "auto"}
    assert {step.node.id: step.offload.mode for step in plan.steps if step.node.id in said} == said
    assert said or graph.nodes["denoise"].settings["attention"] == "_flash_3_hub"
    with pytest.raises(GraphError) as caught:
        make_plan(session.check(name, {"model": "tiny"}), DeviceTable([Device("cpu")]))
    assert {fault.path[1] for fault in caught.value.faults} == set(said or ["denoise"])


def test_a_picture_is_the_same_wherever_its_prompt_was_encoded(
    session: Session, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The template with a remote encoder draws the pixels of the same graph with TextEncode in its place."""
    service = services_for("remote_encoder", request, monkeypatch)
    torch.set_num_threads(1)  # as the service has
    document = session.document("remote_encoder_nf4_18gb").to_json()
    nodes = json.loads(document)["nodes"]
    here = {"type": "TextEncode", "settings": {"prompt": nodes["encode"]["settings"]["prompt"]}}
    local = {
        "limner": 1,
        "name": "local",
        "nodes": nodes | {"encode": here | {"wires": {"text_encoder": "model.text_encoder"}}},
    }
    for name, values in (("remote", service), ("local", {})):
        graph = session.document("remote_encoder_nf4_18gb" if name == "remote" else local)
        session.run(
            graph, **{f"denoise.{key}": value for key, value in SMALL.items()}, **values, **{"save.path": f"{name}.png"}
        )
    with PIL.Image.open("remote.png") as remote, PIL.Image.open("local.png") as expected:
        assert remote.tobytes() == expected.tobytes()


def test_the_comparison_comes_with_a_table(session: Session) -> None:
    """``quantization_compare`` says of each way how far it is from full precision."""
    result = session.run("quantization_compare", **SMALL, **{"save_table.path": "figures.json"})
    full, *others = Table.from_bytes(Path("figures.json").read_bytes()).records()
    whole = full["weights_bytes"]
    assert full == {"label": "full precision", "weights_bytes": whole, "psnr_db": None, "ssim": pytest.approx(1)}
    assert all(row["weights_bytes"] < 0.3 * whole for row in others)
    assert [row["label"] for row in others] == ["nf4", "nf4 double_quant", "int8", "layerwise fp8"]
    assert all(10 < row["psnr_db"] < 100 and 0 < row["ssim"] < 1 for row in others)
    paths = {path for files in result.values(Files) for path in files.paths}
    assert paths == {"outputs/quantization.png", "figures.json"}


def test_a_template_that_lacks_something_names_the_parameter(session: Session) -> None:
    """A template without what it needs says which parameter to give, before anything runs."""
    with pytest.raises(GraphError) as caught:
        session.check("edit_with_references")
    (fault,) = caught.value.faults
    assert fault.hint == "set files, or give the parameter images"


def test_a_template_is_a_node_of_another_graph(session: Session) -> None:
    """A graph draws with a template, then changes the picture with another."""
    graph = {
        "limner": 1,
        "name": "two",
        "nodes": {
            "first": {"type": "Graph", "settings": {"graph": "text_to_image", "prompt": "a star", **SMALL}},
            "show": {"type": "PreviewImage", "wires": {"images": "first.image"}},
        },
    }
    result = session.run(graph)
    assert result.outputs["show"]["image"].pixels.shape == (1, 64, 64, 3)
