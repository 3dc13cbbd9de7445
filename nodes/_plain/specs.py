"""LoadModel, Quantize and ApplyLoRA: nothing is written for them, because what they describe shows in the pipeline."""

from __future__ import annotations

from typing import Any

from limner.nodes._plain.quantized import BITSANDBYTES
from limner.nodes._plain.script import NoPlainForm
from limner.nodes._plain.step import Emitter, Step


def describe(step: Step) -> tuple[Any, ...]:
    """The specs that the node gives."""
    forecast = step.node.forecast(step.device, step.inputs)
    if forecast is None or None in forecast.outputs:
        raise NoPlainForm("it is not known which model this is")
    return tuple(forecast.outputs)


def quantize(step: Step) -> tuple[Any, ...]:
    """The spec in fewer bits. Raises NoPlainForm for libraries that Limner sets up in its own way."""
    method: str = vars(step.node)["method"]
    if method not in BITSANDBYTES:
        raise NoPlainForm(f"{method} is set up by Limner's own code", hint=f"use {', '.join(BITSANDBYTES)}")
    return describe(step)


LOAD_MODEL = Emitter(describe, frozenset({"source", "revision", "dtype"}))
QUANTIZE = Emitter(quantize, frozenset({"method", "double_quant", "compute_dtype"}), frozenset({"model"}))
APPLY_LORA = Emitter(describe, frozenset({"path", "revision", "weight", "name"}), frozenset({"transformer"}))
