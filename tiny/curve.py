"""Loss curves of the training stages as one small picture: ``python -m limner.tiny.curve``."""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image, ImageDraw

from limner.tiny.sheet import SHEETS
from limner.tiny.train import RUNS

Points = list[tuple[float, float]]

WIDTH, HEIGHT, MARGIN = 360, 200, 34


def read_log(runs: Path, stage: str) -> Points:
    """Give (step, loss) of a stage, from its checkpoint."""
    log = torch.load(runs / stage / "state.pt", weights_only=True)["log"]
    return [(entry["step"], entry["loss"]) for entry in log]


def plot(points: Points, title: str) -> Image.Image:
    """Draw a loss against steps, the loss on a logarithmic axis."""
    panel = Image.new("RGB", (WIDTH, HEIGHT), "white")
    pen = ImageDraw.Draw(panel)
    last, low, high = points[-1][0], min(p[1] for p in points), max(p[1] for p in points)

    def place(step: float, loss: float) -> tuple[float, float]:
        depth = (math.log(high) - math.log(loss)) / max(math.log(high) - math.log(low), 1e-9)
        return MARGIN + step / last * (WIDTH - 2 * MARGIN), MARGIN + depth * (HEIGHT - 2 * MARGIN)

    pen.rectangle((MARGIN, MARGIN, WIDTH - MARGIN, HEIGHT - MARGIN), outline="#a0a0a0")
    pen.line([place(*point) for point in points], fill="#2040e0", width=2)
    pen.text((MARGIN, 12), f"{title}: loss {high:.3g} to {low:.3g}, {last:.0f} steps", fill="black")
    pen.text((2, MARGIN), f"{high:.2g}", fill="black", font_size=9)
    pen.text((2, HEIGHT - MARGIN - 10), f"{low:.2g}", fill="black", font_size=9)
    return panel


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the curves of every stage that has a checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=RUNS)
    parser.add_argument("--out", type=Path, default=SHEETS / "loss.png")
    given = parser.parse_args(arguments)
    stages = [s for s in ("vae", "decoder", "text", "transformer", "lora") if (given.runs / s / "state.pt").exists()]
    sheet = Image.new("RGB", (2 * WIDTH, -(-len(stages) // 2) * HEIGHT), "white")
    for index, stage in enumerate(stages):
        sheet.paste(plot(read_log(given.runs, stage), stage), (index % 2 * WIDTH, index // 2 * HEIGHT))
    given.out.parent.mkdir(parents=True, exist_ok=True)
    sheet.quantize(32).save(given.out, optimize=True)
    print(given.out)


if __name__ == "__main__":
    main()
