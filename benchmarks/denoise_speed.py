"""What each way of drawing faster gains and costs: step caches, compiled blocks, batches, references computed once.

Run with ``python benchmarks/denoise_speed.py``: it prints tables; ``--write`` puts them into docs/performance.md. Ways
are drawn in turn, prompt by prompt, and each is held against the plain drawing of the same prompt, so that what else
the machine does falls on all of them alike; figures are medians of those ratios.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from diffusers.models.transformers.transformer_flux2 import Flux2Transformer2DModel
from engine_overhead import machine

from limner.engine.testing import FakeContext
from limner.nodes import Denoise, EncodeReferences, LoadModel, TextEncode, VAEDecode
from limner.nodes._flux2.live import LiveTransformer
from limner.nodes._flux2.loader import Flux2Loader
from limner.nodes._flux2.settings import Defaults
from limner.nodes.specs import Transformer
from limner.nodes.values import Conditioning, Latent, ReferenceLatents, References
from limner.tiny.heldout import edits, one_object
from limner.tiny.metrics import Score, measure, summarize
from limner.tiny.render import render, to_bytes

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- denoise speed: begin -->\n", "<!-- denoise speed: end -->\n"
WAYS: Mapping[str, Mapping[str, Any]] = {
    "plain, 12 steps": {},
    "plain, 8 steps": {"steps": 8},
    "plain, 6 steps": {"steps": 6},
    "magcache": {"step_cache": "magcache"},
    "taylorseer": {"step_cache": "taylorseer"},
    "pab": {"step_cache": "pab"},
    "compile": {"compile": True},
}
PLAIN = "plain, 12 steps"
LARGER: Mapping[str, Any] = {
    "in_channels": 32,
    "num_layers": 2,
    "num_single_layers": 6,
    "attention_head_dim": 64,
    "num_attention_heads": 8,
    "joint_attention_dim": 384,
    "timestep_guidance_channels": 128,
    "axes_dims_rope": (16, 16, 16, 16),
    "guidance_embeds": False,
}
"""With random weights: says how fast, not how good."""
LARGER_SIDE, LARGER_STEPS = 256, 4


@dataclass
class Row:
    """What was found of one way."""

    seconds: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    """Mean squared errors against plain, as shares of 255^2."""
    scores: list[Score] = field(default_factory=list)

    def add_error(self, picture: npt.NDArray[np.uint8], plain: npt.NDArray[np.uint8]) -> None:
        """Take up how far a picture is from the plain one."""
        self.errors.append(float(np.mean((picture / 255.0 - plain / 255.0) ** 2)))

    @property
    def psnr(self) -> str:
        """Of the mean error."""
        return f"{-10 * math.log10(fmean(self.errors)):.1f} dB" if fmean(self.errors) else "the same bytes"


class Painter:
    """The embedded model, alive, and how long its transformer takes."""

    def __init__(self) -> None:
        self.model = LoadModel(source="tiny").run(FakeContext())
        loader = Flux2Loader()
        specs = (self.model.text_encoder, self.model.transformer, self.model.vae)
        self.modules: dict[Any, Any] = {spec: loader.load(spec, "cpu") for spec in specs}

    def ctx(self) -> FakeContext:
        """A fresh one, so that no drawing goes on from another's checkpoint."""
        return FakeContext(modules=self.modules)

    def encode(self, prompt: str) -> Conditioning:
        """A prompt."""
        return TextEncode(prompt=prompt).run(self.ctx(), self.model.text_encoder)

    def refer(self, pictures: npt.NDArray[np.uint8]) -> ReferenceLatents:
        """References, (R, H, W, 3)."""
        return EncodeReferences().run(self.ctx(), self.model.vae, References(tuple(pictures)))

    def denoise(
        self, conditioning: Conditioning, references: ReferenceLatents | None = None, **settings: Any
    ) -> tuple[Latent, float]:
        """Latents, and the seconds that they took."""
        return timed(self.ctx(), self.model.transformer, conditioning, references, settings)

    def decode(self, latent: Latent) -> npt.NDArray[np.uint8]:
        """The first picture, (H, W, 3)."""
        pixels: npt.NDArray[np.uint8] = VAEDecode().run(self.ctx(), self.model.vae, latent).pixels[0]
        return pixels


def timed(
    ctx: Any,
    spec: Transformer,
    conditioning: Conditioning,
    references: ReferenceLatents | None,
    settings: Mapping[str, Any],
) -> tuple[Latent, float]:
    """One drawing."""
    began = time.perf_counter()
    latent = Denoise(**settings).run(ctx, spec, conditioning, references)
    return latent, time.perf_counter() - began


def measure_ways(painter: Painter, count: int) -> dict[str, Row]:
    """Every way on the same held-out prompts of one object; prompt n has the seed n."""
    prompts, rows = one_object(count), {name: Row() for name in WAYS}
    painter.denoise(painter.encode(prompts.texts[0]), compile=True)  # compiling is no part of the figures
    for seed, (text, scene) in enumerate(zip(prompts.texts, prompts.scenes, strict=True)):
        conditioning, plain = painter.encode(text), None
        for name, settings in WAYS.items():
            latent, seconds = painter.denoise(conditioning, seed=seed, **settings)
            picture = painter.decode(latent)
            plain = picture if plain is None else plain
            rows[name].seconds.append(seconds)
            rows[name].add_error(picture, plain)
            rows[name].scores.append(measure(picture, scene))
    return rows


