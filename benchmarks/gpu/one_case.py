"""One measurement, in a process of its own: what it needed and how fast it was, as a line of JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any, Final

import torch
from cases import MATMUL, Case
from flops import TEXT_TOKENS, image_tokens, step_flop
from random_model import random_transformer

from limner.nodes._flux2.fast import made_fast
from limner.nodes._flux2.live import LiveTransformer
from limner.nodes._flux2.offloading import put_hooks
from limner.nodes._flux2.sampling import Plan, denoise
from limner.nodes._flux2.size import module_bytes
from limner.nodes.values import Conditioning, ReferenceLatents

WARM_UP, TIMED = 2, 5
_TINY_TOKENS: Final = 16


def measure_case(case: Case, device: str) -> dict[str, Any]:
    """Bytes of weights, peak bytes and median seconds of a step, with the FLOP that the step has."""
    began = time.perf_counter()
    live = random_transformer(case, "cpu" if case.offload != "none" else device, drawn_on=device)
    if case.offload != "none":
        put_hooks(live.model, device, case.policy)
    ready_s = time.perf_counter() - began
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats(device)
    seconds = _time_steps(live, case, device)
    text = _text_tokens(case)
    image, cached = image_tokens(case.side, case.references), 0
    if case.caches_references:  # as in every step but the first
        image, cached = image_tokens(case.side, 0), image - image_tokens(case.side, 0)
    return {
        "weights_bytes": module_bytes(live.model),
        "peak_bytes": None if device == "cpu" else torch.cuda.max_memory_allocated(device),
        "ready_s": ready_s,
        "step_s": median(seconds[WARM_UP:]),
        "first_step_s": seconds[0],
        "step_flop": step_flop(case.config, text, image, cached),
    }


def measure_matmul(device: str) -> dict[str, Any]:
    """The FLOP a second of a large product in bfloat16: the most that a step can hope for."""
    side = 512 if device == "cpu" else 8192
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    seconds = [_timed(lambda: a @ b, device) for _ in range(30)]
    return {"flop_per_s": 2 * side**3 / median(seconds[10:])}


def _time_steps(live: LiveTransformer, case: Case, device: str) -> list[float]:
    """Seconds of each step of the loop that ``Denoise`` runs."""
    plan = Plan(
        steps=WARM_UP + TIMED,
        guidance=4.0,
        seeds=[0],
        width=case.side,
        height=case.side,
        reference_cache=case.caches_references,
    )
    conditioning = Conditioning(torch.randn(1, _text_tokens(case), live.text_width, dtype=torch.bfloat16))
    grid = (1, live.channels, *plan.grid)
    latents = tuple(torch.randn(grid, dtype=torch.bfloat16) for _ in range(case.references))
    references = ReferenceLatents(latents) if latents else None
    steps = denoise(live, plan, conditioning, references, device)
    with made_fast(live, case.speed, "" if case.attention == "native" else case.attention, plan.steps, device):
        return [_timed(lambda: next(steps), device) for _ in range(plan.steps)]


def _text_tokens(case: Case) -> int:
    return _TINY_TOKENS if case.model == "tiny-random" else TEXT_TOKENS


def _timed(action: Callable[[], object], device: str) -> float:
    _synchronize(device)
    began = time.perf_counter()
    action()
    _synchronize(device)
    return time.perf_counter() - began


def _synchronize(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize(device)


def main() -> None:
    """Measure what the arguments say, and print the figures as the last line."""
    what, device = sys.argv[1:]
    try:
        found = measure_matmul(device) if what == MATMUL else measure_case(Case(**json.loads(what)), device)
        answer = {"status": "done"} | found
    except torch.OutOfMemoryError as error:
        answer = {"status": "out of memory", "reason": str(error).partition(". ")[0]}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
