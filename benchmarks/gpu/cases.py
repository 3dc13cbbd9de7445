"""What is measured: models, precisions, references, offload, attention and compilation, one case each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from limner.engine.offload import Level, Offload
from limner.nodes._flux2.catalog import CONFIGS
from limner.nodes._flux2.speed import Speed
from limner.nodes.specs import Quantization, QuantizationMethod

Model = Literal["dev", "klein-4b", "klein-9b", "tiny-random"]
Precision = Literal["bf16", "nf4", "fp8", "fp8-dynamic"]
Offloading = Literal["none", "leaf", "leaf-stream", "block-stream"]

METHODS: Final[Mapping[Precision, QuantizationMethod]] = {
    "nf4": "nf4",
    "fp8": "layerwise-fp8",
    "fp8-dynamic": "fp8-dynamic",
}
MATMUL: Final = "matmul"
SOURCES: Final[Mapping[str, str]] = {
    "dev": "black-forest-labs/FLUX.2-dev",
    "klein-4b": "black-forest-labs/FLUX.2-klein-4B",
    "klein-9b": "black-forest-labs/FLUX.2-klein-9B",
}
"""Whose configurations come with Limner: nothing is downloaded."""
TINY: Final[Mapping[str, Any]] = {
    "in_channels": 16,
    "out_channels": None,
    "num_layers": 1,
    "num_single_layers": 1,
    "attention_head_dim": 32,
    "num_attention_heads": 2,
    "joint_attention_dim": 48,
    "timestep_guidance_channels": 16,
    "mlp_ratio": 3.0,
    "axes_dims_rope": (8, 8, 8, 8),
    "guidance_embeds": True,
}


@dataclass(frozen=True)
class Case:
    """One measurement. Its name is its key in the results."""

    model: Model
    precision: Precision = "bf16"
    references: int = 0
    offload: Offloading = "none"
    attention: str = "native"
    is_compiled: bool = False
    caches_references: bool = False

    @property
    def name(self) -> str:
        """Everything that makes the case another one than its neighbours."""
        parts = [self.model, self.precision, f"refs{self.references}"]
        parts += [f"offload-{self.offload}"] if self.offload != "none" else []
        parts += [self.attention] if self.attention != "native" else []
        parts += ["compiled"] if self.is_compiled else []
        return "/".join([*parts, *(["cached-refs"] if self.caches_references else [])])

    @property
    def speed(self) -> Speed:
        """The same in settings of ``Denoise``."""
        return Speed(compile=self.is_compiled, reference_cache=self.caches_references)

    @property
    def config(self) -> dict[str, Any]:
        """The transformer's configuration."""
        if self.model == "tiny-random":
            return dict(TINY)
        path = CONFIGS / SOURCES[self.model].partition("/")[2] / "transformer" / "config.json"
        return {key: value for key, value in json.loads(path.read_text()).items() if not key.startswith("_")}

    @property
    def quantization(self) -> Quantization | None:
        """What ``Quantize`` would make of the precision."""
        return None if self.precision == "bf16" else Quantization(METHODS[self.precision])

    @property
    def policy(self) -> Offload:
        """The offload policy, as graphs write it."""
        if self.offload == "none":
            return Offload(mode="none")
        level: Level = "block" if self.offload == "block-stream" else "leaf"
        return Offload(mode="group", level=level, stream=self.offload.endswith("stream"))

    @property
    def side(self) -> int:
        """Pixels a side of the picture and of its references."""
        return 64 if self.model == "tiny-random" else 1024

    def to_json(self) -> str:
        """The case, for the process that measures it."""
        return json.dumps(asdict(self))


def cases_of(model: Model) -> Iterator[Case]:
    """All cases of a model: references in bf16, the other precisions, then what changes how bf16 runs."""
    for references in (0, 1, 4):
        yield Case(model, "bf16", references)
    for precision in _precisions(model):
        yield Case(model, precision, 0)
        yield Case(model, precision, 1)
    offloads: tuple[Offloading, ...] = ("leaf", "leaf-stream", "block-stream")
    for offload in offloads:
        yield Case(model, offload=offload)
    for references in (0, 1):
        yield Case(model, references=references, attention="_flash_3_hub")
        yield Case(model, references=references, is_compiled=True)
    yield Case(model, attention="_flash_3_hub", is_compiled=True)
    if model.startswith("klein"):
        for references in (1, 4):
            yield Case(model, references=references, caches_references=True)


def _precisions(model: Model) -> tuple[Precision, ...]:
    return ("nf4",) if model.startswith("klein") else ("nf4", "fp8", "fp8-dynamic")