def measure_batches(painter: Painter, rounds: int) -> dict[int, Row]:
    """Seconds a picture by batch."""
    rows = {batch: Row() for batch in (1, 2, 4, 8)}
    conditioning = painter.encode(one_object(1).texts[0])
    for _ in range(rounds):
        for batch, row in rows.items():
            row.seconds.append(painter.denoise(conditioning, batch=batch)[1] / batch)
    return rows


def measure_references(painter: Painter, rounds: int) -> dict[tuple[int, bool], Row]:
    """The embedded model with references all along, and computed once."""
    rows = {(count, cached): Row() for count in (1, 2, 4) for cached in (False, True)}
    for seed, edit in enumerate(edits("recolor", rounds)):
        conditioning = painter.encode(edit.caption.text)
        for count in (1, 2, 4):
            pictures = np.repeat(to_bytes(render(edit.references)), count, axis=0)[:count]
            references, plain = painter.refer(pictures), None
            for cached in (False, True):
                latent, seconds = painter.denoise(conditioning, references, seed=seed, reference_cache=cached)
                picture = painter.decode(latent)
                plain = picture if plain is None else plain
                rows[count, cached].seconds.append(seconds)
                rows[count, cached].add_error(picture, plain)
                rows[count, cached].scores.append(measure(picture, edit.target))
    return rows


def measure_larger(rounds: int) -> dict[tuple[int, bool], Row]:
    """A larger random model with references all along, and computed once."""
    torch.manual_seed(0)
    live = LiveTransformer(
        model=Flux2Transformer2DModel(**LARGER).eval(),
        scheduler_config={"shift": 3.0},
        channels=32,
        text_width=384,
        family="klein",
        is_distilled=True,
        defaults=Defaults(steps=LARGER_STEPS, guidance=1.0, width=LARGER_SIDE, height=LARGER_SIDE),
        preview=None,
    )
    spec = Transformer("random")
    grid = LARGER_SIDE // 16
    rows = {(count, cached): Row() for count in (1, 2, 4) for cached in (False, True)}
    for _ in range(rounds):
        for (count, cached), row in rows.items():
            references = ReferenceLatents(tuple(torch.randn(1, 32, grid, grid) for _ in range(count)))
            ctx = FakeContext(modules={spec: live})
            settings = {"reference_cache": cached}
            row.seconds.append(timed(ctx, spec, Conditioning(torch.randn(1, 64, 384)), references, settings)[1])
    return rows


def ratio(row: Row, plain: Row) -> float:
    """The median of a way's seconds over plain's in the same round."""
    return median(one / other for one, other in zip(row.seconds, plain.seconds, strict=True))


def ways_table(rows: Mapping[str, Row]) -> list[str]:
    """Time and quality of each way, as Markdown."""
    lines = ["| | time | PSNR | right shape | object dE | background dE |", "|---|--:|--:|--:|--:|--:|"]
    for name, row in rows.items():
        score = summarize(row.scores)
        judged = f"{score['shape']:.0%} | {score['object_de_median']:.1f} | {score['background_de_median']:.1f}"
        psnr = "" if name == PLAIN else row.psnr
        lines.append(f"| {name} | {ratio(row, rows[PLAIN]):.2f} | {psnr} | {judged} |")
    return lines


def batches_table(rows: Mapping[int, Row]) -> list[str]:
    """Seconds a picture against those of one alone, as Markdown."""
    head = ["| batch | " + " | ".join(map(str, rows)) + " |", "|---|" + "--:|" * len(rows)]
    return [*head, "| time a picture | " + " | ".join(f"{ratio(row, rows[1]):.2f}" for row in rows.values()) + " |"]


def references_table(small: Mapping[tuple[int, bool], Row], larger: Mapping[tuple[int, bool], Row]) -> list[str]:
    """What computing references once gains, by their number, as Markdown."""
    lines = [
        "| references | time, embedded, 12 steps | PSNR | object dE without / with | time, larger, 4 steps |",
        "|--:|--:|--:|--:|--:|",
    ]
    for count in sorted({count for count, _ in small}):
        plain, cached = small[count, False], small[count, True]
        judged = " / ".join(f"{summarize(row.scores)['object_de_median']:.1f}" for row in (plain, cached))
        gain = ratio(larger[count, True], larger[count, False])
        lines.append(f"| {count} | {ratio(cached, plain):.2f} | {cached.psnr} | {judged} | {gain:.2f} |")
    return lines


def report(count: int) -> str:
    """All tables."""
    painter, rounds = Painter(), max(count // 4, 1)
    parts: Sequence[Sequence[str]] = [
        [
            f"{machine()}, torch {torch.__version__} with {torch.get_num_threads()} thread(s), busy with other things; "
            f"{count} held-out prompts of one object, the other tables {rounds} time(s)."
        ],
        ways_table(measure_ways(painter, count)),
        batches_table(measure_batches(painter, rounds)),
        references_table(measure_references(painter, rounds), measure_larger(rounds)),
    ]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def main() -> None:
    """Measure, and print or write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=32, metavar="N", help="held-out prompts (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="of torch; two on a busy machine wait for each other")
    parser.add_argument("--write", action="store_true", help="write the page's tables")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    text = report(options.prompts)
    print(text)
    if options.write:
        page = PAGE.read_text(encoding="utf-8")
        before, rest = page.split(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}{text}{END}{rest.split(END)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
