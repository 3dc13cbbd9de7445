"""Workflows as the editor saves them: subgraphs, reroutes, bypassed and muted nodes, widgets."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parent))  # importlib mode adds no folder by itself
from drawn import REGISTRY, flat, inputs_of, node, subgraph, wired, workflow  # found through the line above

from limner.comfy.imported import import_graph
from limner.comfy.workflow import BYPASSED, MUTED
from limner.engine.errors import GraphError


def test_widgets_are_read_in_their_order() -> None:
    """Values stand for settings one after another; what the editor does with a number is none of them."""
    scheduler = node(1, "Flux2Scheduler", values=(4, 512, 256))
    noise = node(2, "RandomNoise", values=(7, "randomize"))
    size = node(3, "PrimitiveInt", values=(8, "fixed"))
    picture = node(4, "LoadImage", values=("a.png", "image"))
    found = flat(workflow([scheduler, noise, size, picture], [])).prompt
    assert found["1"]["inputs"] == {"steps": 4, "width": 512, "height": 256}
    assert found["2"]["inputs"] == {"noise_seed": 7}
    assert found["3"]["inputs"] == {"value": 8}
    assert found["4"]["inputs"] == {"image": "a.png"}


def test_widgets_may_have_their_names() -> None:
    assert inputs_of(workflow([node(1, "Flux2Scheduler", values={"steps": 4})], []), "1") == {"steps": 4}


def test_a_wire_counts_before_the_widget_that_it_leads_to() -> None:
    raw = workflow(
        [
            node(1, "PrimitiveInt", values=(8, "fixed")),
            node(2, "Flux2Scheduler", wired("steps", 5), values=(4, 512, 256)),
        ],
        [[5, 1, 0, 2, 0, "INT"]],
    )
    assert inputs_of(raw, "2") == {"steps": ["1", 0], "width": 512, "height": 256}


@pytest.mark.parametrize(
    ("between", "expected"),
    [
        (node(3, "Reroute", wired("", 6)), ["1", 0]),
        (node(3, "PrimitiveNode", values=(9, "fixed")), 9),
        (node(3, "PrimitiveInt", wired("value", 6), values=(7, "fixed"), mode=BYPASSED), ["1", 0]),
        (node(3, "PrimitiveInt", values=(7, "fixed"), mode=BYPASSED), 4),
        (node(3, "PrimitiveInt", wired("value", 6), values=(7, "fixed"), mode=MUTED), 4),
    ],
    ids=["reroute", "primitive", "bypassed", "bypassed-dead-end", "muted"],
)
def test_what_lies_on_the_way(between: dict[str, Any], expected: Any) -> None:
    """Reroutes and bypassed nodes let wires through; what is muted gives nothing, and the widget counts."""
    raw = workflow(
        [
            node(1, "PrimitiveInt", values=(8, "fixed")),
            between,
            node(2, "Flux2Scheduler", wired("steps", 5), values=(4, 512, 256)),
        ],
        [[6, 1, 0, 3, 0, "INT"], [5, 3, 0, 2, 0, "INT"]],
    )
    assert inputs_of(raw, "2")["steps"] == expected
    assert "3" not in flat(raw).prompt


def doubled() -> list[dict[str, Any]]:
    """A subgraph with an integer in it, inside another that passes its input on."""
    inner = subgraph(
        "inner",
        [node(1, "PrimitiveInt", wired("value", 1), values=(5, "fixed"))],
        [(1, -10, 0, 1, 0), (2, 1, 0, -20, 0)],
        [{"name": "value", "type": "INT", "label": "how many"}],
    )
    outer = subgraph(
        "outer",
        [node(7, "inner", wired("value", 1))],
        [(1, -10, 0, 7, 0), (2, 7, 0, -20, 0)],
        [{"name": "value", "type": "INT"}],
    )
    return [inner, outer]


@pytest.mark.parametrize(
    ("use", "value"),
    [
        (node(3, "outer", wired("value", None)), 5),
        (node(3, "outer", wired("value", None), values=(9,)), 9),
        (node(3, "outer", wired("value", None), values={"value": 9}), 9),
        (node(3, "outer", values=(9, "fixed"), properties={"proxyWidgets": [["-1", "value"], ["-1", "control"]]}), 9),
    ],
    ids=["inner", "in order", "by name", "by proxies"],
)
def test_subgraphs_are_taken_apart(use: dict[str, Any], value: int) -> None:
    """Wires lead to the node inside, whose id has the way to it; values come from as far out as they are set."""
    scheduler = node(2, "Flux2Scheduler", wired("steps", 5), values=(4, 512, 256))
    raw = workflow([use, scheduler], [[5, 3, 0, 2, 0, "INT"]], doubled())
    assert inputs_of(raw, "2")["steps"] == ["3:7:1", 0]
    assert inputs_of(raw, "3:7:1") == {"value": value}


def test_a_wire_into_a_subgraph_reaches_the_innermost_node() -> None:
    raw = workflow(
        [node(4, "PrimitiveInt", values=(1, "fixed")), node(3, "outer", wired("value", 9))],
        [[9, 4, 0, 3, 0, "INT"]],
        doubled(),
    )
    assert inputs_of(raw, "3:7:1") == {"value": ["4", 0]}
    assert flat(raw).labels[("3:7:1", "value")] == "how many"


def test_a_bypassed_subgraph_lets_wires_through() -> None:
    raw = workflow(
        [
            node(4, "PrimitiveInt", values=(1, "fixed")),
            node(3, "outer", wired("value", 9), mode=BYPASSED),
            node(2, "Flux2Scheduler", wired("steps", 5), values=(4, 512, 256)),
        ],
        [[9, 4, 0, 3, 0, "INT"], [5, 3, 0, 2, 0, "INT"]],
        doubled(),
    )
    assert inputs_of(raw, "2")["steps"] == ["4", 0]


def test_a_proxy_sets_an_inner_widget() -> None:
    """A value that the subgraph's node shows for an inner node is that node's."""
    use = node(3, "inner", values=(9, "fixed"), properties={"proxyWidgets": [["1", "value"], ["1", "control"]]})
    assert inputs_of(workflow([use], [], doubled()), "3:1") == {"value": 9}


def test_notes_and_tools_of_the_editor_are_left_out() -> None:
    """What nobody knows and nothing is wired to does not stop a workflow, and is said."""
    raw = workflow([node(1, "MarkdownNote", gives=[]), node(2, "Label (rgthree)", gives=[])], [])
    assert flat(raw).prompt == {}
    assert flat(raw).left_out == ("Label (rgthree) 2",)


def test_what_cannot_be_mapped_is_said_node_by_node() -> None:
    """All of it at once, with the workflow's ids and classes."""
    raw = workflow(
        [
            node(1, "KSamplerAdvanced", wired("model", 1, "MODEL"), gives=["LATENT"]),
            node(2, "KSamplerSelect", values=("dpmpp_2m",)),
            node(
                3,
                "SamplerCustomAdvanced",
                wired("sampler", 3, "SAMPLER"),
                wired("latent_image", 6, "LATENT"),
                gives=["LATENT"],
            ),
            node(4, "VAEDecode", wired("samples", 4, "LATENT"), gives=["IMAGE"]),
            node(5, "SaveImage", wired("images", 5, "IMAGE"), values=("x",), gives=[]),
        ],
        [
            [1, 2, 0, 1, 0, "MODEL"],
            [3, 2, 0, 3, 2, "SAMPLER"],
            [4, 3, 0, 4, 0, "LATENT"],
            [5, 4, 0, 5, 0, "IMAGE"],
            [6, 1, 0, 3, 4, "LATENT"],
        ],
    )
    with pytest.raises(GraphError) as caught:
        import_graph(raw, REGISTRY)
    said = [str(fault) for fault in caught.value.faults]
    assert any("unknown node type KSamplerAdvanced" in line for line in said)
    assert any("sampler_name" in line and "2 (KSamplerSelect)" in line for line in said)
    assert any("vae: is not wired" in line and "4 (VAEDecode)" in line for line in said)


