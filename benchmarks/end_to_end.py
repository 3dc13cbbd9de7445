"""What Limner costs and saves end to end: a template against the same calls written by hand on diffusers.

Run with ``python benchmarks/end_to_end.py [--json]``. Both draw on the embedded model, on the CPU, and save a PNG;
every pair of pictures is compared, and must be the same to the bit.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from engine_overhead import machine

from limner import EventStream, Session
from limner.engine import events as ev
from limner.engine.pool import ModelPool

ENVIRONMENT = {"OMP_WAIT_POLICY": "passive"} | os.environ
"""Of every process that is timed: Limner sets this itself, so the script gets it too, to compare like with like."""
GOALS = {"warm": 1.02, "cold": 1.05}
PROMPT = "a red circle on a #203040 background"
BY_HAND = """
import sys
import torch
from diffusers import Flux2KleinPipeline

pipeline = Flux2KleinPipeline.from_pretrained(sys.argv[1], dtype=torch.float32)
pipeline.set_progress_bar_config(disable=True)
image = pipeline(
    prompt=sys.argv[2], num_inference_steps=int(sys.argv[5]), guidance_scale=float(sys.argv[6]),
    height=128, width=128, max_sequence_length=40,
    text_encoder_out_layers=(1, 2, 3), generator=torch.Generator("cpu").manual_seed(int(sys.argv[3])),
).images[0]
image.save(sys.argv[4])
"""
"""What a user would write; the numbers are the embedded model's own, which ``limner.json`` tells Limner."""


class Times(NamedTuple):
    """Seconds by the clock, and of CPU time of all threads."""

    wall: float
    cpu: float


def pixels(path: Path) -> bytes:
    """The pixels of a picture, its text aside."""
    import PIL.Image

    with PIL.Image.open(path) as image:
        return image.tobytes()


def weights() -> Path:
    """The folder of the embedded model."""
    from importlib.resources import files

    return Path(str(files("limner.tiny"))) / "weights"


def defaults() -> tuple[int, float]:
    """The embedded model's own steps and guidance, which Limner takes where nothing is set."""
    own = json.loads((weights() / "limner.json").read_text())["defaults"]
    return own["steps"], own["guidance"]


