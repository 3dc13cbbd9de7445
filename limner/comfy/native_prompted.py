"""A conditioning as TextEncode gives it: the text that it goes back to, its guidance, references and text encoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from limner.comfy.native_graph import NativeGraph, source_of
from limner.engine.errors import LimnerError
from limner.nodes.comfy.model_files import BASE_4B, BASE_9B, KLEIN_4B, KLEIN_9B, locate_model
from limner.nodes.comfy.values import DEFAULT_GUIDANCE

_ENCODERS: Final = {BASE_4B: KLEIN_4B, BASE_9B: KLEIN_9B}
"""Models whose text encoder is that of another one."""


class Stays(Exception):  # what happens, as with Cancelled
    """A sampler has no match; the message says why."""


@dataclass(frozen=True)
class Prompted:
    """A conditioning, followed back to its text."""

    encode: str
    """The CLIPTextEncode; empty for zeros."""
    guidance: Any
    references: tuple[str, ...]
    """The nodes that encode them, in order."""


def prompted(graph: NativeGraph, wire: str) -> Prompted:
    """A conditioning, back to its text. Raises Stays."""
    guidance: Any = DEFAULT_GUIDANCE
    is_told, references = False, list[str]()
    while (type_name := graph.nodes[source_of(wire)].type) in ("ComfyFluxGuidance", "ComfyReferenceLatent"):
        node = source_of(wire)
        if type_name == "ComfyFluxGuidance":
            value = graph.value(node, "guidance")
            guidance, is_told = guidance if is_told else value, True
        elif latent := graph.wire(node, "latent"):
            if graph.nodes[source_of(latent)].type != "ComfyVAEEncode":
                raise Stays("a reference comes from elsewhere than VAEEncode")
            references.insert(0, source_of(latent))
        wire = graph.wire(node, "conditioning")
    if guidance is None:
        raise Stays("its guidance is known only while it runs")
    if type_name == "ComfyConditioningZeroOut":
        return Prompted("", guidance, tuple(references))
    if type_name != "ComfyCLIPTextEncode":
        raise Stays("its conditioning comes from no CLIPTextEncode")
    if len({graph.wire(one, "vae") for one in references}) > 1:
        raise Stays("its references are encoded by several VAEs")
    return Prompted(source_of(wire), guidance, tuple(references))


def negative_of(graph: NativeGraph, wire: str, positive: Prompted) -> Prompted:
    """The negative conditioning beside a positive one, which TextEncode encodes with it. Raises Stays."""
    negative = prompted(graph, wire)
    if not negative.encode:
        raise Stays("its negative conditioning is zeros, and that of TextEncode is a text")
    if negative.references != positive.references:
        raise Stays("its negative conditioning has other references")
    if graph.wire(negative.encode, "clip") != graph.wire(positive.encode, "clip"):
        raise Stays("its prompts are encoded by different text encoders")
    return negative


def text_of(graph: NativeGraph, encode: str, setting: str) -> tuple[dict[str, Any], dict[str, str]]:
    """A prompt as a setting of TextEncode, or as a wire to it."""
    if wire := graph.wire(encode, "text"):
        return {}, {setting: wire}
    return {setting: graph.value(encode, "text")}, {}


def own_encoder(graph: NativeGraph, encode: str, source: str) -> str:
    """The wire of the text encoder where it is a file of its own; empty where it is that of the transformer's model.

    Raises Stays where it is another model's.
    """
    wire = graph.wire(encode, "clip")
    if graph.nodes[source_of(wire)].type != "ComfyCLIPLoader":
        raise Stays("its text encoder comes from no CLIPLoader")
    try:
        place = locate_model("text_encoder", str(graph.value(source_of(wire), "clip_name")))
    except LimnerError as error:
        raise Stays(error.message) from error
    if place.source not in (source, _ENCODERS.get(source)):
        raise Stays("its text encoder is another model's")
    return wire if place.file is not None else ""
