"""Prompts into graphs, and documents into prompts."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.comfy.as_prompt import prompt_of
from limner.comfy.classes import Classes
from limner.comfy.prompt import NO_OUTPUTS, UNKNOWN_TYPE, graph_of
from limner.comfy.prompt_nodes import BAD_LINK
from limner.engine.check import check
from limner.engine.context import Context
from limner.engine.document import Document, parse
from limner.engine.errors import GraphError
from limner.engine.flat import flat_document
from limner.engine.node import Node
from limner.engine.registry import Registry
from limner.graphs.library import GraphLibrary
from limner.nodes import NODES

REGISTRY = Registry(NODES)
CLASSES = Classes(REGISTRY)


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


PROMPT: Mapping[str, Any] = {
    "12:1": node("LoadModel", source="tiny"),
    "12:2": node("TextEncode", text_encoder=["12:1", 0], prompt="a star"),
    "12:3": node("Denoise", transformer=["12:1", 1], conditioning=["12:2", 0], steps=4, seed=7, device="cpu"),
    "4": node("LimnerVAEDecode", vae=["12:1", 2], latent=["12:3", 0]),
    "9": node("LimnerSaveImage", images=["4", 0], path="outputs/star.png"),
}


def read(prompt: Any, **options: Any) -> Document:
    found = graph_of(prompt, CLASSES, **options)
    assert found.faults == []
    document, faults = parse(found.graph)
    assert document is not None
    assert faults == []
    return document


def test_a_prompt_is_a_graph_that_checks() -> None:
    """Links become wires by the name of the output, inputs settings or device, ids what documents can hold."""
    document = read(PROMPT)
    assert set(document.nodes) == {"12-x3a-1", "12-x3a-2", "12-x3a-3", "4", "9"}
    denoise = document.nodes["12-x3a-3"]
    assert denoise.settings == {"steps": 4, "seed": 7}
    assert denoise.wires == {"transformer": "12-x3a-1.transformer", "conditioning": "12-x3a-2"}
    assert denoise.device == "cpu"
    assert document.nodes["9"].type == "SaveImage"
    check(document, REGISTRY)


def test_what_is_the_default_is_not_said() -> None:
    """A widget sends its value, touched or not; the graph stays as a person would write it."""
    touched = {**PROMPT, "12:3": node("Denoise", **PROMPT["12:3"]["inputs"], width="auto", guidance="auto", batch=1)}
    assert read(touched) == read(PROMPT)
    for weight, settings in ((1, {}), (1.0, {}), (True, {"weight": True}), (2, {"weight": 2})):
        prompt = {**PROMPT, "l": node("ApplyLoRA", transformer=["12:1", 1], weight=weight)}
        assert read(prompt, targets=["l"]).nodes["l"].settings == settings


def test_only_what_an_output_needs_is_read() -> None:
    """The rest of a canvas is no part of the graph, and may be unfinished."""
    assert read({**PROMPT, "20": node("Denoise"), "21": node("LimnerVAEDecode", latent=["20", 0])}) == read(PROMPT)


def test_targets_are_run_and_nothing_else() -> None:
    """Some outputs of several, or a node on the way; of what is not there, a fault says so."""
    two = {**PROMPT, "10": node("PreviewImage", images=["4", 0])}
    assert set(read(two, targets=["10"]).nodes) == set(read(PROMPT).nodes) - {"9"} | {"10"}
    assert set(read(two, targets=["12:2"]).nodes) == {"12-x3a-1", "12-x3a-2"}
    faults = graph_of(two, CLASSES, targets=["77"]).faults
    assert [fault.message for fault in faults] == ["there is no node '77' to run"]


def test_sockets_that_grow_keep_their_order() -> None:
    """By their numbers, whatever the order of the keys, also past nine."""
    images = {f"images.image{number}": [str(number), 0] for number in reversed(range(11))}
    files = {str(number): node("LimnerLoadImage", file=f"{number}.png") for number in range(11)}
    prompt = {**files, "r": node("LoadReferenceImages", **images), "x": node("PreviewImage", images=["r", 0])}
    document = read(prompt, targets=["r"])
    assert document.nodes["r"].wires == {"images": [str(number) for number in range(11)]}
    again = prompt_of(document, CLASSES)["r"]["inputs"]
    assert again == {f"images.image{number}": [str(number), 0] for number in range(11)}


def test_a_setting_may_be_wired() -> None:
    """A link to a widget's input is a wire to the setting."""
    prompt = {**PROMPT, "t": node("Text", value="a moon")}
    prompt["12:2"] = node("TextEncode", text_encoder=["12:1", 0], prompt=["t", 0])
    document = read(prompt)
    assert document.nodes["12-x3a-2"].wires["prompt"] == "t"
    check(document, REGISTRY)


