"""What the editor shows as a graph file, and a graph file as it opens it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from limner.comfy.faults import MAX_SAID
from limner.comfy.flatten import flatten

GRAPHS = Path(__file__).parents[3] / "graphs"


async def opened(api: Any, graph: Any) -> Any:
    return (await api.ask("POST", "/v1/editor/workflow", {"graph": graph})).json["workflow"]


async def exported(api: Any, workflow: Any) -> tuple[Any, list[Any]]:
    """The file, and what is said of it."""
    prompt = flatten(workflow, api.service.comfy.classes).prompt
    answer = await api.ask("POST", "/v1/editor/graph", {"prompt": prompt, "workflow": workflow})
    assert answer.status == 200, answer.body
    return json.loads(answer.json["text"]), answer.json.get("faults", [])


@pytest.mark.parametrize("name", ["edit_with_references", "inpaint", "lora", "remote_encoder_nf4_18gb"])
def test_templates_that_cannot_run_yet_are_exported(serving: Any, name: str) -> None:
    """As they are, with what is missing, such as a picture, said beside them."""
    graph = json.loads((GRAPHS / f"{name}.json").read_text())

    async def use(api: Any) -> None:
        workflow = await opened(api, graph)
        file, faults = await exported(api, workflow)
        assert (file["nodes"], file["parameters"]) == (graph["nodes"], graph["parameters"])
        assert faults
        assert {fault["node"] for fault in faults} <= {str(node["id"]) for node in workflow["nodes"]}

    serving(use)


def test_a_graph_in_a_graph_keeps_what_people_set(serving: Any) -> None:
    """Its parameters and outputs lead to the nodes that stand for it."""
    graph = json.loads((GRAPHS / "product_shot_variant.json").read_text())

    async def use(api: Any) -> None:
        file, _ = await exported(api, await opened(api, graph))
        assert list(file["parameters"]) == list(graph["parameters"])
        assert "shot-denoise.steps" in file["parameters"]["steps"]
        assert list(file["outputs"]) == ["image"]

    serving(use)


def test_what_a_file_cannot_say_is_refused(serving: Any) -> None:
    """A node of a type that is not here has no form in a file."""

    async def use(api: Any) -> None:
        prompt = {"1": {"class_type": "Nothing", "inputs": {}}}
        assert (await api.ask("POST", "/v1/editor/graph", {"prompt": prompt})).status == 422

    serving(use)


def test_faults_have_the_ids_of_the_canvas(serving: Any) -> None:
    """Whatever the file calls the node."""

    async def use(api: Any) -> None:
        prompt = {"5:7": {"class_type": "LimnerVAEDecode", "inputs": {}}}
        answer = (await api.ask("POST", "/v1/editor/graph", {"prompt": prompt})).json
        assert {fault["node"] for fault in answer["faults"]} == {"5:7"}
        assert list(json.loads(answer["text"])["nodes"]) == ["vae_decode"]

    serving(use)


@pytest.mark.parametrize("path", ["plan", "graph"])
def test_faults_are_in_the_words_of_the_canvas(serving: Any, path: str) -> None:
    """Whatever a message or a hint names, it has the id and the name that the editor shows."""

    async def use(api: Any) -> None:
        scaled = {"class_type": "ImageScale", "inputs": {"image": ["75:2", 0]}}
        wrong = {"class_type": "LimnerVAEDecode", "inputs": {"latent": ["75:1", 0], "vae": ["1", 2]}}
        prompt = {"1": {"class_type": "LoadModel", "inputs": {}}, "75:1": scaled, "75:2": wrong}
        said = (await api.ask("POST", f"/v1/editor/{path}", {"prompt": prompt | output("75:2")})).json["faults"]
        text = json.dumps(said)
        assert "takes Latent, but 75:1 gives Image" in text
        assert "KSampler" in text
        assert "-x3a-" not in text
        assert "Comfy" not in text

    serving(use)


def test_a_long_fault_is_cut(serving: Any) -> None:
    """A cycle through very many nodes does not name them all."""

    async def use(api: Any) -> None:
        ring = {
            f"7:{number}": {"class_type": "ImageScale", "inputs": {"image": [f"7:{(number + 1) % 500}", 0]}}
            for number in range(500)
        }
        answer = await api.ask("POST", "/v1/editor/plan", {"prompt": ring | output("7:0")})
        (message,) = (fault["message"] for fault in answer.json["faults"] if "cycle" in fault["message"])
        assert "7:0 -> 7:499 -> " in message
        assert len(message) <= MAX_SAID + 3

    serving(use)


def test_what_cannot_be_placed_is_a_fault_of_its_node(serving: Any) -> None:
    """A device that is not here is told as any other fault."""

    async def use(api: Any) -> None:
        workflow = await opened(api, json.loads((GRAPHS / "text_to_image.json").read_text()))
        prompt = flatten(workflow, api.service.comfy.classes).prompt
        (denoise,) = (name for name, node in prompt.items() if node["class_type"] == "Denoise")
        prompt[denoise]["inputs"]["device"] = "cuda:99"
        answer = await api.ask("POST", "/v1/editor/plan", {"prompt": prompt})
        assert answer.status == 200
        assert [fault["node"] for fault in answer.json["faults"]] == [denoise]
        assert "no cuda:99" in answer.json["faults"][0]["message"]

    serving(use)


def output(source: str) -> dict[str, Any]:
    """A node that saves what another gives."""
    return {"9": {"class_type": "LimnerSaveImage", "inputs": {"images": [source, 0]}}}