def test_a_wire_without_a_line_is_a_wire() -> None:
    """What SetNode is wired to is what GetNode of the same name gives, in subgraphs too, and neither is left."""
    get = node(3, "GetNode", values=("steps",))
    scheduler = node(2, "Flux2Scheduler", wired("steps", 5), values=(4, 512, 256))
    sources = [
        node(1, "PrimitiveInt", values=(8, "fixed")),
        node(4, "SetNode", wired("INT", 6), values=("steps",)),
        node(9, "SetNode", wired("INT", 7), values=("other",)),
    ]
    plain = workflow([*sources, get, scheduler], [[6, 1, 0, 4, 0, "INT"], [5, 3, 0, 2, 0, "INT"]])
    assert inputs_of(plain, "2")["steps"] == ["1", 0]
    assert set(flat(plain).prompt) == {"1", "2"}
    inner = subgraph("inner", [get, scheduler], [(5, 3, 0, 2, 0)], [])
    assert inputs_of(workflow([*sources, node(7, "inner")], [[6, 1, 0, 4, 0, "INT"]], [inner]), "7:2")["steps"] == [
        "1",
        0,
    ]
    lost = workflow([node(3, "GetNode", values=("nothing",)), scheduler], [[5, 3, 0, 2, 0, "INT"]])
    assert inputs_of(lost, "2")["steps"] == 4