def test_a_list_may_come_wrapped_or_as_it_is() -> None:
    """The editor wraps lists so that none is taken for a link."""
    for value in (["a", "b"], {"__value__": ["a", "b"]}, "a\nb"):
        prompt = {"1": node("Quantize", model=["2", 1], skip=value), "2": node("LoadModel")}
        assert read(prompt, targets=["1"]).nodes["1"].settings == {"skip": ["a", "b"]}


def test_pictures_are_found_by_the_clients_names() -> None:
    """Where a client brought a picture under a name, the graph names the file; also in a list."""
    place = {"photo.png": "uploads/abc.png"}.get
    prompt = {
        "1": node("LimnerLoadImage", file="photo.png"),
        "2": node("LoadReferenceImages", files="photo.png\nother.png"),
    }
    document = read(prompt, targets=["1", "2"], pictures=lambda name: place(name, name))
    assert document.nodes["1"].settings == {"file": "uploads/abc.png"}
    assert document.nodes["2"].settings == {"files": ["uploads/abc.png", "other.png"]}
    assert read({"1": node("LimnerLoadImage", file=None)}, targets=["1"]).nodes["1"].settings == {}


def test_further_settings_are_kept() -> None:
    """A node that takes settings without a name has an input for them, and takes them by name, too."""
    further = {"2": node("StructuredPrompt", scene="a star", further='{"weather": ["rain"]}', season="autumn")}
    document = read(further, targets=["2"])
    assert document.nodes["2"].settings == {"scene": "a star", "weather": ["rain"], "season": "autumn"}
    assert read(prompt_of(document, CLASSES), targets=["2"]) == document


class ComfyFlip(Node):
    """A thin node with inputs that are called as ours are."""

    category: ClassVar[str] = "comfyui"
    device: str = "default"

    def run(self, ctx: Context) -> int:
        return 1


def test_a_nodes_own_input_comes_first() -> None:
    """Where a class has an input called device, the graph's device has another name."""
    classes = Classes(Registry([ComfyFlip]))
    prompt = {"1": node("Flip", device="cpu", node_device="cuda:0", unheard_of=1)}
    found = graph_of(prompt, classes, targets=["1"])
    assert found.faults == []
    assert found.graph["nodes"]["1"] == {"type": "ComfyFlip", "settings": {"device": "cpu"}, "device": "cuda:0"}


