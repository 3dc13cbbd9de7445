"""What each way of quantizing costs: the template ``quantization_compare`` on held-out prompts of the embedded model.

Run with ``python benchmarks/quantization.py``: it prints the table. ``--write`` puts the table into
docs/quantization.md and the contact sheet of two held-out prompts beside it. Methods whose library is missing are
left out, and named.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median
from typing import Any

from engine_overhead import machine

from limner import EventStream, Graph, Session
from limner.engine import events as ev
from limner.nodes import PreviewImage, Quantize
from limner.nodes.specs import Quantization, Transformer
from limner.nodes.tables import Cell, Table
from limner.tiny.heldout import Prompts, one_object
from limner.tiny.metrics import Score, measure, summarize

ROOT = Path(__file__).parents[1]
PAGE, SHEET = ROOT / "docs" / "quantization.md", Path("docs/images/quantization.png")
BEGIN, END = "<!-- figures: begin -->\n", "<!-- figures: end -->\n"
TEMPLATE = "quantization_compare"
FULL = "full precision"

Settings = Mapping[str, Any]
METHODS: Mapping[str, Settings] = {
    "nf4": {"method": "nf4"},
    "nf4 double_quant": {"method": "nf4", "double_quant": True},
    "int8": {"method": "int8"},
    "layerwise fp8": {"method": "layerwise-fp8"},
    "fp4": {"method": "fp4"},
    "int8-wo": {"method": "int8-wo"},
    "fp8-wo": {"method": "fp8-wo"},
    "quanto-int8": {"method": "quanto-int8"},
    "quanto-float8": {"method": "quanto-float8"},
    "quanto-int4": {"method": "quanto-int4"},
}
"""The settings of ``Quantize`` by label; the first four are the template's own."""
PLACES = ("nf4", "nf4_double", "int8", "fp8")
"""The template's ``Quantize`` nodes. Other methods are compared by setting these."""


@dataclass
class Figures:
    """What was found of one way of drawing, over all runs."""

    size_bytes: int = 0
    load_s: float = 0.0
    draw_s: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    """Mean squared errors against full precision, as shares of 255^2; the mean of a run's is that of its PSNR."""
    likenesses: list[float] = field(default_factory=list)
    scores: list[Score] = field(default_factory=list)


def installed() -> tuple[list[str], list[str]]:
    """The methods that can run here, and what the others lack."""
    problems = {label: list(Quantize.model_validate(settings).problems()) for label, settings in METHODS.items()}
    lacks = [message for found in problems.values() for _, message in found]
    return [label for label, found in problems.items() if not found], lacks


def groups(labels: Sequence[str]) -> Iterator[dict[str, str]]:
    """The template's rows by label, as many methods at a time as it has places, the rest of the places as they are."""
    for start in range(0, len(labels), len(PLACES)):
        yield {FULL: "full"} | dict(zip(labels[start : start + len(PLACES)], PLACES, strict=False))


def settings_of(rows: Mapping[str, str]) -> dict[str, Any]:
    """What to set in the template so that its rows are those methods."""
    chosen: dict[str, Any] = {}
    for label, row in rows.items():
        if label != FULL:
            settings = {"double_quant": False} | dict(METHODS[label])
            chosen |= {f"{row}.{name}": value for name, value in settings.items()}
    left = [f"({place})" for place in PLACES if place not in rows.values()]
    return chosen | {"compare.labels": [*rows, *left]}


def compare(session: Session, rows: Mapping[str, str], prompts: Prompts, seed: int, found: dict[str, Figures]) -> None:
    """Run the template with two prompts, and add what came of it to the figures."""
    graph = Graph.of(session.document(TEMPLATE))
    for row in rows.values():
        for number in (1, 2):
            graph.add(PreviewImage(), id=f"show_{row}_{number}", images=f"{row}_{number}")
    first, second = prompts.texts
    stream = EventStream()
    reader = stream.reader(limit=sys.maxsize, previews=False)
    with tempfile.TemporaryDirectory() as folder:
        paths = {"save.path": f"{folder}/sheet.png", "save_table.path": f"{folder}/figures.json"}
        values = settings_of(rows) | paths | {"prompt": first, "second_prompt": second, "seed": seed}
        result = session.run(graph, events=stream, **values)
        table = Table.from_bytes(Path(paths["save_table.path"]).read_bytes())
    for record in table.records():
        if (label := str(record["label"])) in rows:
            add_likeness(found[label], record["psnr_db"], record["ssim"])
    add_times(
        list(reader), {f"{row}_latent_{number}": found[label] for label, row in rows.items() for number in (1, 2)}
    )
    for label, row in rows.items():
        for number, scene in enumerate(prompts.scenes, start=1):
            picture = result.outputs[f"show_{row}_{number}"]["image"]
            found[label].scores.append(measure(picture.pixels[0], scene))


