"""Draw the sheet of docs/sweeps.md with the embedded model: ``python docs/images/sweep.py``."""

from pathlib import Path

from limner import Session, sweep

PROMPTS = (
    "a large yellow star on a navy background",
    "a medium outlined #367588 triangle on the right on a white background",
    "a large striped orange ring on a purple background",
)


def main() -> None:
    """Every prompt with few steps and with many."""
    with Session() as session:
        graph = session.document("text_to_image", {"seed": 7})
        nodes = {name: node for name, node in graph.nodes.items() if name != "save"}
        over = {"prompt": PROMPTS, "steps": (1, 2, 4, 20)}
        sheet = sweep(graph.model_copy(update={"nodes": nodes}), over, session=session).grid()
    sheet.save(Path(__file__).with_suffix(".png"), optimize=True)


if __name__ == "__main__":
    main()
