"""A checked graph as a script that needs only diffusers, or the nodes that have no such form, all at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from limner.engine.checked import CheckedGraph, CheckedNode
from limner.engine.errors import Fault, GraphError, LimnerError
from limner.engine.node import Node
from limner.engine.offload import AUTO, NONE
from limner.nodes._plain.denoise import DENOISE, VAE_DECODE
from limner.nodes._plain.literal import comment
from limner.nodes._plain.pipelines import Pipelines
from limner.nodes._plain.references import ENCODE_REFERENCES, LOAD_REFERENCE_IMAGES
from limner.nodes._plain.save_image import PREVIEW_IMAGE, SAVE_IMAGE
from limner.nodes._plain.script import NoPlainForm, Script
from limner.nodes._plain.specs import APPLY_LORA, LOAD_MODEL, QUANTIZE
from limner.nodes._plain.step import Emitter, Known, Step
from limner.nodes._plain.text_encode import TEXT_ENCODE

EMITTERS: Final[Mapping[str, Emitter]] = {
    "LoadModel": LOAD_MODEL,
    "Quantize": QUANTIZE,
    "ApplyLoRA": APPLY_LORA,
    "TextEncode": TEXT_ENCODE,
    "LoadReferenceImages": LOAD_REFERENCE_IMAGES,
    "EncodeReferences": ENCODE_REFERENCES,
    "Denoise": DENOISE,
    "VAEDecode": VAE_DECODE,
    "SaveImage": SAVE_IMAGE,
    "PreviewImage": PREVIEW_IMAGE,
}
"""By node type. What is known without running (Text, Integer, ...) needs none: it becomes a constant."""

_OURS: Final = "limner.nodes."
_PREAMBLE: Final = """\
import os

# While they wait, OpenMP's threads spin by default: many times slower beside other programs. torch reads this when it
# is first imported; no pixel depends on it.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")"""


class _Unknown:
    """Stands for what a node with a fault would have given, so that nothing after it is blamed."""


def export(graph: CheckedGraph, device: str, software: Mapping[str, str]) -> Script:
    """The script of a graph whose ``auto`` nodes compute on ``device``, with its docstring.

    Raises GraphError with every node that has no plain form.
    """
    script = Script()
    pipelines = Pipelines(script)
    given: list[tuple[Any, ...]] = []
    faults: list[Fault] = []
    for node in graph.nodes:
        try:
            given.append(_emit(node, graph, given, device, script, pipelines))
        except LimnerError as error:
            why = f"{node.type.name} has no plain form: {error.message}"
            faults.append(Fault(why, ("nodes", node.id), error.hint))
            given.append(tuple(_Unknown() for _ in node.type.outputs))
    if not faults and all(node.type.name != "SaveImage" for node in graph.nodes):
        faults.append(Fault("the graph saves no picture", ("nodes",), "add a SaveImage node"))
    if faults:
        raise GraphError(faults)
    script.docstring = _docstring(graph, script, software)
    script.preamble = _PREAMBLE
    return script


def _emit(
    node: CheckedNode,
    graph: CheckedGraph,
    given: list[tuple[Any, ...]],
    device: str,
    script: Script,
    pipelines: Pipelines,
) -> tuple[Any, ...]:
    inputs = {
        wire.port: values if wire.is_many else values[0]
        for wire in node.wires
        for values in [[given[source][output] for source, output in wire.sources]]
    }
    wired = {wire.port: inputs.pop(wire.port) for wire in node.wires if wire.is_setting}
    if any(_is_unknown(value) for value in (*inputs.values(), *wired.values())):
        return tuple(_Unknown() for _ in node.type.outputs)
    settings = {name: value for name, value in wired.items() if isinstance(value, Known)}
    if computed := sorted(wired.keys() - settings.keys()):
        raise NoPlainForm(f"{', '.join(computed)} is only known when the graph runs")
    full = _complete(node, settings)
    if (known := full.known_outputs()) is not None:
        return tuple(Known(value, script.constant(node.id, value)) for value in known)
    emitter = _emitter(node, full, inputs)
    place = device if node.device == "auto" else node.device
    offload = NONE if node.offload == AUTO else node.offload
    return emitter.emit(Step(node.id, full, inputs, settings, place, offload, script, pipelines))


def _is_unknown(value: Any) -> bool:
    return any(isinstance(one, _Unknown) for one in (value if isinstance(value, list) else [value]))


def _complete(node: CheckedNode, wired: Mapping[str, Known]) -> Node:
    """The node with the settings that are wired."""
    if node.node is not None:
        return node.node
    return node.type.cls(**node.settings.model_dump(), **{name: value.value for name, value in wired.items()})


def _emitter(node: CheckedNode, full: Node, inputs: Mapping[str, Any]) -> Emitter:
    name = node.type.name
    if not node.type.cls.__module__.startswith(_OURS):
        raise NoPlainForm("Limner knows only those of its own nodes")
    if name not in EMITTERS:
        raise NoPlainForm("Limner cannot export it yet")
    emitter, fields = EMITTERS[name], node.type.settings
    odd = [key for key in fields if key not in emitter.settings and getattr(full, key) != fields[key].default]
    odd += [key for key in inputs if key not in emitter.inputs]
    if odd:
        raise NoPlainForm(f"Limner cannot export {', '.join(odd)} yet")
    return emitter


def _docstring(graph: CheckedGraph, script: Script, software: Mapping[str, str]) -> Iterable[str]:
    document = graph.document
    yield comment(document.name) + (f": {comment(document.description)}" if document.description else "")
    yield ""
    versions = ", ".join(f"{name} {version}" for name, version in software.items() if name != "limner")
    yield f"Written by limner {software['limner']}. On one machine it makes the same pixels as the graph,"
    yield f"with {versions}. Files that are there already are replaced."
    for warning in script.warnings:
        yield f"The last bits may differ: {comment(warning)}."
