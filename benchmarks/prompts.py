"""What one field of a prompt changes: pairs of pictures that differ in the background's hex code, on held-out prompts.

Run with ``python benchmarks/prompts.py``: it prints the table, from the embedded model. ``--write`` puts it into
docs/prompts.md.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from limner import Session
from limner.nodes.values import Image
from limner.tiny.colors import CONTRAST, Color, delta_e, distance, format_hex
from limner.tiny.heldout import one_object_json
from limner.tiny.metrics import LOST, MASK_THRESHOLD, fill_color, measure
from limner.tiny.scenes import Scene

PAGE = Path(__file__).parents[1] / "docs" / "prompts.md"
BEGIN, END = "<!-- figures: begin -->\n", "<!-- figures: end -->\n"
TEMPLATE = "product_shot"
EMPTY: dict[str, Any] = {"scene": "", "subjects": [], "lighting": "", "camera": None}
"""The template's own product taken away: what is pasted says everything."""

Picture = NDArray[np.uint8]
Draw = Callable[[str, str, int], Sequence[Picture]]
"""A pasted prompt, a background and a number of seeds -> a picture for each seed."""


@dataclass(frozen=True)
class Pair:
    """Two pictures that differ in one thing."""

    background_de: float
    """Of the second picture's background from what was asked for."""
    object_de: float
    """Between the colors of the object in both."""
    iou: float
    """Of the shape of the object in both."""


def compare(first: Picture, second: Picture, scene: Scene) -> Pair:
    """What a second picture, of ``scene``, has in common with the first."""
    masks = [shape_of(picture) for picture in (first, second)]
    both, either = masks[0] & masks[1], masks[0] | masks[1]
    object_de = LOST
    if both.any():
        object_de = delta_e(*(fill_color(p[both].astype(np.float64), scene.objects[0]) for p in (first, second)))
    return Pair(measure(second, scene).background_de, object_de, float(both.sum() / max(either.sum(), 1)))


def shape_of(picture: Picture) -> NDArray[np.bool_]:
    """The pixels that are not of the background, which is the median of the border."""
    pixels = picture.astype(np.float64)
    sides = (pixels[:3], pixels[-3:], pixels[:, :3], pixels[:, -3:])
    border = np.concatenate([side.reshape(-1, 3) for side in sides])
    away = np.linalg.norm(pixels - np.median(border, 0), axis=-1)
    return np.asarray(away > MASK_THRESHOLD, np.bool_)


def other_background(rng: random.Random, scene: Scene) -> Scene:
    """The same scene on another background, in hex: far from the first one and from the object's color."""
    taken = [scene.background.rgb, *(thing.color.rgb for thing in scene.objects)]
    while True:
        rgb = (rng.randrange(256), rng.randrange(256), rng.randrange(256))
        if all(distance(rgb, other) > CONTRAST for other in taken):
            return replace(scene, background=Color(rgb, format_hex(rgb)))


def pairs(count: int, seeds: int, draw: Draw) -> Iterator[tuple[Pair, Pair]]:
    """For each prompt and seed: another background, and for comparison another seed."""
    prompts = one_object_json(count)
    rng = random.Random("held-out backgrounds")
    for text, scene in zip(prompts.texts, prompts.scenes, strict=True):
        changed = other_background(rng, scene)
        before = draw(text, scene.background.word, seeds)
        after = draw(text, changed.background.word, seeds)
        for seed in range(seeds):
            next_seed = before[(seed + 1) % seeds]
            yield compare(before[seed], after[seed], changed), compare(before[seed], next_seed, scene)


def drawing(session: Session) -> Draw:
    """Draw with the template, its file left out."""

    def draw(prompt: str, background: str, seeds: int) -> Sequence[Picture]:
        values: dict[str, Any] = EMPTY | {
            "structured.paste": prompt,
            "background": background,
            "seed": 0,
            "batch": seeds,
        }
        graph = session.document(TEMPLATE, values)
        nodes = {name: node for name, node in graph.nodes.items() if name != "save"}
        result = session.run(graph.model_copy(update={"nodes": nodes}))
        return list(result.values(Image)[0].pixels)

    return draw


def table(found: Sequence[tuple[Pair, Pair]]) -> str:
    """Means and medians as Markdown."""
    lines = [
        "| changed | background dE, mean / median | object dE, mean / median | IoU, mean / median |",
        "|---|--:|--:|--:|",
    ]
    rows = {"the hex code of the background": [pair[0] for pair in found], "the seed": [pair[1] for pair in found]}
    for label, row in rows.items():
        figures = ((p.background_de for p in row), (p.object_de for p in row), (p.iou for p in row))
        cells = [_both(list(values), digits) for values, digits in zip(figures, (1, 1, 2), strict=True)]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _both(values: Sequence[float], digits: int) -> str:
    return f"{fmean(values):.{digits}f} / {median(values):.{digits}f}"


def main() -> None:
    """Measure, and print or write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=40, metavar="N", help="held-out prompts (%(default)s)")
    parser.add_argument("--seeds", type=int, default=4, metavar="N", help="seeds of each (%(default)s)")
    parser.add_argument("--write", action="store_true", help="write the page's table")
    options = parser.parse_args()
    with Session(device="cpu") as session:
        found = list(pairs(options.prompts, options.seeds, drawing(session)))
    text = f"{options.prompts} held-out prompts in JSON, {options.seeds} seeds each.\n\n{table(found)}"
    print(text)
    if options.write:
        before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}{text}{END}{rest.split(END)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
