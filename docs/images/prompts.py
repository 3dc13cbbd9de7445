"""Draw the picture of docs/prompts.md with the embedded model: ``python docs/images/prompts.py``."""

from pathlib import Path
from typing import Any

import PIL.Image

from limner import Session
from limner.nodes.values import Image

DRAWN: tuple[tuple[str, dict[str, Any]], ...] = (
    ("product_shot", {}),
    ("product_shot_variant", {}),
    ("product_shot", {"background": "#a52a2a carpet"}),
    ("product_shot", {"background": "#203040 carpet"}),
    ("product_shot", {"subjects": [{"description": "medium teal star", "position": "left"}]}),
)
SIDE, GAP = 192, 8
"""Pixels: of one picture, enlarged from 128, and between two."""


def main() -> None:
    """Draw every graph with the same seed and set the pictures side by side."""
    sheet = PIL.Image.new("RGB", ((SIDE + GAP) * len(DRAWN) - GAP, SIDE), "white")
    with Session() as session:
        for number, (name, values) in enumerate(DRAWN):
            graph = session.document(name, {"seed": 7, **values})
            nodes = {key: node for key, node in graph.nodes.items() if key != "save"}
            result = session.run(graph.model_copy(update={"nodes": nodes}))
            picture = PIL.Image.fromarray(result.values(Image)[0].pixels[0])
            sheet.paste(picture.resize((SIDE, SIDE), PIL.Image.Resampling.LANCZOS), (number * (SIDE + GAP), 0))
    sheet.save(Path(__file__).with_suffix(".png"), optimize=True)


if __name__ == "__main__":
    main()