def test_what_only_shows_does_not_stop_a_workflow() -> None:
    """Unknown nodes that no output needs are left out and said; one that an output needs is a fault with a way out."""
    prompt = {
        "0": {"class_type": "EmptyFlux2LatentImage", "inputs": {}},
        "1": {"class_type": "VAEDecode", "inputs": {"samples": ["0", 0], "vae": ["9", 0]}},
        "9": {"class_type": "VAELoader", "inputs": {"vae_name": "tiny"}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}},
        "3": {"class_type": "Image Comparer (rgthree)", "inputs": {"image_a": ["1", 0]}},
        "4": {"class_type": "easy cleanGpuUsed", "inputs": {"anything": ["3", 0]}},
    }
    found = import_graph(prompt, REGISTRY)
    assert found.left_out == ("Image Comparer (rgthree) 3", "easy cleanGpuUsed 4")
    assert len(found.document.nodes) == 4
    scaled = {"class_type": "ImageUpscaleWithModel", "inputs": {"image": ["1", 0]}}
    with pytest.raises(GraphError) as caught:
        import_graph(prompt | {"2": {"class_type": "SaveImage", "inputs": {"images": ["5", 0]}}, "5": scaled}, REGISTRY)
    (fault,) = [fault for fault in caught.value.faults if "unknown node type" in fault.message]
    assert "5 (ImageUpscaleWithModel)" in str(fault)
    assert fault.hint is not None
    assert "ImageScaleBy" in fault.hint


def test_a_subgraph_without_its_definition_is_said_to_lack_it() -> None:
    """Never by the bare id of the definition alone, and never left out, also where nothing is wired to it."""
    lost = "7b34ab90-36f9-45ba-a665-71d418f0df18"
    save = node(2, "SaveImage", wired("images", 1, "IMAGE"), values=("x",), gives=[])
    with pytest.raises(GraphError) as caught:
        import_graph(workflow([node(1, lost, gives=["IMAGE"]), save], [[1, 1, 0, 2, 0, "IMAGE"]]), REGISTRY)
    assert f"the workflow lacks the definition of the subgraph {lost}" in str(caught.value)
    with pytest.raises(GraphError, match="lacks the definition"):
        import_graph(workflow([node(1, lost, gives=[])], []), REGISTRY)


def test_what_a_workflow_is_for_is_not_left_out() -> None:
    """Where all that is known only loads and shows, what is unknown is said, and not the rest imported."""
    prompt = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "a.png"}},
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
        "3": {"class_type": "CreateVideo", "inputs": {"images": ["1", 0]}},
    }
    with pytest.raises(GraphError) as caught:
        import_graph(prompt, REGISTRY)
    assert "no videos" in str(caught.value)


def test_many_nodes_of_one_unknown_class_are_one_fault() -> None:
    """With their number, so that what else is wrong is not buried."""
    prompt = {str(i): {"class_type": "Odd", "inputs": {"on": [str(i - 1), 0]} if i else {}} for i in range(50)}
    with pytest.raises(GraphError) as caught:
        import_graph(prompt | {"50": {"class_type": "SaveImage", "inputs": {"images": ["49", 0]}}}, REGISTRY)
    (fault,) = caught.value.faults
    assert fault.message == "unknown node type Odd, of 50 nodes"
    assert fault.hint is None


def test_a_lora_loader_becomes_the_one_for_the_model_alone() -> None:
    """Its text encoder goes past it, through several in a row: then all that is known of LoRAs holds."""
    prompt: dict[str, Any] = {
        "1": {"class_type": "UNETLoader", "inputs": {"unet_name": "tiny"}},
        "2": {"class_type": "CLIPLoader", "inputs": {"clip_name": "tiny", "type": "flux2"}},
        "5": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["4", 1], "text": "a"}},
        "6": {"class_type": "EmptyFlux2LatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
        "7": {
            "class_type": "KSampler",
            "inputs": {
                "model": ["4", 0],
                "positive": ["5", 0],
                "negative": ["5", 0],
                "latent_image": ["6", 0],
                "cfg": 1,
            },
        },
        "8": {"class_type": "VAELoader", "inputs": {"vae_name": "tiny"}},
        "9": {"class_type": "VAEDecode", "inputs": {"samples": ["7", 0], "vae": ["8", 0]}},
        "10": {"class_type": "SaveImage", "inputs": {"images": ["9", 0]}},
    }
    for name, before in (("3", ("1", "2")), ("4", ("3", "3"))):
        wires = {"model": [before[0], 0], "clip": [before[1], 0 if before[1] == "2" else 1]}
        inputs = {"lora_name": f"{name}.safetensors", "strength_model": 0.5, "strength_clip": 0.9, **wires}
        prompt[name] = {"class_type": "LoraLoader", "inputs": inputs}
    document = import_graph(prompt, REGISTRY).document
    kinds = {node_id: one.type for node_id, one in document.nodes.items()}
    assert "ComfyLoraLoader" not in kinds.values()
    (encode,) = [one for one in document.nodes.values() if one.type == "ComfyCLIPTextEncode"]
    assert kinds[str(encode.wires["clip"])] == "ComfyCLIPLoader"
    (sampler,) = [one for one in document.nodes.values() if one.type == "ComfyKSampler"]
    assert kinds[str(sampler.wires["model"])] == "ComfyLoraLoaderModelOnly"
    assert {"prompt", "seed", "steps", "cfg", "lora", "lora_2", "model", "width"} <= document.parameters.keys()
