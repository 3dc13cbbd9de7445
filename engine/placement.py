"""Where the bytes of one model are under an offload policy: on the device, in RAM, and how many move."""

from __future__ import annotations

from dataclasses import dataclass, replace

from limner.engine.footprint import Footprint
from limner.engine.forecast import Weights
from limner.engine.offload import Offload

RAM = "cpu"
"""The device whose memory is RAM: what waits there lies beside what computes there."""


@dataclass(frozen=True)
class Placement:
    """Where the bytes of a model are, and what moves."""

    footprint: Footprint
    load_disk_bytes: int
    """Read and written to make it live."""
    load_bus_bytes: int = 0
    """Moved to the device to make it live."""
    hold_bus_bytes: int = 0
    """Moved each time a node holds it."""
    pass_bus_bytes: int = 0
    """Moved each time it is run through."""
    pass_disk_bytes: int = 0
    """Read from disk each time it is run through."""


def placement(model: Weights, policy: Offload, device: str) -> Placement:
    """Where a model's bytes are on ``device`` under a policy, the same as in the pool. Pure."""
    weights, stored, moved = model.weight_bytes, model.stored_bytes, 0 if device == RAM else model.weight_bytes
    footprint = Footprint.of(weights, device, policy, group_bytes(model, policy))
    footprint = _loaded(footprint, model, policy, device)
    if policy.mode == "model":
        return Placement(footprint, stored, hold_bus_bytes=2 * moved)
    if policy.mode == "group":
        read, written = (weights, weights) if policy.disk is not None else (0, 0)
        return Placement(footprint, stored + written, pass_bus_bytes=moved, pass_disk_bytes=read)
    return Placement(footprint, stored, load_bus_bytes=moved)


def _loaded(footprint: Footprint, model: Weights, policy: Offload, device: str) -> Footprint:
    """With what loading needs: all weights where the device quantizes them, a copy of all where they are pinned, and
    in RAM the largest group where its file is written.
    """
    loading = {reading_device(policy, device, model.is_made_there): model.loaded_bytes}
    if policy.disk is not None:
        loading[RAM] = group_bytes(model, policy.model_copy(update={"stream": False}))
    if model.is_made_there:
        loading[device] = model.weight_bytes + model.making_bytes
    if policy.stream and policy.disk is None and not policy.low_cpu_mem:
        # those that were copied from go only when their group first comes back
        loading[RAM] = max(model.loaded_bytes, 2 * model.weight_bytes)
    return replace(footprint, loading={name: size for name, size in loading.items() if size})


def reading_device(policy: Offload, device: str, is_made_there: bool) -> str:
    """Where weights are read to. Those that wait elsewhere go there at once, but for those that the device quantizes:
    a CPU would round them differently.
    """
    return RAM if policy.mode in ("model", "group") and not is_made_there else device


def group_bytes(model: Weights, policy: Offload) -> int:
    """What of a model is on the device at once; with a stream, the next group beside the one that computes."""
    at_once = 2 if policy.stream else 1
    if policy.level == "leaf" or not model.block_bytes:
        return min(model.weight_bytes, model.leaf_bytes * at_once)
    size = policy.blocks_per_group
    groups = [sum(model.block_bytes[i : i + size]) for i in range(0, len(model.block_bytes), size)]
    return min(model.weight_bytes, model.rest_bytes + max(groups) * at_once)
