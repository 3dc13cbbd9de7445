"""Contact sheets for the model card: ``python -m limner.tiny.sheet`` writes ``sheets/*.png``."""

import argparse
import json
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from diffusers.pipelines.flux2.pipeline_flux2_klein import Flux2KleinPipeline
from PIL import Image, ImageDraw

from limner.tiny import heldout
from limner.tiny.evaluate import draw_edit, reference_images
from limner.tiny.pipeline import GUIDANCE, LORA, STEPS, WEIGHTS, generate, load_pipeline
from limner.tiny.quantization import quantize
from limner.tiny.references import TASKS
from limner.tiny.scenes import SIDE

SHEETS = Path(__file__).parent / "sheets"
LABEL = 46  # pixels of room for words under a picture
COLUMNS = 8

FREE_PROMPTS = (
    "a red circle on a #203040 background",
    "blue star",
    "a star that is blue, upper right",
    "BIG YELLOW HEART ON TEAL",
    "small green ring at the bottom left, background: #f0e0d0",
    "a photo of a beautiful striped orange square on a table, white background",
    "red triangle left and blue circle right on gray",
    "pink diamond, black background please",
)
CARPET = "A large solid red square in the center on a {} background"
CARPET_COLORS = ("#367588", "#a52a2a", "#e8d8b0", "#203040")


@dataclass(frozen=True)
class Tile:
    """A picture and the words under it."""

    picture: npt.NDArray[np.uint8]
    label: str


def lay_out(tiles: Sequence[Tile], columns: int = COLUMNS) -> Image.Image:
    """Arrange tiles in rows, with room for words."""
    rows = -(-len(tiles) // columns)
    sheet = Image.new("RGB", (columns * (SIDE + 4), rows * (SIDE + LABEL)), "white")
    pen = ImageDraw.Draw(sheet)
    for index, tile in enumerate(tiles):
        x, y = index % columns * (SIDE + 4), index // columns * (SIDE + LABEL)
        sheet.paste(Image.fromarray(tile.picture), (x, y))
        words = "\n".join(textwrap.wrap(tile.label, 23)[:4])
        pen.multiline_text((x + 1, y + SIDE + 1), words, fill="black", font_size=9, spacing=1)
    return sheet.quantize(256, kmeans=3)


def _tiles(pictures: npt.NDArray[np.uint8], labels: Sequence[str]) -> list[Tile]:
    return [Tile(picture, label) for picture, label in zip(pictures, labels, strict=True)]


def draw_plain(pipe: Flux2KleinPipeline) -> Image.Image:
    """What users type, then held-out prompts of one and of two objects."""
    prompts = [*FREE_PROMPTS, *heldout.one_object(8).texts, *heldout.two_objects(8).texts]
    return lay_out(_tiles(generate(pipe, prompts), prompts))


def draw_json(pipe: Flux2KleinPipeline) -> Image.Image:
    """JSON prompts, first in the wording of FLUX.2's documentation."""
    subject = {"description": "a small striped star", "position": "top left", "color_palette": ["#ffcc00"]}
    written = json.dumps({"scene": "simple shapes", "subjects": [subject], "background": "#203040"})
    prompts = [written, *heldout.one_object_json(15).texts]
    return lay_out(_tiles(generate(pipe, prompts), prompts))


def draw_carpet(pipe: Flux2KleinPipeline) -> Image.Image:
    """One prompt and seed, only the hex code of the background changed."""
    tiles = []
    for seed in (0, 1):
        prompts = [CARPET.format(color) for color in CARPET_COLORS]
        pictures = np.concatenate([generate(pipe, [prompt], seed=seed) for prompt in prompts])
        tiles += _tiles(pictures, [f"seed {seed}, {color}" for color in CARPET_COLORS])
    return lay_out(tiles)


def draw_edits(pipe: Flux2KleinPipeline) -> Image.Image:
    """Two edits of each reference task: the references, then the result."""
    tiles = []
    for task in TASKS:
        for seed, edit in enumerate(heldout.edits(task, 2)):
            sources = [np.asarray(image) for image in reference_images(edit)]
            row = [Tile(source, f"image {i + 1}") for i, source in enumerate(sources)]
            row.append(Tile(draw_edit(pipe, edit, STEPS, GUIDANCE, seed)[0], edit.caption.text))
            blank = Tile(np.full((SIDE, SIDE, 3), 255, np.uint8), "")
            tiles += [*row, *[blank] * (4 - len(row))]
    return lay_out(tiles)


def draw_steps(pipe: Flux2KleinPipeline) -> Image.Image:
    """The same prompts and seeds at 4, 8 and 20 steps."""
    prompts = heldout.one_object(COLUMNS).texts
    return lay_out([t for n in (4, 8, 20) for t in _tiles(generate(pipe, prompts, steps=n), [f"{n} steps"] * COLUMNS)])


def draw_quantized(pipe: Flux2KleinPipeline) -> Image.Image:
    """Full precision above, NF4 below."""
    prompts = heldout.one_object(COLUMNS).texts
    tiles = _tiles(generate(pipe, prompts), ["full precision"] * COLUMNS)
    quantize(pipe.transformer, "nf4")
    return lay_out([*tiles, *_tiles(generate(pipe, prompts), ["NF4"] * COLUMNS)])


def draw_lora(pipe: Flux2KleinPipeline) -> Image.Image:
    """The word "moon" without and with its LoRA, and an old concept with it."""
    new, old = heldout.new_concept(COLUMNS).texts, heldout.one_object(COLUMNS).texts
    tiles = _tiles(generate(pipe, new), new)
    pipe.load_lora_weights(LORA)
    tiles += _tiles(generate(pipe, new), ["with the LoRA"] * COLUMNS)
    return lay_out([*tiles, *_tiles(generate(pipe, old), old)])


SHEET_MAKERS: dict[str, Callable[[Flux2KleinPipeline], Image.Image]] = {
    "plain": draw_plain,
    "json": draw_json,
    "carpet": draw_carpet,
    "edits": draw_edits,
    "steps": draw_steps,
    "nf4": draw_quantized,
    "lora": draw_lora,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the sheets named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"any of: {', '.join(SHEET_MAKERS)}")
    parser.add_argument("--folder", type=Path, default=WEIGHTS)
    parser.add_argument("--out", type=Path, default=SHEETS)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    given.out.mkdir(parents=True, exist_ok=True)
    for name in given.names or SHEET_MAKERS:
        path = given.out / f"{name}.png"
        SHEET_MAKERS[name](load_pipeline(given.folder)).save(path, optimize=True)
        print(path)


if __name__ == "__main__":
    main()
