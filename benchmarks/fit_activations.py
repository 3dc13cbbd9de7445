"""Fit the constants behind the activations that ``limner plan`` predicts, and write them where it reads them.

Run with ``python benchmarks/fit_activations.py [--check]``. Real classes compute on the meta device, at real sizes and
small ones, in bfloat16 and float32; every tensor that eager PyTorch makes is counted (see ``allocations.py``). The
formulas are those of ``nodes/_flux2/activations.py``. ``--check`` only says how well the stored constants do.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from allocations import fit, peak_on_meta, worst_error
from diffusers import AutoencoderKLFlux2, Flux2Transformer2DModel
from transformers import MistralConfig, MistralModel, Qwen3Config, Qwen3Model

from limner.nodes._flux2 import activations
from limner.nodes._flux2.catalog import CONFIGS
from limner.nodes._flux2.text_layers import layers_to_keep

DTYPES = (torch.bfloat16, torch.float32)
SMALL_DIT = {"num_layers": 2, "num_single_layers": 2, "guidance_embeds": False}
SMALL_VAE = {"block_out_channels": [64, 96, 128, 128], "layers_per_block": 1}
Row = tuple[list[float], int]


def config(model: str, component: str) -> dict[str, Any]:
    """A configuration that is checked in."""
    document: dict[str, Any] = json.loads((CONFIGS / model / component / "config.json").read_text())
    return document


def transformers() -> Iterator[Row]:
    """Real and small transformers, with 1 to 11 pictures' worth of tokens."""
    dev, klein = config("FLUX.2-dev", "transformer"), config("FLUX.2-klein-4B", "transformer")
    narrow = klein | SMALL_DIT | {"mlp_ratio": 2.0, "num_attention_heads": 12}
    wide = klein | SMALL_DIT | {"mlp_ratio": 4.0, "num_attention_heads": 8}
    for settings, dtype in itertools.product((dev, klein, narrow, wide), DTYPES):
        module = _on_meta(Flux2Transformer2DModel, settings, dtype)
        for text, tokens, batch in ((512, 1024, 1), (512, 4096, 1), (128, 4096, 2), (512, 12288, 1), (512, 45056, 1)):
            size = activations.DenoiseSize(text, tokens, batch, dtype.itemsize)
            arguments = _dit_arguments(settings, size, dtype)
            measured = peak_on_meta(lambda: module(**arguments)[0])  # noqa: B023  # called at once
            yield activations.transformer_terms(settings, size), measured


def _dit_arguments(settings: dict[str, Any], size: activations.DenoiseSize, dtype: torch.dtype) -> dict[str, Any]:
    def empty(*shape: int, dtype: torch.dtype = dtype) -> torch.Tensor:
        return torch.empty(size.batch, *shape, device="meta", dtype=dtype)

    return {
        "hidden_states": empty(size.picture_tokens, settings["in_channels"]),
        "encoder_hidden_states": empty(size.text_tokens, settings["joint_attention_dim"]),
        "timestep": empty(),
        "guidance": empty(dtype=torch.float32) if settings["guidance_embeds"] else None,
        "img_ids": empty(size.picture_tokens, 4),
        "txt_ids": empty(size.text_tokens, 4),
        "return_dict": False,
    }


def text_encoders() -> Iterator[Row]:
    """The real text encoders with the layers that are kept, and with fewer, and prompts of several lengths."""
    for model, dtype in itertools.product(("FLUX.2-dev", "FLUX.2-klein-4B", "FLUX.2-klein-9B"), DTYPES):
        for layers in (8, layers_to_keep(CONFIGS / model)):
            settings = config(model, "text_encoder")
            settings.get("text_config", settings)["num_hidden_layers"] = layers
            module = _on_meta(_TextEncoder, settings, dtype)
            for tokens in (128, 512, 2048):
                ids = torch.empty(1, tokens, device="meta", dtype=torch.long)
                measured = peak_on_meta(lambda: _embed(module, ids))  # noqa: B023  # called at once
                yield activations.text_terms(settings, layers, tokens, dtype.itemsize), measured


def _embed(module: torch.nn.Module, ids: torch.Tensor) -> torch.Tensor:
    """Hidden states of three layers side by side, as the pipelines make them."""
    arguments = {"attention_mask": _mask(ids), "output_hidden_states": True, "use_cache": False}
    found = torch.stack(module(input_ids=ids, **arguments).hidden_states[1:4], dim=1)  # (1, 3, L, D)
    return found.permute(0, 2, 1, 3).reshape(1, ids.shape[1], -1)


def _mask(ids: torch.Tensor) -> torch.Tensor:
    """As padded prompts get it, and whole: what it hides cannot be asked on the meta device."""
    return torch.ones(1, 1, ids.shape[1], ids.shape[1], dtype=torch.bool, device="meta")


class _TextEncoder:
    """The bare language model that is loaded of a text encoder."""

    @staticmethod
    def from_config(settings: dict[str, Any]) -> torch.nn.Module:
        """Mistral for dev, Qwen3 for klein."""
        if "text_config" in settings:
            return MistralModel(MistralConfig(**settings["text_config"]))
        return Qwen3Model(Qwen3Config(**settings))


def vaes(way: str) -> Iterator[Row]:
    """The real VAE and a small one, encoding or decoding pictures of several sizes."""
    real = config("FLUX.2-dev", "vae")
    for settings, dtype in itertools.product((real, real | SMALL_VAE), DTYPES):
        module = _on_meta(AutoencoderKLFlux2, settings, dtype)
        for width, height, batch in ((256, 256, 1), (512, 768, 1), (1024, 1024, 1), (1024, 1024, 2), (2048, 2048, 1)):
            shape = (batch, 32, height // 8, width // 8) if way == "decode" else (batch, 3, height, width)
            inputs = torch.empty(shape, device="meta", dtype=dtype)
            measured = peak_on_meta(lambda: _through(module, way, inputs))  # noqa: B023  # called at once
            yield activations.vae_terms(settings, width * height * batch, dtype.itemsize), measured


def _through(module: Any, way: str, inputs: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = (
        module.decode(inputs, return_dict=False)[0] if way == "decode" else module.encode(inputs).latent_dist.mode()
    )
    return found


def _on_meta(cls: Any, settings: dict[str, Any], dtype: torch.dtype) -> Any:
    with torch.device("meta"):
        return cls.from_config(settings).to(dtype).eval()


def main() -> None:
    """Fit, or check, and say the largest relative error of each formula."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="measure again, and write nothing")
    is_check = parser.parse_args().check
    logging.disable(logging.WARNING)
    measured = {
        "transformer": list(transformers()),
        "text_encoder": list(text_encoders()),
        "vae_decode": list(vaes("decode")),
        "vae_encode": list(vaes("encode")),
    }
    constants: dict[str, Any] = {}
    for part, rows in measured.items():
        terms, peaks = [row for row, _ in rows], [float(peak) for _, peak in rows]
        found = list(activations.constants(part)) if is_check else [round(one, 4) for one in fit(terms, peaks)]
        error = worst_error(terms, peaks, found)
        print(f"{part:13} {len(rows):3} sizes, off by at most {error:.1%}: {found}")
        constants[part] = {"constants": found, "sizes": len(rows), "worst_error": round(error, 4)}
    if not is_check:
        packages = {name: version(name) for name in ("torch", "diffusers", "transformers")}
        origin = {"by": Path(__file__).name, "date": time.strftime("%Y-%m-%d"), "device": "meta", **packages}
        activations.FILE.write_text(json.dumps({"origin": origin, **constants}, indent=2) + "\n")


if __name__ == "__main__":
    main()