@pytest.mark.parametrize(
    ("prompt", "where", "kind"),
    [
        ({**PROMPT, "4": node("VaeDecode")}, "nodes.4.type", UNKNOWN_TYPE),
        ({**PROMPT, "5": {"inputs": {}}}, "nodes.5", UNKNOWN_TYPE),
        ({**PROMPT, "5": []}, "nodes.5", UNKNOWN_TYPE),
        ({**PROMPT, "9": node("LimnerSaveImage", images=["4", 1])}, "nodes.9.wires.images", BAD_LINK),
        ({**PROMPT, "9": node("LimnerSaveImage", images=["4", 0.5])}, "nodes.9.wires.images", BAD_LINK),
        ({**PROMPT, "9": node("LimnerSaveImage", images=["77", 0])}, "nodes.9.wires.images", BAD_LINK),
        ({**PROMPT, "9": node("LimnerSaveImage", images="4")}, "nodes.9.wires.images", BAD_LINK),
        ({**PROMPT, "9": node("LimnerSaveImage", images=["4", 0], tiff=1)}, "nodes.9.settings.tiff", "extra_forbidden"),
        ({"1": node("StructuredPrompt", further="[1]"), "2": node("PreviewImage", images=["1", 0])}, "", "dict_type"),
        ({"a" * 300: node("PreviewImage")}, "", ""),
        ({"1": node("LoadModel")}, "", NO_OUTPUTS),
        ({}, "", NO_OUTPUTS),
        ([], "", NO_OUTPUTS),
    ],
)
def test_what_no_graph_could_say_is_a_fault(prompt: Any, where: str, kind: str) -> None:
    """Each with its place, and none hides another."""
    (fault,) = graph_of(prompt, CLASSES).faults
    assert fault.kind == kind
    assert not where or fault.where == where


VALUE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6)
    | st.sampled_from([["1", 0], ["1", 7], ["2", 0], ["nowhere", 0]]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(["images", "images.image0", "steps", "device", "offload", "model", "file", "further", "x", ""])
ANY_NODE = st.fixed_dictionaries(
    {"class_type": st.sampled_from([*CLASSES, "None"]), "inputs": st.dictionaries(NAMES, VALUE, max_size=4)}
)


@given(st.dictionaries(st.sampled_from(["1", "2", "3:4", "-x-", ""]), ANY_NODE | VALUE, max_size=4) | VALUE)
def test_whatever_is_sent_is_a_graph_or_faults(prompt: Any) -> None:
    """No prompt is a crash, here or in the check of what was read."""
    found = graph_of(prompt, CLASSES)
    assert found.faults or found.outputs
    with suppress(GraphError):
        check(found.graph, REGISTRY)


def _without_defaults(document: Document) -> dict[str, Any]:
    nodes = {}
    for node_id, one in document.nodes.items():
        defaults = CLASSES[CLASSES.names.classes[one.type]].defaults
        settings = {name: value for name, value in one.settings.items() if defaults.get(name, ...) != value}
        nodes[node_id] = one.model_copy(update={"settings": settings})
    return nodes


@pytest.mark.parametrize("template", GraphLibrary().names())
def test_every_template_comes_back(template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A document is the same after it was a prompt, but for defaults that it wrote out."""
    document, _ = parse(GraphLibrary().load(template))
    assert document is not None
    if any(one.type == "Graph" for one in document.nodes.values()):
        document = flat_document(check(document, REGISTRY, GraphLibrary()))
    prompt = prompt_of(document, CLASSES)
    assert read(prompt, targets=list(prompt)).nodes == _without_defaults(document)
    assert all(one["_meta"]["title"] for one in prompt.values())


def test_a_graph_as_a_node_has_no_form_in_a_prompt() -> None:
    """It is to be replaced by what it stands for before."""
    document, _ = parse({"limner": 1, "nodes": {"g": {"type": "Graph", "settings": {"graph": "text_to_image"}}}})
    assert document is not None
    with pytest.raises(GraphError, match="Graph has no form in a prompt"):
        prompt_of(document, CLASSES)


def test_only_the_first_unknown_inputs_get_a_hint() -> None:
    """Comparing names costs more than all else, and a request may hold a million of them; each is a fault."""
    inputs = {f"step{number}": number for number in range(1000)}
    faults = graph_of({"1": node("Denoise", **inputs)}, CLASSES, targets=["1"]).faults
    assert len(faults) == 1000
    assert [fault.hint for fault in faults] == ["did you mean steps?"] * 20 + [None] * 980


def test_a_long_chain_needs_no_stack() -> None:
    """However deep a prompt is."""
    length = 20_000
    links = {str(number): node("FeatherMask", mask=[str(number - 1), 0]) for number in range(1, length)}
    assert len(read({"0": node("LoadMask"), **links}, targets=[str(length - 1)]).nodes) == length