def timed(action: Callable[[], object]) -> Times:
    """How long something took in this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    action()
    return Times(time.perf_counter() - wall, time.process_time() - cpu)


def timed_process(*command: str) -> Times:
    """How long a whole process took, from its start to its end."""
    before, wall = os.times(), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=ENVIRONMENT)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Times(time.perf_counter() - wall, cpu)


def pairs(
    count: int, ours: Callable[[int, Path], Times], by_hand: Callable[[int, Path], Times], folder: Path
) -> dict[str, Any]:
    """Both, alternating, on the same prompts and seeds. Raises AssertionError where two pictures differ."""
    mine, theirs = folder / "limner.png", folder / "by-hand.png"
    rows = []
    for number in range(count):
        if number % 2:
            hand = by_hand(number, theirs)
            own = ours(number, mine)
        else:
            own = ours(number, mine)
            hand = by_hand(number, theirs)
        assert pixels(mine) == pixels(theirs), f"picture {number} differs"
        rows.append((own, hand))
    found: dict[str, Any] = {"pairs": count}
    for field in Times._fields:
        own_s, hand_s = (median(getattr(row[side], field) for row in rows) for side in (0, 1))
        found[field] = {"limner_s": own_s, "by_hand_s": hand_s, "ratio": own_s / hand_s}
    return found


def measure_warm(count: int, folder: Path) -> dict[str, Any]:
    """In one process, models loaded: each pair has a prompt and a seed of its own, so nothing comes from the cache."""
    import torch
    from diffusers import Flux2KleinPipeline

    load: Any = Flux2KleinPipeline.from_pretrained
    pipeline = load(weights(), dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    steps, guidance = defaults()
    with Session(cache_dir=folder / "warm") as session:

        def ours(number: int, path: Path) -> Times:
            values: dict[str, Any] = {"prompt": f"{PROMPT} {number}", "seed": number}
            values |= {"save.path": str(path), "save.overwrite": True}
            return timed(lambda: session.run("text_to_image", **values))

        def by_hand(number: int, path: Path) -> Times:
            def draw() -> None:
                images = pipeline(
                    prompt=f"{PROMPT} {number}",
                    num_inference_steps=steps,
                    guidance_scale=guidance,
                    height=128,
                    width=128,
                    max_sequence_length=40,
                    text_encoder_out_layers=(1, 2, 3),
                    generator=torch.Generator("cpu").manual_seed(number),
                ).images
                images[0].save(path)

            return timed(draw)

        pairs(2, lambda number, path: ours(1000 + number, path), lambda n, path: by_hand(1000 + n, path), folder)
        return pairs(count, ours, by_hand, folder)


def measure_cold(count: int, folder: Path) -> dict[str, Any]:
    """Whole processes, from nothing to a PNG; each run of Limner begins with an empty cache."""
    script = folder / "by_hand.py"
    script.write_text(BY_HAND)
    own = tuple(map(str, defaults()))

    def ours(number: int, path: Path) -> Times:
        command = (sys.executable, "-m", "limner", "run", "text_to_image", "--set", f"prompt={PROMPT}")
        cache = ("--cache-dir", str(folder / f"cold-{number}"))
        return timed_process(*command, "--set", f"seed={number}", "--out", str(path), *cache)

    def by_hand(number: int, path: Path) -> Times:
        return timed_process(sys.executable, str(script), str(weights()), PROMPT, str(number), str(path), *own)

    pairs(1, ours, by_hand, folder)
    return pairs(count, lambda number, path: ours(100 + number, path), lambda n, path: by_hand(100 + n, path), folder)


def measure_changes(folder: Path) -> list[dict[str, Any]]:
    """One setting changed after a run, models loaded: what ran again, and the time against running everything."""
    base: dict[str, Any] = {"prompt": PROMPT, "save.path": str(folder / "change.png"), "save.overwrite": True}
    changes: dict[str, dict[str, Any]] = {
        "nothing": {},
        "seed": {"seed": 1},
        "steps": {"steps": 10},
        "prompt": {"prompt": "a blue star on a white background"},
        "the file's name": {"save.path": str(folder / "other.png")},
    }
    rows = []
    for name, change in changes.items():
        again, afresh, nodes = [], [], ""
        for repeat in range(3):
            with Session(cache_dir=folder / f"{name}-{repeat}") as session:
                session.run("text_to_image", **base, steps=1, seed=9)  # loads the models
                session.run("text_to_image", **base)
                loaded = _modules(session)
                took, nodes = _ran(session, base | change)
                again.append(took)
                assert _modules(session) == loaded, "a model was loaded again"
                first = pixels(Path((base | change)["save.path"]))
                session.cache.clear()
                session.cache.store = None
                took, _ = _ran(session, base | change)
                afresh.append(took)
                assert pixels(Path((base | change)["save.path"])) == first, "the cache changed the picture"
        rows.append({"changed": name, "ran": nodes, "again_s": median(again), "afresh_s": median(afresh)})
    return rows


def _modules(session: Session) -> list[int]:
    """Which modules are alive."""
    pool = session.executor.models
    assert isinstance(pool, ModelPool)
    return sorted(id(resident.module) for resident in pool.residents())


def _ran(session: Session, values: dict[str, Any]) -> tuple[float, str]:
    """How long a run took, and the nodes that ran in it."""
    stream = EventStream()
    reader = stream.reader(limit=sys.maxsize)
    took = timed(lambda: session.run("text_to_image", events=stream, **values)).wall
    return took, ", ".join(event.node for event in reader if isinstance(event, ev.NodeStarted))


def table(found: dict[str, Any]) -> str:
    """The figures as Markdown tables."""
    lines = ["| | limner | by hand | ratio | goal | |", "|---|--:|--:|--:|--:|---|"]
    for kind in ("warm", "cold"):
        for field, name in (("wall", "time"), ("cpu", "CPU time")):
            row = found[kind][field]
            verdict = "met" if row["ratio"] <= GOALS[kind] else "missed"
            times = f"{row['limner_s']:.3f} s | {row['by_hand_s']:.3f} s | {row['ratio']:.3f}"
            lines.append(f"| {kind}, {name}, median of {found[kind]['pairs']} | {times} | {GOALS[kind]} | {verdict} |")
    lines += ["", "| changed | ran again | time | everything | saved |", "|---|---|--:|--:|--:|"]
    for row in found["changes"]:
        saved = 1 - row["again_s"] / row["afresh_s"]
        times = f"{row['again_s'] * 1000:.0f} ms | {row['afresh_s'] * 1000:.0f} ms | {saved:.0%}"
        lines.append(f"| {row['changed']} | {row['ran']} | {times} |")
    return "\n".join(lines)


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--warm", type=int, default=30, metavar="N", help="pairs in one process (%(default)s)")
    parser.add_argument("--cold", type=int, default=9, metavar="N", help="pairs of processes (%(default)s)")
    options = parser.parse_args()
    import torch

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = {
            "machine": f"{machine()}, torch {version('torch')} with {torch.get_num_threads()} threads, "
            f"diffusers {version('diffusers')}",
            "warm": measure_warm(options.warm, folder),
            "cold": measure_cold(options.cold, folder),
            "changes": measure_changes(folder),
        }
    print(json.dumps(found, indent=2) if options.json else f"{found['machine']}\n\n{table(found)}")


if __name__ == "__main__":
    main()
