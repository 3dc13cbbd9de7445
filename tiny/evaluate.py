"""Measure the model on held-out prompts, through the stock pipeline: ``python -m limner.tiny.evaluate``."""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers.pipelines.flux2.pipeline_flux2_klein import Flux2KleinPipeline
from PIL import Image

from limner.tiny import heldout
from limner.tiny.heldout import Prompts
from limner.tiny.metrics import Score, measure, summarize
from limner.tiny.pipeline import GUIDANCE, LORA, STEPS, WEIGHTS, generate, load_pipeline
from limner.tiny.quantization import Kind, quantize
from limner.tiny.references import TASKS, Edit, TaskName
from limner.tiny.render import Pictures, render, to_bytes

Table = dict[str, dict[str, float]]

CLOSE_DE = 10.0  # an edit may miss a colour by this much and still be the colour that was asked for


def score_prompts(pipe: Flux2KleinPipeline, prompts: Prompts, steps: int, guidance: float) -> dict[str, float]:
    """Draw a set of prompts and summarise how well each picture shows its scene."""
    pictures = generate(pipe, prompts.texts, steps=steps, guidance=guidance)
    return summarize([measure(p, s) for p, s in zip(pictures, prompts.scenes, strict=True)])


def reference_images(edit: Edit) -> list[Image.Image]:
    """Draw the references of an edit."""
    return [Image.fromarray(picture) for picture in to_bytes(render(edit.references))]


def draw_edit(pipe: Flux2KleinPipeline, edit: Edit, steps: int, guidance: float, seed: int) -> Pictures:
    """Draw one edit, (1, H, W, 3)."""
    return generate(
        pipe, [edit.caption.text], steps=steps, guidance=guidance, seed=seed, references=reference_images(edit)
    )


def is_done(score: Score) -> bool:
    """Say whether an edit worked: shape, place and both colours are those of the target."""
    right = score.shape == 1 and score.position == 1
    return right and score.object_de <= CLOSE_DE and score.background_de <= CLOSE_DE


def score_edits(pipe: Flux2KleinPipeline, task: TaskName, count: int, steps: int, guidance: float) -> dict[str, float]:
    """Draw the edits of one task: share of successes, and the usual figures."""
    scores = [
        measure(draw_edit(pipe, edit, steps, guidance, seed)[0], edit.target)
        for seed, edit in enumerate(heldout.edits(task, count))
    ]
    return {"success": float(np.mean([is_done(s) for s in scores])), **summarize(scores)}


def score_text(pipe: Flux2KleinPipeline, count: int, steps: int, guidance: float) -> Table:
    """Text-to-image: one object in plain words and in JSON, two objects."""
    sets: dict[str, Callable[[int], Prompts]] = {
        "one object": heldout.one_object,
        "one object, JSON": heldout.one_object_json,
        "two objects": heldout.two_objects,
    }
    return {name: score_prompts(pipe, make(count), steps, guidance) for name, make in sets.items()}


def score_quantized(folder: Path, count: int, steps: int, guidance: float) -> Table:
    """The transformer in NF4 and in int8, on the prompts of one object."""
    table = {}
    kinds: tuple[Kind, ...] = ("nf4", "int8")
    for kind in kinds:
        pipe = load_pipeline(folder)
        quantize(pipe.transformer, kind)
        table[f"one object, {kind}"] = score_prompts(pipe, heldout.one_object(count), steps, guidance)
    return table


def score_lora(pipe: Flux2KleinPipeline, lora: Path, count: int, steps: int, guidance: float) -> Table:
    """The held-out concept without and with its LoRA, and what the LoRA costs the old concepts."""
    table = {"moon, no LoRA": score_prompts(pipe, heldout.new_concept(count), steps, guidance)}
    pipe.load_lora_weights(lora)
    table["moon, LoRA"] = score_prompts(pipe, heldout.new_concept(count), steps, guidance)
    table["one object, LoRA"] = score_prompts(pipe, heldout.one_object(count), steps, guidance)
    pipe.unload_lora_weights()  # type: ignore[no-untyped-call]  # diffusers leaves it untyped
    return table


def time_picture(pipe: Flux2KleinPipeline, steps: int) -> float:
    """Seconds for one picture, warm."""
    prompts = heldout.one_object(1).texts
    generate(pipe, prompts, steps=steps)
    started = time.perf_counter()
    generate(pipe, prompts, steps=steps)
    return time.perf_counter() - started


def print_table(table: Table) -> None:
    """Print rows by name; figures that a row lacks are left blank."""
    columns = ["success", "shape", "position", "iou", "object_de", "object_de_median"]
    columns += ["background_de", "background_de_median"]
    print(f"{'':28}" + "".join(f"{c.replace('background', 'bg'):>18}" for c in columns))
    for name, row in table.items():
        print(f"{name:28}" + "".join(f"{row[c]:18.3f}" if c in row else f"{'':18}" for c in columns))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the evaluation from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=WEIGHTS)
    parser.add_argument("--lora", type=Path, default=LORA)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--guidance", type=float, default=GUIDANCE)
    parser.add_argument("--count", type=int, default=64, help="prompts in each text set")
    parser.add_argument("--edits", type=int, default=16, help="edits of each reference task")
    parser.add_argument("--only", choices=("text", "edits", "quantized", "lora"), action="append")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    parts = given.only or ["text", "edits", "quantized", "lora"]
    steps, guidance, count = given.steps, given.guidance, given.count

    pipe = load_pipeline(given.folder)
    table: Table = {}
    if "text" in parts:
        table |= score_text(pipe, count, steps, guidance)
    if "edits" in parts and given.edits:
        table |= {f"edit: {task}": score_edits(pipe, task, given.edits, steps, guidance) for task in TASKS}
    if "quantized" in parts:
        table |= score_quantized(given.folder, count, steps, guidance)
    if "lora" in parts and given.lora.exists():
        table |= score_lora(pipe, given.lora, count, steps, guidance)
    seconds = time_picture(load_pipeline(given.folder), steps)
    if given.json:
        print(
            json.dumps({"steps": steps, "guidance": guidance, "seconds_per_picture": seconds, "table": table}, indent=1)
        )
        return
    print_table(table)
    print(f"{steps} steps, guidance {guidance}; one picture in {seconds:.2f} s on {given.threads} threads")


if __name__ == "__main__":
    main()
