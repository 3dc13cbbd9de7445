"""Faults in the protocol's form."""

from __future__ import annotations

import json
from typing import Any

import pytest

from limner.comfy.class_info import Here
from limner.comfy.classes import Classes
from limner.comfy.faults import MAX_FAULTS, MAX_SAID, MAX_TRACED, refusal
from limner.comfy.prompt import graph_of
from limner.engine.check import check
from limner.engine.errors import Fault, GraphError
from limner.engine.registry import Registry
from limner.nodes import NODES

REGISTRY = Registry(NODES)
CLASSES = Classes(REGISTRY)


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def refused(prompt: Any) -> dict[str, Any]:
    read = graph_of(prompt, CLASSES)
    faults = list(read.faults)
    try:
        check(read.graph, REGISTRY)
    except GraphError as error:
        known = {fault.path for fault in faults}
        faults += [fault for fault in error.faults if fault.path not in known]
    answer = refusal(faults, prompt, read.outputs, CLASSES, Here())
    return dict(json.loads(json.dumps(answer)))


def prompt_with(**nodes: Any) -> dict[str, Any]:
    return {
        "1": node("LoadModel"),
        "2": node("TextEncode", text_encoder=["1", 0], prompt="a star"),
        "3:1": node("Denoise", transformer=["1", 1], conditioning=["2", 0]),
        "4": node("LimnerVAEDecode", vae=["1", 2], latent=["3:1", 0]),
        "5": node("LimnerSaveImage", images=["4", 0]),
        **{name.replace("_", ":"): one for name, one in nodes.items()},
    }


def denoise(**inputs: Any) -> dict[str, Any]:
    return node("Denoise", **({"transformer": ["1", 1], "conditioning": ["2", 0]} | inputs))


@pytest.mark.parametrize(
    ("name", "one", "kind", "input_name", "said"),
    [
        ("3:1", denoise(steps=5000), "value_bigger_than_max", "steps", {"received_value": 5000}),
        ("3:1", denoise(steps=-2), "value_smaller_than_min", "steps", {"received_value": -2}),
        ("3:1", denoise(step_cache="all"), "value_not_in_list", "step_cache", {"received_value": "all"}),
        ("3:1", denoise(seed="7"), "invalid_input_type", "seed", {"received_value": "7"}),
        ("3:1", denoise(width=100), "custom_validation_failed", "width", {"received_value": 100}),
        ("3:1", denoise(conditioning=["1", 0]), "return_type_mismatch", "conditioning", {"received_type": "CLIP"}),
        ("3:1", denoise(conditioning=["1", 9]), "bad_linked_input", "conditioning", {"linked_node": ["1", 9]}),
        ("3:1", denoise(conditioning=None), "required_input_missing", "conditioning", {}),
        ("5", node("SaveModel", transformer=["1", 1], path=""), "required_input_missing", "path", {}),
        ("3:1", denoise(device="gpu"), "custom_validation_failed", "device", {"received_value": "gpu"}),
        ("3:1", denoise(offload="some"), "custom_validation_failed", "offload", {"received_value": "some"}),
        ("3:1", denoise(scheduler="x"), "unknown_input", "scheduler", {"received_value": "x"}),
        ("5", node("LimnerSaveImage", images=["4", 0], path="a.gif"), "custom_validation_failed", "path", {}),
    ],
)
def test_a_fault_is_at_its_node_and_input(name: str, one: Any, kind: str, input_name: str, said: Any) -> None:
    """Of the type that clients know, with what was sent and what the input is like."""
    answer = refused(prompt_with(**{name: one}))
    assert answer["error"]["type"] == "prompt_outputs_failed_validation"
    assert list(answer["node_errors"]) == [name]
    entry = answer["node_errors"][name]
    assert (entry["class_type"], entry["dependent_outputs"]) == (one["class_type"], ["5"])
    (error,) = entry["errors"]
    assert (error["type"], error["extra_info"]["input_name"]) == (kind, input_name)
    assert said.items() <= error["extra_info"].items()
    assert error["details"] in answer["error"]["details"]


def test_all_faults_come_at_once() -> None:
    """Of every node, several of one among them, and the first unknown type is what clients show first."""
    answer = refused(
        prompt_with(**{"3:1": denoise(steps=0.5, seed=-1), "2": node("TextEncod"), "5": node("SaveImage")})
    )
    kinds = {name: [error["type"] for error in one["errors"]] for name, one in answer["node_errors"].items()}
    assert kinds == {"2": ["missing_node_type"], "5": ["required_input_missing"]}
    answer = refused(prompt_with(**{"3:1": denoise(steps=0.5, seed=-1), "2": node("TextEncod")}))
    kinds = {name: [error["type"] for error in one["errors"]] for name, one in answer["node_errors"].items()}
    assert kinds == {"2": ["missing_node_type"], "3:1": ["invalid_input_type", "value_smaller_than_min"]}
    assert answer["error"]["type"] == "missing_node_type"
    assert answer["error"]["extra_info"]["node_id"] == "2"
    assert "did you mean TextEncode?" in answer["error"]["details"]


