"""``limner run --sweep``: from the shell, on the embedded model."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from typer.testing import CliRunner

from limner.engine.sweep import Axis
from limner.nodes.values import Latent
from limner.variants import Variants

SMALL = ("--set", "width=64", "--set", "height=64")
SWEEP = ("run", "text_to_image", *SMALL, "--sweep", "seed=1..3", "--sweep", "steps=2,6", "--out", "p.png")
FILES = ("--table", "t.csv", "--grid", "g.png")
NAMES = [f"p-seed={seed}-steps={steps}.png" for seed in (1, 2, 3) for steps in (2, 6)]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files that a sweep makes when nobody stops it."""
    from limner.commands import app

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("undisturbed"))
        patch.setenv("LIMNER_CACHE_DIR", "cache")
        result = CliRunner().invoke(app, [*SWEEP, *FILES])
        assert result.exit_code == 0, result.output
        assert "variant 6 of 6: seed=3 steps=6" in result.stderr
        return here()


def here() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path().iterdir() if path.is_file()}


def test_a_sweep_is_pictures_a_table_and_a_sheet(undisturbed: dict[str, bytes]) -> None:
    """Each variant has a picture called after it and a row; the sheet shows them all."""
    assert sorted(undisturbed) == sorted([*NAMES, "t.csv", "g.png"])
    rows = list(csv.DictReader(undisturbed["t.csv"].decode().splitlines()))
    assert [row["file"] for row in rows] == NAMES
    assert rows[3] == {"seed": "2", "steps": "6", "file": NAMES[3], "state": "done", "error": ""}
    Path("g.png").write_bytes(undisturbed["g.png"])
    with PIL.Image.open("g.png") as sheet:
        assert sheet.width > 3 * 64
        assert len(set(np.asarray(sheet).reshape(-1, 3)[:, 0])) > 100


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("when", ["node_progress", "variant_finished"])
def test_a_stopped_sweep_goes_on_to_the_same_bytes(
    limner: Any, undisturbed: dict[str, bytes], how: signal.Signals, when: str
) -> None:
    """After kill -9 or Ctrl-C, in the middle of a variant or between two, only what is missing runs."""
    command = [sys.executable, "-m", "limner", *SWEEP, *FILES, "--json", "--checkpoint-every", "0"]
    done = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            event = json.loads(line)
            done += [event["variant"]] if event["event"] == "variant_finished" else []
            if len(done) == 2 and event["event"] == when:
                process.send_signal(how)
                break
        rest = [json.loads(line) for line in process.stdout]
    done += [event["variant"] for event in rest if event["event"] == "variant_finished"]
    assert process.returncode == (130 if how == signal.SIGINT else -how)
    assert len(done) < 6, "the sweep was over before it could be stopped"
    assert not Path("g.png").exists()

    again = limner(*SWEEP, *FILES, "--json")
    assert again.code == 0, again.stderr
    started = {event["variant"] for event in again.events if event["event"] == "variant_started"}
    assert not started & set(done)
    assert "encode" not in again.nodes("node_started")
    assert here() == undisturbed

    third = limner(*SWEEP, *FILES, "--json")
    assert not third.nodes("node_started")
    assert here() == undisturbed


def test_one_of_its_pictures_replays_to_the_same_pixels(limner: Any, undisturbed: dict[str, bytes]) -> None:
    Path(NAMES[2]).write_bytes(undisturbed[NAMES[2]])
    answer = limner("replay", NAMES[2], "--check")
    assert answer.stdout == f"✓ {NAMES[2]}: the same pixels\n"


def test_quiet_and_json_say_where_the_files_are(limner: Any) -> None:
    """``--quiet`` prints paths only; ``--json`` says what became of each variant, and the paths at the end."""
    short = ("run", "text_to_image", *SMALL, "--set", "steps=1", "--sweep", "seed=1,2", "--out", "q.png")
    paths = ["q-seed=1.png", "q-seed=2.png"]
    answer = limner(*short, "--quiet", "--table", "q.json")
    assert (answer.stdout.split(), answer.stderr) == ([*paths, "q.json"], "")
    answer = limner(*short, "--json", "--no-cache")
    assert answer.events[-1] == {"event": "files", "paths": paths}
    ends = [event for event in answer.events if event["event"] == "variant_finished"]
    assert [(end["values"], end["state"], end["files"]) for end in ends] == [
        ({"seed": seed}, "done", [path]) for seed, path in zip((1, 2), paths, strict=True)
    ]
    assert all(end["seconds"] > 0 for end in ends)


