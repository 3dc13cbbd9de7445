"""What people set in an imported workflow, under the names that it has in our templates."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from limner.engine.document import Document

_SETTINGS: Final = {
    "steps": [("ComfyFlux2Scheduler", "steps"), ("ComfyBasicScheduler", "steps"), ("ComfyKSampler", "steps")],
    "seed": [("ComfyRandomNoise", "noise_seed"), ("ComfyKSampler", "seed")],
    "guidance": [("ComfyFluxGuidance", "guidance")],
    "cfg": [("ComfyCFGGuider", "cfg"), ("ComfyKSampler", "cfg")],
    "lora": [("ComfyLoraLoaderModelOnly", "lora_name")],
    "batch": [("ComfyEmptyFlux2LatentImage", "batch_size")],
}
"""One parameter a node; where there are several, they are numbered."""
_SHARED: Final = {
    "width": [("ComfyFlux2Scheduler", "width"), ("ComfyEmptyFlux2LatentImage", "width")],
    "height": [("ComfyFlux2Scheduler", "height"), ("ComfyEmptyFlux2LatentImage", "height")],
    "megapixels": [("ComfyImageScaleToTotalPixels", "megapixels")],
    "model": [
        ("ComfyUNETLoader", "unet_name"),
        ("ComfyUnetLoaderGGUF", "unet_name"),
        ("ComfyCLIPLoader", "clip_name"),
        ("ComfyVAELoader", "vae_name"),
    ],
}
"""One parameter for all of them."""
_NATIVE: Final = (
    ("prompt", "TextEncode", "prompt"),
    ("negative_prompt", "TextEncode", "negative_prompt"),
    ("seed", "Denoise", "seed"),
    ("steps", "Denoise", "steps"),
    ("guidance", "Denoise", "guidance"),
    ("width", "Denoise", "width"),
    ("height", "Denoise", "height"),
    ("batch", "Denoise", "batch"),
    ("lora", "ApplyLoRA", "path"),
    ("weight", "ApplyLoRA", "weight"),
)
"""As in our templates."""
_NATIVE_SHARED: Final = {
    "megapixels": _SHARED["megapixels"],
    "model": [
        ("LoadModel", "source"),
        *(
            (node, setting)
            for node in ("LoadTransformer", "LoadTextEncoder", "LoadVAE")
            for setting in ("base", "file")
        ),
        *_SHARED["model"],
    ],
}
"""One parameter for all of them, also for those that stayed thin."""
VALUES: Final = frozenset(
    {
        *(f"ComfyPrimitive{name}" for name in ("Int", "Float", "Boolean", "String", "StringMultiline")),
        *("Integer", "Number", "Text"),
    }
)
"""Nodes that are a plain value, and give it on as it is set."""
_GUIDERS: Final = frozenset({"ComfyBasicGuider", "ComfyCFGGuider", "ComfyKSampler"})
_PASSING: Final = frozenset({"ComfyFluxGuidance", "ComfyReferenceLatent"})
"""What gives on the prompt of the conditioning that came in."""


def parameters_of(document: Document, labels: Mapping[tuple[str, str], str]) -> dict[str, str | list[str]]:
    """The parameters of a document of thin nodes. ``labels`` are what subgraphs call settings of nodes.

    >>> parameters_of(Document(nodes={}), {})
    {}
    """
    found: dict[str, str | list[str]] = {}
    taken: set[str] = set()

    def add(name: str, targets: list[str]) -> None:
        new = [target for target in dict.fromkeys(targets) if target not in taken]
        taken.update(new)
        if new:
            found[name] = new[0] if len(new) == 1 else new

    for name, inputs in (("prompt", ("positive", "conditioning")), ("negative_prompt", ("negative",))):
        for number, target in enumerate(dict.fromkeys(_prompts(document, inputs)), start=1):
            add(_numbered(name, number), [target])
    for number, node_id in enumerate(_pictures(document, "ComfyLoadImage"), start=1):
        add(_numbered("image", number), [f"{node_id}.image"])
    for name, settings in _SETTINGS.items():
        for number, target in enumerate(dict.fromkeys(_targets(document, settings)), start=1):
            add(_numbered(name, number), [target])
    for name, settings in _SHARED.items():
        add(name, list(_targets(document, settings)))
    for (node, setting), label in labels.items():
        if document.nodes[node].type in VALUES and label not in found and setting == "value":
            add(label, [f"{node}.{setting}"])
    return found


def native_parameters_of(document: Document) -> dict[str, str | list[str]]:
    """The parameters of a document that was rewritten into our own nodes, where those are there."""
    found: dict[str, str | list[str]] = {}
    for name, type_name, setting in _NATIVE:
        targets = [
            _behind(document, node_id, setting) for node_id, node in document.nodes.items() if node.type == type_name
        ]
        for number, target in enumerate(dict.fromkeys(targets), start=1):
            found[_numbered(name, number)] = target
    for name, settings in _NATIVE_SHARED.items():
        if shared := list(dict.fromkeys(_targets(document, settings))):
            found[name] = shared[0] if len(shared) == 1 else shared
    for number, node_id in enumerate(_pictures(document, "LoadImage"), start=1):
        found[_numbered("image", number)] = f"{node_id}.file"
    return found


def _pictures(document: Document, type_name: str) -> list[str]:
    """The nodes that load pictures, those of references first and in their order."""
    known = {node_id: None for node_id, node in document.nodes.items() if node.type == type_name}
    found = [node_id for wire in _reference_wires(document) if (node_id := _back_to(document, wire, known))]
    return list(dict.fromkeys([*found, *known]))


def _reference_wires(document: Document) -> Iterator[str]:
    """What is wired in as references, in the order in which the transformer reads them."""
    for node in document.nodes.values():
        if node.type == "LoadReferenceImages":
            wires = node.wires.get("images", [])
            yield from [wires] if isinstance(wires, str) else wires
        for name in ("positive", "conditioning") if node.type in _GUIDERS else ():
            chain = _chain(document, node.wires.get(name))
            yield from (str(document.nodes[one].wires.get("latent", "")) for one in reversed(chain))


def _back_to(document: Document, wire: str, known: Collection[str]) -> str | None:
    """The one of the nodes that a picture or its latents come from, by the first wire of each node on the way."""
    source = _source(document, wire)
    for _ in document.nodes:
        if source is None or source in known:
            return source
        source = _source(document, next(iter(document.nodes[source].wires.values()), None))
    return None


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}_{number}"


def _targets(document: Document, settings: list[tuple[str, str]]) -> Iterator[str]:
    for type_name, setting in settings:
        for node_id, node in document.nodes.items():
            if node.type == type_name:
                yield _behind(document, node_id, setting)


def _behind(document: Document, node_id: str, setting: str) -> str:
    """The setting, or the value that is wired into it."""
    wire = document.nodes[node_id].wires.get(setting)
    source = wire.partition(".")[0] if isinstance(wire, str) else ""
    if source in document.nodes and document.nodes[source].type in VALUES:
        return f"{source}.value"
    return f"{node_id}.{setting}"


def _prompts(document: Document, inputs: tuple[str, ...]) -> Iterator[str]:
    """The texts that the guiders' inputs of these names come from."""
    for node in document.nodes.values():
        for name in inputs if node.type in _GUIDERS else ():
            wire = node.wires.get(name)
            for one in _chain(document, wire):
                wire = document.nodes[one].wires.get("conditioning")
            source = _source(document, wire)
            if source is not None and document.nodes[source].type == "ComfyCLIPTextEncode":
                yield _behind(document, source, "text")


def _chain(document: Document, wire: str | list[str] | None) -> list[str]:
    """The nodes that attach something to a conditioning, the last of them first."""
    found: list[str] = []
    source = _source(document, wire)
    while source is not None and source not in found and document.nodes[source].type in _PASSING:
        found.append(source)
        source = _source(document, document.nodes[source].wires.get("conditioning"))
    return found


def _source(document: Document, wire: str | list[str] | None) -> str | None:
    source = wire.partition(".")[0] if isinstance(wire, str) else ""
    return source if source in document.nodes else None
