"""What Denoise is told of steps, seed, size and batch."""

from __future__ import annotations

from typing import Any

from limner.comfy.native_graph import NativeGraph, source_of
from limner.comfy.native_prompted import Prompted, Stays
from limner.nodes.sizes import CELL


def schedule_of(graph: NativeGraph, sampler: str, positive: Prompted) -> tuple[dict[str, Any], dict[str, str]]:
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
