"""Where weights wait while a node computes: the offload policy of one node, as graphs write it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from limner.engine.errors import suggest

Mode = Literal["auto", "none", "model", "group"]
Level = Literal["leaf", "block"]

STREAMS: Final = ("cuda", "xpu", "npu")
"""Devices that copy while they compute."""


class Offload(BaseModel):
    """What leaves the device while it is not needed.

    ``none``: weights stay on the device. ``model``: they wait in RAM and are on the device while the node holds them.
    ``group``: they wait in RAM or on disk, and come one group of layers at a time, as diffusers' group offloading does.
    ``auto``: the plan takes the fastest of them that fits. No policy changes a result, so none is part of a key.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", hide_input_in_errors=True)

    mode: Mode = Field(default="auto", description="auto, none, model (whole), or group (a few layers at a time).")
    level: Level = Field(default="leaf", description="What a group is: each leaf module, or some blocks.")
    blocks_per_group: int = Field(default=1, ge=1, le=1000, description="Blocks in a group of level block.")
    stream: bool = Field(default=False, description="Fetch the next group while one computes. Needs CUDA or XPU.")
    record_stream: bool = Field(default=False, description="Let the allocator wait instead of us; with stream.")
    low_cpu_mem: bool = Field(default=False, description="Pin memory group by group: less RAM, slower; with stream.")
    disk: str | None = Field(default=None, min_length=1, description="A folder where groups wait, instead of in RAM.")

    @model_validator(mode="after")
    def _check_parts(self) -> Offload:
        """Refuse what would be ignored."""
        given = self.model_fields_set - {"mode"}
        if self.mode != "group" and given:
            raise ValueError(f"{', '.join(sorted(given))}: only group offload has that")
        if self.level == "leaf" and "blocks_per_group" in given:
            raise ValueError("blocks_per_group is of level block")
        if not self.stream and (
            odd := sorted(name for name in ("record_stream", "low_cpu_mem") if getattr(self, name))
        ):
            raise ValueError(f"{' and '.join(odd)} only with stream")
        if self.stream and self.blocks_per_group > 1:
            raise ValueError("with stream, blocks come one by one: blocks_per_group is 1")
        if self.disk is not None and self.low_cpu_mem:
            raise ValueError("low_cpu_mem is for groups that wait in RAM: what waits on disk is pinned group by group")
        return self

    @model_serializer(mode="wrap")
    def _shortest(self, serialize: SerializerFunctionWrapHandler) -> str | dict[str, Any]:
        """The mode alone where there is nothing else to say."""
        return self.mode if self == Offload(mode=self.mode) else {"mode": self.mode} | serialize(self)

    def problems(self, device: str) -> Iterator[tuple[str, str, str]]:
        """What a device cannot do of it: the field, why, and what to try."""
        kind = device.partition(":")[0]
        if self.mode == "model" and kind == "cpu":
            yield "mode", "on a CPU, the weights of a model are in RAM already", "use none, or group with disk"
        if self.stream and kind not in STREAMS:
            yield "stream", f"{device} cannot copy while it computes", "leave stream out"
        if self.disk is not None and not self.stream and device not in ("cpu", "mps", f"{kind}:0"):
            yield "disk", f"diffusers reads groups to the first {kind} only, not to {device}", "add stream"

    def __str__(self) -> str:
        if self.mode != "group":
            return self.mode
        parts = [self.level if self.level == "leaf" else f"{self.blocks_per_group} block(s)"]
        parts += [name for name in ("stream", "record_stream", "low_cpu_mem") if getattr(self, name)]
        return f"group ({', '.join([*parts, *(['disk'] if self.disk else [])])})"


def _spelled_out(value: Any) -> Any:
    """A mode alone stands for the policy of that mode. Raises ValueError."""
    if not isinstance(value, str):
        return value
    if value not in get_args(Mode):
        raise ValueError(f"{value!r} is none of {', '.join(get_args(Mode))}; {suggest(value, get_args(Mode))}")
    return {"mode": value}


OffloadSetting = Annotated[Offload, BeforeValidator(_spelled_out, json_schema_input_type=Mode | Offload)]
"""The field of a graph file: ``"group"``, or ``{"mode": "group", "level": "leaf", "stream": true}``."""

AUTO: Final = Offload()
NONE: Final = Offload(mode="none")
