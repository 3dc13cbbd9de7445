"""Fewer bits per weight."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from importlib.util import find_spec
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import Field, Strict

from limner.engine.context import Context
from limner.engine.errors import ModelError
from limner.engine.forecast import Forecast
from limner.engine.node import Node
from limner.nodes.specs import Dtype, Quantizable, Quantization, QuantizationMethod

Q = TypeVar("Q", bound=Quantizable[Any])

Names = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Strict(False)]  # JSON and scripts give lists

EXTRAS = {"int8-wo": "torchao", "fp8-wo": "torchao", "fp8-dynamic": "torchao"} | dict.fromkeys(
    ("quanto-int8", "quanto-int4", "quanto-float8"), "quanto"
)
"""The extra of Limner that brings a method's library, where that is optional."""
LIBRARIES = {"torchao": "torchao", "quanto": "optimum.quanto"}


class Quantize(Node):
    """Store the linear layers of a transformer or a text encoder in fewer bits.

    What comes out fits where the model that went in does. Nothing is loaded here: the weights are quantized one by
    one when a node first needs them, and each way of quantizing is a model of its own to the pool.
    """

    category: ClassVar[str] = "model"
    aliases: ClassVar[tuple[str, ...]] = ("fp8", "nf4", "int8", "GGUF", "weight_dtype", "bitsandbytes", "torchao")
    advanced: ClassVar[frozenset[str]] = frozenset({"compute_dtype", "skip"})

    method: QuantizationMethod = Field(
        default="nf4",
        description="nf4, fp4, int8: bitsandbytes. int8-wo, fp8-wo, fp8-dynamic: torchao. quanto-*: optimum-quanto. "
        "layerwise-fp8: stored in 8 bits, computed in full precision.",
    )
    double_quant: bool = Field(
        default=False, description="For nf4 and fp4: quantize the scales too. 8 % smaller, about as exact."
    )
    compute_dtype: Dtype = Field(
        default="auto", description="For nf4 and fp4: what is computed in. auto: the precision of the other weights."
    )
    skip: Names = Field(
        default=(),
        description="Modules that keep their precision: dotted names or parts of them, such as proj_out or attn.to_q.",
    )

    def problems(self, wired: Collection[str] = ()) -> Iterator[tuple[str, str]]:
        """Settings that the method does not know, and a library that is missing."""
        if self.method not in ("nf4", "fp4"):
            if self.double_quant:
                yield "double_quant", f"is for nf4 and fp4, not for {self.method}"
            if self.compute_dtype != "auto":
                yield "compute_dtype", f"is for nf4 and fp4, not for {self.method}"
        extra = EXTRAS.get(self.method)
        if extra is not None and not _is_installed(LIBRARIES[extra]):
            yield "method", f'{self.method} needs {LIBRARIES[extra]}: pip install "limner[{extra}]"'

    def forecast(self, device: str, inputs: Mapping[str, Any]) -> Forecast:
        """The quantized spec. Raises ModelError where it is quantized already."""
        model = inputs.get("model")
        return Forecast((self._quantized(model) if isinstance(model, Quantizable) else None,))

    def run(self, ctx: Context, model: Q) -> Q:
        """Describe the quantized model. Raises ModelError where it is quantized already."""
        return self._quantized(model)

    def _quantized(self, model: Q) -> Q:
        if model.quantization is not None:
            raise ModelError(f"this model is quantized already, to {model.quantization.method}")
        described = Quantization(self.method, self.double_quant, self.compute_dtype, tuple(sorted(set(self.skip))))
        return replace(model, quantization=described)


def _is_installed(library: str) -> bool:
    try:
        return find_spec(library) is not None
    except ModuleNotFoundError:  # its parent package is not there
        return False
