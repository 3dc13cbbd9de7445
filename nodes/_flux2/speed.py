"""What of drawing faster can be had, and what it takes, told before anything loads. Imports no torch."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final, Literal

from limner.engine.errors import ModelError
from limner.nodes._flux2.activations import DenoiseSize
from limner.nodes._flux2.index import Family

StepCache = Literal["none", "magcache", "taylorseer", "pab"]


@dataclass(frozen=True)
class Speed:
    """How ``Denoise`` saves time; with all of it left out, a picture is what diffusers' pipelines draw."""

    step_cache: StepCache = "none"
    mag_ratios: Sequence[float] = ()
    reference_cache: bool = False
    compile: bool = False


PLAIN: Final = Speed()


def setting_faults(speed: Speed, has_references: bool) -> Iterator[tuple[str, str]]:
    """What does nothing, or does not go together, as (setting, message)."""
    if speed.reference_cache and not has_references:
        yield "reference_cache", "there are no references to cache: wire references, or leave it out"
    if speed.reference_cache and speed.step_cache != "none":
        yield "step_cache", "does not go together with reference_cache: take one of them"
    if speed.compile and speed.step_cache != "none":
        yield "compile", f"does not go together with step_cache {speed.step_cache}: take one of them"
    if speed.mag_ratios and speed.step_cache != "magcache":
        yield "mag_ratios", f"are for step_cache magcache, and it is {speed.step_cache}"


def check_speed(speed: Speed, family: Family, own_ratios: Sequence[float] | None) -> None:
    """Raise ModelError for what a model cannot do. ``own_ratios`` are those of its ``limner.json``."""
    if speed.reference_cache and family != "klein":
        raise ModelError(
            "reference_cache is of klein's attention (Flux2KleinKVPipeline), and this is FLUX.2 dev",
            hint="leave it out",
        )
    if speed.step_cache == "magcache" and not (speed.mag_ratios or own_ratios):
        raise ModelError(
            "step_cache magcache needs the magnitude ratios of this very model, and none are known",
            hint="measure them with benchmarks/mag_ratios.py and set mag_ratios, or take taylorseer or pab",
        )


def compiler_faults(device: str) -> Iterator[str]:
    """What this machine lacks to compile for a device."""
    kind = device.partition(":")[0]
    names = ("CXX", "g++", "clang++", "cl") if kind == "cpu" else ("CC", "gcc", "clang", "cl")
    if not any(shutil.which(os.environ.get(name, name)) for name in names):
        yield f"needs a compiler, such as {names[1]}, and there is none: install one, or leave compile out"
    if kind == "cuda" and find_spec("triton") is None:
        yield "needs the package triton on a GPU: install it, or leave compile out"


def cache_bytes(speed: Speed, config: Mapping[str, Any], size: DenoiseSize, references: int, prompts: int) -> int:
    """What is kept from one step to the next, of ``size`` tokens, ``references`` of which are of references."""
    width = config.get("attention_head_dim", 128) * config.get("num_attention_heads", 48)
    layers = config.get("num_layers", 8) + config.get("num_single_layers", 48)
    tokens = size.text_tokens + size.picture_tokens
    numbers = 0
    if speed.reference_cache:  # keys and values; and in the first step, every token has a modulation of its own
        numbers = 2 * references * width * layers * prompts + (6 * size.picture_tokens + 3 * tokens) * width
    elif speed.step_cache == "magcache":  # what went into all blocks, and what they added
        numbers = size.picture_tokens * width * 2 * prompts
    elif speed.step_cache == "taylorseer":  # the velocity and its first difference
        numbers = size.picture_tokens * config.get("in_channels", 128) * 2 * prompts
    elif speed.step_cache == "pab":  # what attention gave in every block
        numbers = tokens * width * layers * prompts
    return size.batch * numbers * size.itemsize
