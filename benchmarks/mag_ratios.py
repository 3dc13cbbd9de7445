"""The magnitude ratios that ``step_cache: magcache`` goes by, measured on a model by diffusers' own calibration.

Run with ``python benchmarks/mag_ratios.py --model SOURCE`` and set what it prints as ``mag_ratios`` of ``Denoise``.
They belong to one checkpoint and, roughly, its usual number of steps. ``--write`` puts them into the ``limner.json`` of
a model folder; for the embedded model, that is to be done after each training.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from diffusers.hooks.mag_cache import _MAG_CACHE_LEADER_BLOCK_HOOK, MagCacheConfig

from limner.engine.testing import FakeContext
from limner.nodes import LoadModel, TextEncode
from limner.nodes._flux2.loader import Flux2Loader
from limner.nodes._flux2.sampling import Plan, denoise
from limner.nodes._flux2.source import local_folder
from limner.nodes.values import Conditioning
from limner.tiny.heldout import two_objects


def ratios(live: Any, conditioning: Conditioning, steps: int, device: str) -> list[float]:
    """One drawing's: how much larger what all blocks add is, a token, than at the step before; of the prompt's call."""
    own = live.defaults
    plan = Plan(steps, own.guidance, [0], own.width, own.height)
    # one step more than there are: at the last one, diffusers prints the ratios and forgets them
    live.model.enable_cache(MagCacheConfig(calibrate=True, num_inference_steps=steps + 1))
    try:
        for _ in denoise(live, plan, conditioning, None, device):
            pass
        hook = live.model.transformer_blocks[0]._diffusers_hook.get_hook(_MAG_CACHE_LEADER_BLOCK_HOOK)
        found: list[float] = hook.state_manager._state_cache["cond"].calibration_ratios
        return found
    finally:
        live.model.disable_cache()


def measure(source: str, prompts: Sequence[str], steps: int | None, device: str) -> list[float]:
    """The mean over prompts, rounded."""
    model, loader = LoadModel(source=source).run(FakeContext()), Flux2Loader()
    ctx = FakeContext(device=device, modules={model.text_encoder: loader.load(model.text_encoder, device)})
    encoded = [TextEncode(prompt=prompt).run(ctx, model.text_encoder) for prompt in prompts]
    ctx.modules = {}  # room for the transformer
    live: Any = loader.load(model.transformer, device)
    rows = [ratios(live, conditioning, steps or live.defaults.steps, device) for conditioning in encoded]
    return [round(fmean(column), 4) for column in zip(*rows, strict=True)]


def main() -> None:
    """Measure, and print or write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tiny", help="a folder, or owner/name on the hub (%(default)s)")
    parser.add_argument("--prompt", action="append", metavar="TEXT", help="may be given several times")
    parser.add_argument("--steps", type=int, help="the model's own, if it is left out")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--write", action="store_true", help="into the limner.json of the model folder")
    options = parser.parse_args()
    found = measure(options.model, options.prompt or two_objects(8).texts, options.steps, options.device)
    print(json.dumps(found))
    if options.write:
        write(local_folder(options.model), found)


def write(folder: Path | None, found: Sequence[float]) -> None:
    """Put ratios beside what a model folder says of itself."""
    if folder is None:
        raise SystemExit("--write is for a model folder on this machine")
    path = folder / "limner.json"
    document = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    path.write_text(json.dumps(document | {"mag_ratios": list(found)}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
