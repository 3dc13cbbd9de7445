"""What a model takes of each device, by where its weights are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from limner.engine.offload import Offload


@dataclass(frozen=True)
class Footprint:
    """Bytes by device. What is on disk counts nowhere."""

    waiting: Mapping[str, int]
    """While nobody holds the model."""
    held: Mapping[str, int]
    """While a node computes with it; of groups, the most that is there at once."""
    loading: Mapping[str, int] = field(default_factory=dict)
    """What reading it needs elsewhere: quantization happens on the device that computes."""

    @cached_property
    def peak(self) -> dict[str, int]:
        """The most that each device ever needs."""
        states = (self.waiting, self.held, self.loading)
        return {device: max(state.get(device, 0) for state in states) for state in states for device in state}

    @classmethod
    def of(cls, size_bytes: int, device: str, offload: Offload, group_bytes: int = 0) -> Footprint:
        """That of a module of a size under a policy. ``group_bytes`` is what group offloading brings at once."""
        if offload.mode == "model":
            return cls({"cpu": size_bytes}, {device: size_bytes})
        if offload.mode == "group":
            waiting = {} if offload.disk else {"cpu": size_bytes}
            groups = {} if device == "cpu" and not offload.disk else {device: group_bytes}
            return cls(waiting, waiting | groups)
        return cls({device: size_bytes}, {device: size_bytes})
