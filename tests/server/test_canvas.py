"""What the editor shows as a graph file, and a graph file as it opens it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from limner.comfy.flatten import flatten

GRAPHS = Path(__file__).parents[2] / "graphs"


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
