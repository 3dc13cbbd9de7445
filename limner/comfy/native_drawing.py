"""A sampler with all that leads it, as TextEncode and Denoise: what that is, and when it is not the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from limner.comfy.native_graph import NativeGraph, source_of
from limner.engine.errors import LimnerError
from limner.nodes._flux2.known import known
from limner.nodes.comfy.model_files import BASE_4B, BASE_9B, KLEIN_4B, KLEIN_9B, locate_model
from limner.nodes.comfy.values import DEFAULT_GUIDANCE
from limner.nodes.sizes import CELL
from limner.nodes.specs import Transformer

UNET_LOADERS: Final = frozenset({"ComfyUNETLoader", "ComfyUnetLoaderGGUF"})
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
    positive = _prompted(graph, graph.wire(guider, "positive") or graph.wire(guider, "conditioning"))
    if not positive.encode:
        raise Stays("its prompt is zeros")
    encoder = _own_encoder(graph, positive.encode, source)
    prompt, prompt_wires = _text(graph, positive.encode, "prompt")
    guidance, negative, negative_wires = _led(graph, guider, source, positive)
    if encoder and (negative or negative_wires):
        raise Stays("its text encoder is a file of its own, which says nothing of negative prompts")
    schedule, wires = _schedule(graph, sampler, positive)
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
    negative = _negative(graph, graph.wire(guider, "negative"), positive)
    if family == "dev" or is_distilled or not isinstance(cfg, (int, float)) or cfg < 1:
        raise Stays("Denoise leads no such model away from a negative prompt")
    return {"guidance": cfg}, *_text(graph, negative.encode, "negative_prompt")


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


def _prompted(graph: NativeGraph, wire: str) -> Prompted:
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


def _negative(graph: NativeGraph, wire: str, positive: Prompted) -> Prompted:
    negative = _prompted(graph, wire)
    if not negative.encode:
        raise Stays("its negative conditioning is zeros, and that of TextEncode is a text")
    if negative.references != positive.references:
        raise Stays("its negative conditioning has other references")
    if graph.wire(negative.encode, "clip") != graph.wire(positive.encode, "clip"):
        raise Stays("its prompts are encoded by different text encoders")
    return negative


def _text(graph: NativeGraph, encode: str, setting: str) -> tuple[dict[str, Any], dict[str, str]]:
    """A prompt as a setting of TextEncode, or as a wire to it."""
    if wire := graph.wire(encode, "text"):
        return {}, {setting: wire}
    return {setting: graph.value(encode, "text")}, {}


def _own_encoder(graph: NativeGraph, encode: str, source: str) -> str:
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


def _schedule(graph: NativeGraph, sampler: str, positive: Prompted) -> tuple[dict[str, Any], dict[str, str]]:
    """Steps, seed, size and batch as settings of Denoise, or as wires to it. Raises Stays."""
    noise, sigmas, latent = (source_of(graph.wire(sampler, name)) for name in ("noise", "sigmas", "latent_image"))
    kinds = tuple(graph.nodes[one].type for one in (noise, sigmas, latent))
    if kinds != ("ComfyRandomNoise", "ComfyFlux2Scheduler", "ComfyEmptyFlux2LatentImage"):
        raise Stays("its noise, schedule or size comes from elsewhere")
    settings: dict[str, Any] = {}
    wires: dict[str, str] = {}
    for name, node, setting in (
        ("steps", sigmas, "steps"),
        ("seed", noise, "noise_seed"),
        ("batch", latent, "batch_size"),
    ):
        if wire := graph.wire(node, setting):
            wires[name] = wire
        elif name != "batch" or graph.value(node, setting) != 1:
            settings[name] = graph.value(node, setting)
    for side in ("width", "height"):
        wire = graph.wire(latent, side)
        if wire != graph.wire(sigmas, side):
            raise Stays("its schedule is of another size than its latents")
        if not wire:
            settings[side] = _side(graph, sigmas, latent, side)
        elif not _is_of_first_reference(graph, wire, side, positive):
            wires[side] = wire
    return settings, wires


def _side(graph: NativeGraph, sigmas: str, latent: str, side: str) -> int:
    size, scheduled = (graph.value(node, side) for node in (latent, sigmas))
    if size != scheduled or size % CELL:
        raise Stays(f"its {side} is not a multiple of {CELL}, or is another one in the schedule")
    return int(size)


def _is_of_first_reference(graph: NativeGraph, wire: str, side: str, positive: Prompted) -> bool:
    """Whether a size is that of the first reference, which Denoise has where none is set. Raises Stays for another
    picture's, which may be no multiple of 16.
    """
    node = source_of(wire)
    if graph.nodes[node].type != "ComfyGetImageSize":
        return False
    first = graph.wire(positive.references[0], "pixels") if positive.references else ""
    if wire != f"{node}.{side}" or graph.wire(node, "image") != first:
        raise Stays("its size is that of a picture that is not its first reference")
    return True