def test_a_table_can_say_what_each_took(limner: Any) -> None:
    short = ("run", "text_to_image", *SMALL, "--set", "steps=1", "--sweep", "seed=1,2", "--out", "q.png")
    answer = limner(*short, "--table", "t.json", "--times")
    assert " s" in answer.stdout.splitlines()[1]
    found = json.loads(Path("t.json").read_text())
    assert found["columns"] == ["seed", "file", "state", "seconds", "error"]
    assert all(row[3] > 0 for row in found["rows"])
    again = limner(*short, "--table", "t.json", "--times")
    assert "finished earlier" in again.stdout
    assert all(row[3] is None for row in json.loads(Path("t.json").read_text())["rows"])
    Path("q-seed=1.png").unlink()
    again = limner(*short)
    assert "from the cache" in again.stdout.splitlines()[1]
    assert "finished earlier" in again.stdout.splitlines()[2]


PAINT = """
import numpy as np
from limner import Context, InputError, Node
from limner.nodes.values import Image

class Paint(Node):
    grey: int = 0

    def run(self, ctx: Context) -> Image:
        if self.grey == 2:
            raise InputError("2 is bad", hint="take 3")
        return Image(np.full((1, 64, 64, 3), self.grey, dtype=np.uint8))
"""


def test_a_failure_is_said_at_the_end(limner: Any, graph_file: Any) -> None:
    """The others are drawn, the reason stands below the table, and the exit code is 1."""
    Path("paint.py").write_text(PAINT)
    graph = graph_file({"paint": {"type": "Paint"}, "save": {"type": "SaveImage", "wires": {"images": "paint"}}})
    sweep = ("run", graph, "--nodes", "paint.py", "--sweep", "paint.grey=1..3")
    answer = limner(*sweep, "--table", "t.csv", "--grid", "g.png")
    assert answer.code == 1
    assert "failed" in answer.stdout.splitlines()[2]
    assert answer.stderr.splitlines()[-1] == "✗ paint.grey=2: paint (Paint) failed: 2 is bad; take 3"
    states = [row["state"] for row in csv.DictReader(Path("t.csv").read_text().splitlines())]
    assert states == ["done", "failed", "done"]
    assert Path("g.png").is_file()
    assert "Traceback" not in answer.stderr
    assert "Traceback" in limner(*sweep, "--debug").stderr


