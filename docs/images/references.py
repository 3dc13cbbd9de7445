"""Draw the pictures of docs/references.md with the embedded model: ``python docs/images/references.py``."""

from __future__ import annotations

import json
import os
import tempfile
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import PIL.Image
import PIL.ImageDraw

from limner import Session
from limner.graphs import GraphLibrary
from limner.nodes.values import Image

SIDE, GAP, LABEL = 160, 8, 56
"""Pixels: of one picture, enlarged from 128; between two; and of the words below."""
STAR = "a large yellow star in the center on a #203040 background"
CIRCLE = "a medium blue circle on the left on a #e8d8b0 background"
TWO = "a small red circle at the left and a small blue star at the right on a white background"
EDITS = (
    ("image 1 with a #367588 background", ["star"]),
    ("image 1 with the star in red", ["star"]),
    ("turn the star of image 1 into a heart", ["star"]),
    ("image 1 with the star in the color of image 2", ["star", "circle"]),
    ("the star of image 1 on the background of image 2", ["star", "circle"]),
)
PAINTS = (
    "image 1 with a green star",
    "a small red circle at the left and a small green heart at the right on a white background",
    "image 1 with a #a02020 background",
)


def main() -> None:
    """Draw two sheets: what prompts do with references, and what they do behind a mask."""
    here = Path(__file__).parent.resolve()
    with tempfile.TemporaryDirectory() as folder, Session() as session:
        os.chdir(folder)
        for name, prompt in (("star", STAR), ("circle", CIRCLE), ("two", TWO)):
            draw(session, "text_to_image", prompt=prompt, seed=3).save(f"{name}.png")
        tiles = [(PIL.Image.open(f"{name}.png"), f"image {n}") for n, name in enumerate(("star", "circle"), start=1)]
        for prompt, names in EDITS:
            images = [f"{name}.png" for name in names]
            tiles.append((draw(session, "edit_with_references", prompt=prompt, images=images, seed=3), prompt))
        sheet(tiles).save(here / "references.png", optimize=True)

        mask = PIL.Image.new("L", (128, 128))
        PIL.ImageDraw.Draw(mask).rectangle((66, 30, 124, 98), fill=255)
        mask.save("mask.png")
        wall().save("wall.png")
        spot = PIL.Image.new("L", (480, 480))
        PIL.ImageDraw.Draw(spot).ellipse((290, 290, 390, 390), fill=255)
        spot.save("spot.png")
        tiles = [(PIL.Image.open("two.png"), "image"), (mask, "mask")]
        for prompt in PAINTS:
            values = {"image": "two.png", "mask": "mask.png", "strength": 1.0, "feather": 2.0, "seed": 3}
            painted = draw(session, "inpaint", prompt=prompt, **values)
            tiles.append((painted, prompt))
        prompt = "image 1 with the circle in red"
        graph = cropped(here.parent / "references.md")
        cut = draw(session, graph, prompt=prompt, image="wall.png", mask="spot.png", feather=2.0)
        tiles += [(wall(), "480 x 480 pixels"), (cut, f"{prompt}, cut out by CropToMask")]
        sheet(tiles).save(here / "inpaint.png", optimize=True)


def wall() -> PIL.Image.Image:
    """A picture larger than any that the embedded model draws, with a small thing in it."""
    picture = PIL.Image.new("RGB", (480, 480), "#e8d8b0")
    pen = PIL.ImageDraw.Draw(picture)
    for left in range(20, 480, 40):
        pen.line((left, 0, left, 480), fill="#c0b090")
    pen.ellipse((300, 300, 380, 380), fill="#2040c0")
    return picture


def cropped(page: Path) -> dict[str, Any]:
    """The template ``inpaint`` with the nodes that the page shows for small things."""
    nodes = json.loads("{" + page.read_text().partition("```json\n")[2].partition("```")[0] + "}")
    graph: dict[str, Any] = GraphLibrary().load("inpaint")
    graph["nodes"] |= nodes
    return graph


def draw(session: Session, graph: str | dict[str, Any], **values: Any) -> PIL.Image.Image:
    """The picture of a graph, without saving it."""
    document = session.document(graph, values)
    nodes = {name: node for name, node in document.nodes.items() if name != "save"}
    result = session.run(document.model_copy(update={"nodes": nodes}))
    return PIL.Image.fromarray(result.values(Image)[0].pixels[0])


def sheet(tiles: Sequence[tuple[PIL.Image.Image, str]]) -> PIL.Image.Image:
    """Pictures side by side, with words below."""
    found = PIL.Image.new("RGB", ((SIDE + GAP) * len(tiles) - GAP, SIDE + LABEL), "white")
    pen = PIL.ImageDraw.Draw(found)
    for number, (picture, words) in enumerate(tiles):
        left = number * (SIDE + GAP)
        found.paste(picture.resize((SIDE, SIDE), PIL.Image.Resampling.LANCZOS), (left, 0))
        lines = "\n".join(textwrap.wrap(words, 28))
        pen.multiline_text((left + 2, SIDE + 3), lines, fill="black", font_size=11, spacing=1)
    return found


if __name__ == "__main__":
    main()
