"""Which quantized weights an offload policy can move. Imports no torch: it is asked before anything loads."""

from __future__ import annotations

from pathlib import Path

from limner.engine.offload import Offload
from limner.nodes._flux2.index import read_json


def offload_fault(method: str | None, offload: Offload) -> tuple[str, str] | None:
    """Why weights that are quantized by a method cannot wait so, and what to try; None where they can."""
    if method is None or offload.mode not in ("model", "group"):
        return None
    if method == "int8":
        return "int8 layers of bitsandbytes keep hold of their weights once they have computed", "use nf4, or int8-wo"
    if offload.mode == "group" and method.startswith("quanto"):
        return "quanto's weights cannot be moved group by group", "offload model, or another method"
    if offload.disk is not None:
        return "quantized weights wait in RAM, not on disk", "leave disk out, or do not quantize"
    return None


def stored_method(config: Path) -> str | None:
    """How the weights of a folder are quantized already, in the words of ``Quantize``. Raises ModelError."""
    stored = read_json(config / "config.json").get("quantization_config")
    if not isinstance(stored, dict):
        return None
    if stored.get("load_in_8bit") or stored.get("_load_in_8bit"):
        return "int8"
    return str(stored.get("quant_method", "quantized"))