@pytest.mark.parametrize(
    ("options", "messages"),
    [
        (["--grid", "g.png", "--batch", "2"], ["--grid: nothing is swept", "--batch: nothing is swept"]),
        (["--sweep", "seed=1,2", "--grid", "g.gif", "--table", "t"], ["g.gif must end in .png", "t must end in .md"]),
        (["--sweep", "seed=1,2", "--batch", "0"], ["--batch 0: no number"]),
        (["--sweep", "seed=1,2", "--batch", "many"], ["--batch many: no number"]),
        (["--sweep", "steps=1,2", "--batch", "2"], ["no seed of a Denoise node is swept"]),
        (["--sweep", "seed=1,2", "--set", "batch=2", "--batch", "2"], ["denoise draws a batch of its own"]),
        (["--sweep", "seed=1,2", "--times"], ["no table is written"]),
        (["--sweep", "seed=1,2", "--trace", "t.json"], ["a trace is of one run"]),
        (["--sweep", "seed=1..9", "--max-variants", "8"], ["9 values, and 8 variants are allowed"]),
        (
            ["--sweep", "sede=1", "--sweep", "steps=0,x", "--sweep", "width=65", "--set", "guidance=-1"],
            ["did you mean seed?", "steps=0: at least 1", "steps=x: must be", "width=65: must", "guidance: at least 0"],
        ),
        (["--sweep", "seed", "--set", "sede=1", "--memory", "x"], ["NAME=VALUES", "did you mean seed?", "--memory x"]),
        (
            ["--sweep", "seed=1,2", "--sweep", "width=64,8192", "--memory", "cpu=100MB"],
            ["too much (with seed=1 width=8192)"],
        ),
        (["--sweep", "seed=1,2", "--memory", "cpu=1MB"], ["encode needs", "denoise needs", "nothing was run"]),
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(limner: Any, options: list[str], messages: list[str]) -> None:
    """Every fault at once, exit code 2, and no file."""
    answer = limner("run", "text_to_image", *options)
    assert answer.code == 2
    for message in messages:
        assert message in answer.stderr
    assert answer.stdout == ""
    assert not here()


def trimmed(variants: Variants, number: int, *last: str) -> Any:
    """The graph of a variant up to some nodes."""
    document = variants.checked(number).document
    kept = {name: document.nodes[name] for name in ("model", "encode", *last)}
    return document.model_copy(update={"nodes": kept, "parameters": {}, "outputs": {}})


def test_seeds_that_are_drawn_at_once_are_a_batch(session: Any) -> None:
    """With a batch, a variant's latents are those of its place in a batch of seeds, and have keys of their own."""
    document = session.document("text_to_image", {"steps": 2, "width": 64, "height": 64})
    together = Variants(session, document, [Axis("seed", (4, 5, 6))])
    together.place(3)
    alone = Variants(session, document, [Axis("seed", (4, 5, 6))])
    drawn = trimmed(alone, 0, "denoise")
    (batch,) = session.run(drawn, **{"denoise.batch": 3}).values(Latent)
    for number in range(3):
        (picked,) = session.run(trimmed(together, number, "denoise", "denoise_pick")).values(Latent)
        assert torch.equal(picked.samples, batch.samples[number : number + 1])
    keys = [
        dict(zip((step.node.id for step in plan.steps), session.executor.keys(plan), strict=True))
        for plan in (together.plan(1), alone.plan(1))
    ]
    assert keys[0]["encode"] == keys[1]["encode"]
    assert keys[0]["denoise"] != keys[1]["denoise"]


def test_as_many_seeds_as_fit_are_drawn_at_once() -> None:
    """``auto`` takes the largest batch that the plan of every variant allows, and no more than follow each other."""
    from limner import Session

    def drawn_at_once(mb: float, *widths: int) -> int:
        with Session(budget_bytes={"cpu": int(mb * 1e6)}, device="cpu") as session:
            axes = [Axis("seed", tuple(range(20))), Axis("width", widths or (128,))]
            variants = Variants(session, session.document("text_to_image"), axes)
            variants.place("auto")
            return int(variants.checked(0).document.nodes["denoise"].settings.get("batch", 1))

    assert drawn_at_once(1000) == 20
    assert 1 < drawn_at_once(30) < 20
    assert drawn_at_once(20) == 1
    assert drawn_at_once(30, 64) > drawn_at_once(30, 64, 128) == drawn_at_once(30, 128)


def test_models_that_cannot_stay_are_loaded_once(limner: Any) -> None:
    """Where memory does not hold all models, all prompts are encoded before the first picture is drawn."""
    run = ("run", "text_to_image", *SMALL, "-s", "steps=1", "-o", "m.png", "--json", "--memory", "cpu=19.5MB")
    answer = limner(*run, "--sweep", "prompt=a,b,c", "--sweep", "seed=1,2")
    assert answer.code == 0, answer.stderr
    loads = [event["model"] for event in answer.events if event["event"] == "model_loading"]
    assert loads.count("the text encoder of tiny") == 1
    assert any(event["event"] == "model_dropped" for event in answer.events)
    ends = [event for event in answer.events if event["event"] == "node_finished"]
    assert [event["variant"] for event in ends if event["node"] == "encode"] == [None] * 3
    assert not limner(*run, "--sweep", "prompt=a,b,c", "--sweep", "seed=1,2").nodes("node_started")


def test_a_picture_of_a_batch_replays_alone(limner: Any) -> None:
    """What it carries draws the batch again and picks the same one."""
    answer = limner(
        "run", "text_to_image", *SMALL, "-s", "steps=2", "--sweep", "seed=1..3", "--batch", "2", "-o", "b.png"
    )
    assert answer.code == 0, answer.stderr
    assert limner("replay", "b-seed=2.png", "--check").stdout == "✓ b-seed=2.png: the same pixels\n"


def test_a_sweep_of_the_default_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """``limner.sweep`` takes a template, as ``limner.run`` does."""
    import limner

    monkeypatch.setattr("limner.session._default", None)
    sweep = limner.sweep("text_to_image", {"seed": range(1, 3)}, steps=1, width=64, height=64)
    assert [row.files for row in sweep] == [("outputs/image-seed=1.png",), ("outputs/image-seed=2.png",)]
    assert isinstance(sweep.grid(), PIL.Image.Image)
    limner.session.default_session().close()
