"""Draw the picture at the top of the README with the embedded model: ``python docs/images/readme.py``."""

from pathlib import Path

import PIL.Image

from limner import Session
from limner.nodes.values import Image

PROMPTS = (
    "a red circle on a #203040 background",
    "a large yellow star on a navy background",
    "a small white heart on the top left and a teal square on the bottom right on a pink background",
    "a large striped orange ring on a purple background",
    '{"subjects": [{"description": "a green diamond", "position": "center"}], "background": "#f0e0c0"}',
    "a medium outlined #367588 triangle on the right on a white background",
)
SIDE, GAP = 192, 8
"""Pixels: of one picture, enlarged from 128, and between two."""


def main() -> None:
    """Draw every prompt with the same seed and set the pictures side by side."""
    sheet = PIL.Image.new("RGB", ((SIDE + GAP) * len(PROMPTS) - GAP, SIDE), "white")
    with Session() as session:
        for number, prompt in enumerate(PROMPTS):
            graph = session.document("text_to_image", {"prompt": prompt, "seed": 7})
            nodes = {name: node for name, node in graph.nodes.items() if name != "save"}
            result = session.run(graph.model_copy(update={"nodes": nodes}))
            picture = PIL.Image.fromarray(result.values(Image)[0].pixels[0])
            sheet.paste(picture.resize((SIDE, SIDE), PIL.Image.Resampling.LANCZOS), (number * (SIDE + GAP), 0))
    sheet.save(Path(__file__).with_suffix(".png"), optimize=True)


if __name__ == "__main__":
    main()
