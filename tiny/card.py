"""The figures of the model card, measured and written where they stand: ``python -m limner.tiny.card``.

They stand in ``tiny/README.md``, and the rows of the edits in ``docs/references.md`` too, between two comments.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from diffusers.pipelines.flux2.pipeline_flux2_klein import Flux2KleinPipeline

from limner.tiny.evaluate import Table, score_edits, score_lora, score_quantized, score_text, time_picture
from limner.tiny.pipeline import GUIDANCE, LORA, STEPS, WEIGHTS, load_pipeline
from limner.tiny.references import TASKS

CARD = Path(__file__).parent / "README.md"
PAGE = Path(__file__).resolve().parents[1] / "docs" / "references.md"
HEAD = [
    "| set | success | shape | position | IoU | object dE, mean / median | background dE, mean / median |",
    "|---|---|---|---|---|---|---|",
]
STEPS_HEAD = [
    "| steps | shape: one / JSON / two | object dE, median: one / JSON / two | background dE, median: the same |",
    "|---|---|---|---|",
]
COMPARED = (4, 8, 20)


def put(path: Path, name: str, lines: Sequence[str]) -> None:
    """Replace what stands between ``<!-- name -->`` and ``<!-- /name -->``. Raises ValueError where they are not."""
    text = path.read_text(encoding="utf-8")
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
    before, _, rest = text.partition(begin)
    _, mark, after = rest.partition(end)
    if not mark:
        raise ValueError(f"{path} has no {begin.strip()} followed by {end.strip()}: put both around what is written")
    path.write_text(before + begin + "\n".join(lines) + "\n" + end + after, encoding="utf-8")


def rows(table: Table) -> list[str]:
    """A row of the card for each set; what is no edit has no success."""

    def row(name: str, found: dict[str, float]) -> str:
        success = f"{found['success']:.2f}" if "success" in found else ""
        colors = (f"{found[f'{part}_de']:.1f} / {found[f'{part}_de_median']:.1f}" for part in ("object", "background"))
        shares = (f"{found[name]:.2f}" for name in ("shape", "position", "iou"))
        return f"| {' | '.join((name, success, *shares, *colors))} |"

    return [row(name, found) for name, found in table.items()]


def steps_row(steps: int, table: Table) -> str:
    """One object, JSON and two objects at a number of steps."""
    found = list(table.values())

    def each(name: str, digits: int) -> str:
        return " / ".join(f"{row[name]:.{digits}f}" for row in found)

    colors = f"{each('object_de_median', 1)} | {each('background_de_median', 1)}"
    return f"| {steps} | {each('shape', 2)} | {colors} |"


def write_steps(pipe: Flux2KleinPipeline, count: int) -> None:
    """Fewer and more steps."""
    found = [steps_row(steps, score_text(pipe, count, steps, GUIDANCE)) for steps in COMPARED]
    put(CARD, "steps", [f"Fewer and more steps ({count} prompts each):", "", *STEPS_HEAD, *found])


def write_sets(pipe: Flux2KleinPipeline, count: int, edits: int) -> None:
    """All sets, and the page's rows of the edits."""
    edited: Table = {f"edit: {task}": score_edits(pipe, task, edits, STEPS, GUIDANCE) for task in TASKS}
    table = score_text(pipe, count, STEPS, GUIDANCE) | edited
    table |= score_quantized(WEIGHTS, count, STEPS, GUIDANCE)
    table |= score_lora(pipe, LORA, count, STEPS, GUIDANCE)
    said = f"{count} prompts in each set, {edits} edits of each kind."
    put(CARD, "figures", [said, "", *HEAD, *rows(table)])
    put(PAGE, "edits", [f"{edits} edits of each kind.", "", *HEAD, *rows(edited)])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=40, help="prompts in each text set (%(default)s)")
    parser.add_argument("--edits", type=int, default=48, help="edits of each reference task (%(default)s)")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    pipe = load_pipeline(WEIGHTS)
    seconds = time_picture(pipe, STEPS)
    write_steps(pipe, given.count)
    write_sets(pipe, given.count, given.edits)
    print(f"one picture in {seconds:.2f} s on {given.threads} thread(s); the tables are in {CARD} and {PAGE}")


if __name__ == "__main__":
    main()