def add_likeness(figures: Figures, psnr_db: Cell, ssim: Cell) -> None:
    """Take up a row of the template's table."""
    assert isinstance(ssim, float)
    figures.errors.append(10 ** (-psnr_db / 10) if isinstance(psnr_db, float) else 0.0)
    figures.likenesses.append(ssim)


def add_times(events: Sequence[ev.Event], by_node: Mapping[str, Figures]) -> None:
    """Seconds of loading, and of each denoising without the loading that it waited for."""
    waited: dict[str, float] = defaultdict(float)
    for event in events:
        if isinstance(event, ev.ModelLoaded) and event.node in by_node:
            waited[event.node] = by_node[event.node].load_s = event.seconds
        if isinstance(event, ev.NodeFinished) and event.node in by_node:
            by_node[event.node].draw_s.append(event.seconds - waited[event.node])


def sizes(session: Session, labels: Iterable[str]) -> dict[str, int]:
    """Bytes of the transformers that are alive, as the model pool counts them."""
    alive = {
        model.spec.quantization: model.size_bytes for model in session.models() if isinstance(model.spec, Transformer)
    }
    described: dict[str, Any] = {FULL: None} | {label: Quantization(**METHODS[label]) for label in METHODS}
    return {label: alive[described[label]] for label in labels}


def measure_all(labels: Sequence[str], count: int) -> dict[str, Figures]:
    """Every method on the same ``count`` held-out prompts of one object, two a run; run n has the seed n."""
    prompts = one_object(count)
    found = {label: Figures() for label in (FULL, *labels)}
    for rows in groups(labels):
        with Session(device="cpu") as session:
            for start in range(0, count - 1, 2):
                pair = Prompts(prompts.scenes[start : start + 2], prompts.texts[start : start + 2])
                compare(session, rows, pair, start // 2, found)
            for label, size_bytes in sizes(session, rows).items():
                found[label].size_bytes = size_bytes
    of_full = found[FULL]  # was drawn once with each group: the figures are the same, and count once
    of_full.scores, of_full.likenesses = of_full.scores[: count // 2 * 2], of_full.likenesses[: count // 2]
    return found


def table(found: Mapping[str, Figures]) -> str:
    """The figures as a Markdown table."""
    lines = [
        "| | weights | against bfloat16 | to load | a picture | PSNR | SSIM | right shape | object dE "
        "| background dE |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    whole = found[FULL].size_bytes  # in float32, which the embedded model computes in on a CPU
    for label, row in found.items():
        score = summarize(row.scores)
        error = fmean(row.errors)
        ratio = f"{-10 * math.log10(error):.1f} dB | {fmean(row.likenesses):.3f}" if error else " | "
        sizes_ = f"{row.size_bytes / 1e6:.2f} MB | {2 * row.size_bytes / whole:.3f}"
        seconds = f"{row.load_s:.2f} s | {median(row.draw_s):.2f} s"
        judged = f"{score['shape']:.0%} | {score['object_de_median']:.1f} | {score['background_de_median']:.1f}"
        lines.append(f"| {label} | {sizes_} | {seconds} | {ratio} | {judged} |")
    return "\n".join(lines) + "\n"


def draw_sheet() -> None:
    """The contact sheet of the page, by the template as it is: two held-out prompts, two seeds each.

    Its table goes to outputs/, which is not kept: the one of the page is of more prompts.
    """
    first, second = one_object(2).texts
    headings = [f"{prompt}, seed {seed}" for prompt in (first, second) for seed in (0, 1)]
    values: dict[str, Any] = {
        "prompt": first,
        "second_prompt": second,
        "batch": 2,
        "headings": headings,
        "compare.width": 168,
    }
    with Session(device="cpu") as session:
        files = {"save.path": str(SHEET), "save.overwrite": True, "save_table.overwrite": True}
        session.run(TEMPLATE, **(values | files))


def main() -> None:
    """Measure, and print or write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=32, metavar="N", help="held-out prompts (%(default)s)")
    parser.add_argument("--write", action="store_true", help="write the page's table and sheet")
    options = parser.parse_args()
    os.chdir(ROOT)  # the sheet carries the graph with this path
    labels, lacks = installed()
    for message in dict.fromkeys(lacks):
        print(f"left out: {message}", file=sys.stderr)
    found = measure_all(labels, options.prompts)
    text = f"{machine()}, {torch_and_threads()}; {options.prompts} prompts of one object.\n\n{table(found)}"
    print(text)
    if options.write:
        draw_sheet()
        page = PAGE.read_text(encoding="utf-8")
        before, rest = page.split(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}{text}{END}{rest.split(END)[1]}", encoding="utf-8")


def torch_and_threads() -> str:
    """What computes."""
    import torch

    return f"torch {torch.__version__} with {torch.get_num_threads()} threads"


if __name__ == "__main__":
    main()