def test_a_cycle_is_named_by_its_path() -> None:
    """In the client's own ids."""
    prompt = prompt_with(**{"3:1": node("FeatherMask", mask=["4", 0]), "4": node("GrowMask", mask=["3:1", 0])})
    entries = refused(prompt)["node_errors"].values()
    (error,) = (one for entry in entries for one in entry["errors"] if one["type"] == "dependency_cycle")
    assert "4 -> 3:1 -> 4" in error["details"] or "3:1 -> 4 -> 3:1" in error["details"]


def test_messages_name_nodes_as_the_client_does() -> None:
    """Our ids and the names of our types do not come out."""
    answer = refused(prompt_with(**{"5": node("LimnerSaveImage", images=["3:1", 0])}))
    details = answer["node_errors"]["5"]["errors"][0]["details"]
    assert "3:1 gives Latent" in details
    assert "ComfyVAEDecode" not in details


def test_of_growing_sockets_the_first_is_named() -> None:
    """A fault of a list is at a socket that is there."""
    pictures = {
        "6": node("LoadReferenceImages", **{"images.image4": ["1", 0]}),
        "5": node("PreviewImage", images=["6", 0]),
    }
    answer = refused(prompt_with(**pictures))
    (error,) = answer["node_errors"]["6"]["errors"]
    assert error["extra_info"]["input_name"] == "images.image4"
    assert error["extra_info"]["input_config"][0] == "COMFY_AUTOGROW_V3"


@pytest.mark.parametrize("prompt", [{}, [], {"1": node("LoadModel")}])
def test_a_prompt_for_nothing_is_refused(prompt: Any) -> None:
    """With the type that clients know for it."""
    assert refused(prompt)["error"]["type"] == "prompt_no_outputs"


def test_a_long_value_is_not_told_again() -> None:
    """However many faults are in it, the answer stays short."""
    labels = [1] * 5000 + ["x" * 5000]
    answer = refused(
        {"1": node("Compare", labels=labels, **{"images.image0": ["1", 0]}), "2": node("PreviewImage", images=["1", 0])}
    )
    assert len(answer["node_errors"]["1"]["errors"]) > 500
    assert len(json.dumps(answer)) < 1_000_000
    assert len(json.dumps(refused(prompt_with(**{"3:1": denoise(steps="x" * 5000)})))) < 5000


def test_very_many_faults_are_told_in_bounded_words() -> None:
    """The first are told; which outputs need a node is looked for of fewer still."""
    prompt = {str(number): node("PreviewImage") for number in range(MAX_FAULTS + 500)}
    faults = [Fault("images: is not wired", ("nodes", name, "wires", "images"), None, "missing") for name in prompt]
    answer = refusal(faults, prompt, list(prompt), CLASSES, Here())
    assert len(answer["node_errors"]) == MAX_FAULTS
    traced = [one for one in answer["node_errors"].values() if one["dependent_outputs"]]
    assert len(traced) == MAX_TRACED


@pytest.mark.parametrize("value", ["-x-" * 2000, "a" * 6000 + "-x"])
def test_a_long_value_is_said_in_bounded_words(value: str) -> None:
    """What a client sends is not told again at any length; also not the hint that quotes it."""
    answer = refused(prompt_with(**{"3_1": denoise(device=value), "2": node("TextEncode", text_encoder=["1", 0])}))
    (error,) = answer["node_errors"]["3:1"]["errors"]
    assert len(error["details"]) < 2 * MAX_SAID + 100


def test_a_long_cycle_is_said_in_bounded_words() -> None:
    """Its path, as far as that can be read."""
    scaled = {str(i): node("ImageScaleToTotalPixels", image=[str((i + 1) % 2000), 0]) for i in range(2000)}
    answer = refused({**scaled, "p": node("PreviewImage", images=["0", 0])})
    (error,) = (one for found in answer["node_errors"].values() for one in found["errors"])
    assert error["type"] == "dependency_cycle"
    assert len(error["details"]) < 2 * MAX_SAID + 100


def test_ids_of_any_length_are_not_multiplied() -> None:
    """An output whose id is too long is a fault of its own, and not told with every node that it needs."""
    long = {f"{number}{'x' * 5000}": node("PreviewImage", images=["4", 0]) for number in range(20)}
    answer = refused(prompt_with() | {"3:1": denoise(steps=-2)} | long)
    assert answer["node_errors"]["3:1"]["dependent_outputs"] == ["5"]
