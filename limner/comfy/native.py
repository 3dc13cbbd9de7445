"""An imported workflow in our own nodes, wherever they do the same: fewer nodes, and settings where ours have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from limner.comfy.import_parameters import native_parameters_of
from limner.comfy.native_drawing import UNET_LOADERS, drawing_of
from limner.comfy.native_graph import NativeGraph, source_of
from limner.comfy.native_prompted import Stays
from limner.engine.document import Document, NodeDocument
from limner.engine.errors import LimnerError
from limner.engine.expand import targets_of
from limner.nodes.comfy.model_files import KNOWN, locate_lora, locate_model
from limner.nodes.specs import Component

_PLAIN: Final[Mapping[str, str]] = {
    "ComfyPrimitiveInt": "Integer",
    "ComfyPrimitiveFloat": "Number",
    "ComfyPrimitiveString": "Text",
    "ComfyPrimitiveStringMultiline": "Text",
}
"""The same settings under another name."""
_LOADERS: Final[Mapping[str, tuple[str, Component]]] = {
    "ComfyUNETLoader": ("unet_name", "transformer"),
    "ComfyUnetLoaderGGUF": ("unet_name", "transformer"),
    "ComfyCLIPLoader": ("clip_name", "text_encoder"),
    "ComfyVAELoader": ("vae_name", "vae"),
}
_OF_FILES: Final[Mapping[Component, str]] = {
    "transformer": "LoadTransformer",
    "text_encoder": "LoadTextEncoder",
    "vae": "LoadVAE",
}
_RELEASED: Final = frozenset(place.source for place in KNOWN["transformer"].values())
"""The models that BFL released."""
_OF_SAMPLERS: Final = frozenset(
    f"Comfy{name}"
    for name in (
        *(
            "BasicGuider",
            "BasicScheduler",
            "CFGGuider",
            "CLIPTextEncode",
            "ConditioningZeroOut",
            "FluxGuidance",
            "FluxKVCache",
        ),
        *("EmptyFlux2LatentImage", "Flux2Scheduler", "GetImageSize", "KSamplerSelect", "RandomNoise"),
        *("ReferenceLatent", "VAEEncode"),
    )
)
"""What becomes part of TextEncode and Denoise, or stays with the sampler."""


def to_native(document: Document) -> tuple[Document, list[str]]:
    """The document with what has a match in our own nodes, and a line on each node that stays as it is, and why.

    The document must be sound: every wire leads to a node, and none in a circle; every setting is of its type. What it
    draws stays the same, but for references of more than a megapixel, which ours scale down.
    """
    graph = NativeGraph(dict(document.nodes))
    goals = graph.goals()
    reasons: dict[str, str] = {}
    _choose(graph, reasons)
    reasons |= dict.fromkeys(graph.of_type("ComfyKSampler"), "Denoise shifts its schedule by the size of the picture")
    reasons |= dict.fromkeys(graph.of_type("ComfySaveImage"), "what its file names begin with comes by a wire")
    for node_id in graph.of_type("ComfySamplerCustomAdvanced"):
        try:
            drawing_of(graph, node_id).put(graph)
        except Stays as stays:
            reasons[node_id] = str(stays)
    _replace_plainly(graph, reasons)
    _replace_loaders(graph, reasons)
    nodes = graph.leading_to(goals)
    found = document.model_copy(update={"nodes": nodes, "layout": {}})
    parameters = native_parameters_of(found)
    kept = {
        name: targets
        for name, targets in document.parameters.items()
        if targets not in parameters.values() and all(_is_there(one, nodes, document) for one in targets_of(targets))
    }
    return found.model_copy(update={"parameters": kept | parameters}), _lines(nodes, reasons)


def _is_there(target: str, nodes: Mapping[str, NodeDocument], before: Document) -> bool:
    """Whether a parameter still points to the node that it pointed to."""
    node_id = target.partition(".")[0]
    return node_id in nodes and nodes[node_id].type == before.nodes[node_id].type


def _lines(nodes: Mapping[str, NodeDocument], reasons: Mapping[str, str]) -> list[str]:
    thin = [node_id for node_id, node in nodes.items() if node.type.startswith("Comfy")]
    has_sampler = any(nodes[node_id].type in ("ComfySamplerCustomAdvanced", "ComfyKSampler") for node_id in thin)
    return [
        f"{node_id} stays {nodes[node_id].type}: {reasons.get(node_id, 'nothing of ours does the same')}"
        for node_id in thin
        if not (has_sampler and nodes[node_id].type in _OF_SAMPLERS)
    ]


def _choose(graph: NativeGraph, reasons: dict[str, str]) -> None:
    """Put what a switch gives on in its place, where that is known."""
    for node_id in graph.of_type("ComfyComfySwitchNode"):
        switch = graph.value(node_id, "switch")
        if isinstance(switch, bool):
            graph.replace_wires({node_id: graph.wire(node_id, "on_true" if switch else "on_false")})
        else:
            reasons[node_id] = "what it gives on is known only while it runs"


def _replace_plainly(graph: NativeGraph, reasons: dict[str, str]) -> None:
    """Nodes that one of ours stands for, one for one."""
    used, instead = graph.all_wires(), {}
    for node_id, node in list(graph.nodes.items()):
        if node.type in _PLAIN:
            graph.put(node_id, _PLAIN[node.type], node.settings, node.wires)
        elif node.type == "ComfyVAEDecode":
            wires = {"vae": graph.wire(node_id, "vae"), "latent": graph.wire(node_id, "samples")}
            graph.put(node_id, "VAEDecode", {}, wires)
        elif node.type == "ComfyLoadImage":
            if node.wires or f"{node_id}.mask" in used:
                reasons[node_id] = "its mask is used, or its name comes by a wire"
                continue
            graph.put(node_id, "LoadImage", {"file": graph.value(node_id, "image")})
            instead[f"{node_id}.image"] = node_id
        elif node.type == "ComfyLoraLoaderModelOnly":
            _replace_lora(graph, node_id, node, reasons)
    graph.replace_wires(instead)


def _replace_lora(graph: NativeGraph, node_id: str, node: NodeDocument, reasons: dict[str, str]) -> None:
    below = source_of(graph.wire(node_id, "model"))
    while graph.nodes[below].type in ("ComfyLoraLoaderModelOnly", "ApplyLoRA"):
        below = source_of(graph.wire(below, "model") or graph.wire(below, "transformer"))
    if graph.nodes[below].type not in UNET_LOADERS or node.wires.keys() != {"model"}:
        reasons[node_id] = "its model is not plainly loaded, or its settings come by wires"
        return
    settings = {
        "path": locate_lora(graph.value(node_id, "lora_name")),
        "weight": graph.value(node_id, "strength_model"),
    }
    graph.put(node_id, "ApplyLoRA", settings, {"transformer": graph.wire(node_id, "model")})


def _replace_loaders(graph: NativeGraph, reasons: dict[str, str]) -> None:
    """Models by the sources that their names stand for; one LoadModel for all that come from one."""
    for node_id, node in list(graph.nodes.items()):
        if node.type not in _LOADERS:
            continue
        setting, component = _LOADERS[node.type]
        name = graph.value(node_id, setting)
        if not isinstance(name, str) or node.settings.get("weight_dtype", "default") != "default":
            reasons[node_id] = "its name comes by a wire, or its precision is changed"
            continue
        try:
            place = locate_model(component, name)
        except LimnerError as error:
            reasons[node_id] = error.message
            continue
        if place.file is not None:
            graph.put(node_id, _OF_FILES[component], {"file": place.file, "base": place.source})
        elif name in KNOWN["vae"] and (model := graph.model_of(_RELEASED)):
            graph.replace_wires({node_id: f"{model}.vae"})  # all of them have the same
        else:
            graph.replace_wires({node_id: f"{graph.model(place.source)}.{component}"})
