"""A sampler with all that leads it, as TextEncode and Denoise: what that is, and when it is not the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from limner.comfy.native_graph import NativeGraph, source_of
from limner.comfy.native_prompted import Prompted, Stays, negative_of, own_encoder, prompted, text_of
from limner.comfy.native_schedule import schedule_of
from limner.engine.errors import LimnerError
from limner.nodes._flux2.known import known
from limner.nodes.comfy.model_files import locate_model
from limner.nodes.specs import Transformer

UNET_LOADERS: Final = frozenset({"ComfyUNETLoader", "ComfyUnetLoaderGGUF"})


@dataclass(frozen=True)
class NativeDrawing:
    """What Denoise and the nodes before it are told."""

    sampler: str
    transformer: str
    """The wire."""
    source: str
    """The model."""
    settings: dict[str, Any]
    wires: dict[str, str]
    encode: str
    """The node that encodes the prompt."""
    prompt: dict[str, Any]
    prompt_wires: dict[str, str]
    text_encoder: str
    """The wire, where it is a file of its own; empty for that of the model."""
    references: tuple[str, ...]

    def put(self, graph: NativeGraph) -> None:
        """Put Denoise in the sampler's place, and add what it needs."""
        encoder = self.text_encoder or f"{graph.model(self.source)}.text_encoder"
        encode = graph.add("TextEncode", self.prompt, {"text_encoder": encoder} | self.prompt_wires, self.encode)
        wires: dict[str, str | list[str]] = {"transformer": self.transformer, "conditioning": encode, **self.wires}
        if self.references:
            first = self.references[0]
            images: dict[str, str | list[str]] = {"images": [graph.wire(one, "pixels") for one in self.references]}
            load = graph.add("LoadReferenceImages", {}, images)
            encoded = {"vae": graph.wire(first, "vae"), "references": load}
            wires["references"] = graph.add("EncodeReferences", {}, encoded, first)
        denoise = graph.add("Denoise", self.settings, wires, self.sampler)
        graph.replace_wires({f"{self.sampler}.{output}": denoise for output in ("output", "denoised_output")})


def drawing_of(graph: NativeGraph, sampler: str) -> NativeDrawing:
    """What a sampler draws, in our words. Raises Stays."""
    guider = source_of(graph.wire(sampler, "guider"))
    if graph.nodes[guider].type not in ("ComfyBasicGuider", "ComfyCFGGuider"):
        raise Stays("it is led by no guider that is known")
    transformer, source, is_cached = _model(graph, graph.wire(guider, "model"))
    positive = prompted(graph, graph.wire(guider, "positive") or graph.wire(guider, "conditioning"))
    if not positive.encode:
        raise Stays("its prompt is zeros")
    encoder = own_encoder(graph, positive.encode, source)
    prompt, prompt_wires = text_of(graph, positive.encode, "prompt")
    guidance, negative, negative_wires = _led(graph, guider, source, positive)
    if encoder and (negative or negative_wires):
        raise Stays("its text encoder is a file of its own, which says nothing of negative prompts")
    schedule, wires = schedule_of(graph, sampler, positive)
    cache = {"reference_cache": True} if is_cached and positive.references else {}
    return NativeDrawing(
        sampler=sampler,
        transformer=transformer,
        source=source,
        settings=guidance | cache | schedule,
        wires=wires,
        encode=positive.encode,
        prompt=prompt | {name: text for name, text in negative.items() if text},
        prompt_wires=prompt_wires | negative_wires,
        text_encoder=encoder,
        references=positive.references,
    )


def _led(
    graph: NativeGraph, guider: str, source: str, positive: Prompted
) -> tuple[dict[str, Any], dict[str, Any], dict[str, str]]:
    """The guidance as a setting of Denoise, and the negative prompt as a setting of TextEncode or a wire to it.

    Raises Stays where Denoise leads otherwise.
    """
    family, is_distilled = _kind(source)
    cfg = graph.value(guider, "cfg") if graph.nodes[guider].type == "ComfyCFGGuider" else 1.0
    if cfg == 1:
        guidance = positive.guidance if family == "dev" else 1.0
        return ({} if family == "klein" and is_distilled else {"guidance": guidance}), {}, {}
    negative = negative_of(graph, graph.wire(guider, "negative"), positive)
    if family == "dev" or is_distilled or not isinstance(cfg, (int, float)) or cfg < 1:
        raise Stays("Denoise leads no such model away from a negative prompt")
    return {"guidance": cfg}, *text_of(graph, negative.encode, "negative_prompt")


def _model(graph: NativeGraph, wire: str) -> tuple[str, str, bool]:
    """The wire of the transformer, the model that it is of, and whether it caches references."""
    is_cached, transformer = False, ""
    while graph.nodes[source_of(wire)].type in ("ComfyFluxKVCache", "ComfyLoraLoaderModelOnly"):
        is_cache = graph.nodes[source_of(wire)].type == "ComfyFluxKVCache"
        if is_cache and transformer:
            raise Stays("a LoRA is put on behind the cache")
        is_cached |= is_cache
        transformer = transformer or ("" if is_cache else wire)
        wire = graph.wire(source_of(wire), "model")
    loader = source_of(wire)
    if graph.nodes[loader].type not in UNET_LOADERS:
        raise Stays("its model comes from no UNETLoader")
    name = graph.value(loader, "unet_name")
    try:
        source = locate_model("transformer", str(name)).source
    except LimnerError as error:
        raise Stays(error.message) from error
    return transformer or wire, source, is_cached


def _kind(source: str) -> tuple[str, bool]:
    try:
        index = known(Transformer(source)).index
    except LimnerError as error:
        raise Stays(error.message) from error
    return index.family, index.is_distilled
