"""``limner run``: every option does what its help says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import PIL.Image
import pytest

PAINT = '''
import numpy as np
from pydantic import Field
from limner import Context, Node
from limner.nodes.values import Image

class Paint(Node):
    """One colour."""

    grey: int = Field(default=0, ge=0, le=255)

    def run(self, ctx: Context) -> Image:
        return Image(np.full((1, 64, 64, 3), self.grey, dtype=np.uint8))
'''


def look(path: str) -> PIL.Image.Image:
    """A picture, read whole."""
    with PIL.Image.open(path) as image:
        image.load()
        return image


def test_a_template_becomes_a_picture(quick: Any) -> None:
    """A template's name is enough; the path of the picture is all that stdout gets."""
    answer = quick("text_to_image")
    assert answer.code == 0, answer.stderr
    assert answer.stdout == "outputs/image.png\n"
    assert look("outputs/image.png").format == "PNG"
    assert "denoise" in answer.stderr
    assert "completed" in answer.stderr


def test_without_a_terminal_lines_are_plain(quick: Any) -> None:
    """In a pipe neither results nor progress carry escape sequences."""
    answer = quick("text_to_image", "--no-cache")
    assert "\x1b" not in answer.stdout + answer.stderr
    assert "✓ denoise" in answer.stderr


def test_a_second_run_takes_the_next_name(quick: Any) -> None:
    """No picture is lost: a second run does not replace the first one's file."""
    quick("text_to_image")
    assert quick("text_to_image").stdout == "outputs/image-2.png\n"


def test_a_file_that_out_names_is_replaced(quick: Any) -> None:
    """``--out FILE`` writes exactly there, each time."""
    Path("star.png").write_text("old")
    for _ in range(2):
        assert quick("text_to_image", "--out", "star.png").stdout == "star.png\n"
    assert look("star.png").format == "PNG"
    assert [path.name for path in Path().glob("*.png")] == ["star.png"]


def test_out_takes_a_folder(quick: Any) -> None:
    """``--out FOLDER/`` keeps the graph's file name and replaces nothing."""
    assert quick("text_to_image", "--out", "new/").stdout == "new/image.png\n"
    assert quick("text_to_image", "--out", "new").stdout == "new/image-2.png\n"


SHEET = {
    "black": {"type": "Paint"},
    "grey": {"type": "Paint", "settings": {"grey": 8}},
    "compare": {
        "type": "Compare",
        "settings": {"labels": ["black", "grey"]},
        "wires": {"images": ["black", "grey"]},
    },
    "save": {"type": "SaveImage", "wires": {"images": "compare.sheet"}},
    "table": {"type": "SaveTable", "settings": {"path": "mine.csv"}, "wires": {"table": "compare.table"}},
}


def test_out_takes_tables_along(limner: Any, graph_file: Any, tmp_path: Path) -> None:
    """A table goes beside the picture, under its name, or into the folder under its own; both paths are said."""
    (tmp_path / "paint.py").write_text(PAINT)
    run = ("run", graph_file(SHEET), "--nodes", "paint.py", "--no-cache")
    for _ in range(2):
        answer = limner(*run, "--out", "sheet.png")
        assert answer.code == 0, answer.stderr
        assert sorted(answer.stdout.split()) == ["sheet.csv", "sheet.png"]
    assert sorted(limner(*run, "--out", "new/").stdout.split()) == ["new/image.png", "new/mine.csv"]
    two = SHEET | {"more": SHEET["table"]}
    answer = limner("run", graph_file(two), "--nodes", "paint.py", "--out", "sheet.png")
    assert "saves 2 times (table, more)" in answer.stderr
    checked = limner("replay", "sheet.png", "--check", "--nodes", "paint.py")
    assert checked.stdout == "✓ sheet.png: the same pixels\n"


def test_out_needs_a_node_that_saves(limner: Any, graph_file: Any) -> None:
    """``--out`` on a graph that saves nothing is a fault, not a silent wish."""
    path = graph_file({"text": {"type": "Text"}})
    answer = limner("run", path, "--out", "x.png")
    assert answer.code == 2
    assert "has no SaveImage node" in answer.stderr


@pytest.mark.parametrize("ending", ["jpg", "webp"])
def test_the_ending_is_the_format(quick: Any, ending: str) -> None:
    """``--out`` with another ending writes another format."""
    quick("text_to_image", "--out", f"star.{ending}")
    assert look(f"star.{ending}").format == {"jpg": "JPEG", "webp": "WEBP"}[ending]


def test_a_batch_is_numbered(quick: Any) -> None:
    """Several pictures of one run are several paths on stdout."""
    assert quick("text_to_image", "--set", "batch=2", "--out", "two.png").stdout == "two-1.png\ntwo-2.png\n"


def test_json_gives_one_event_a_line(quick: Any) -> None:
    """``--json`` puts numbered events on stdout, one a line, and where the pictures are."""
    answer = quick("text_to_image", "--json", "--out", "a.png")
    assert [event["seq"] for event in answer.events[:-1]] == list(range(1, len(answer.events)))
    assert answer.events[0]["event"] == "run_started"
    assert answer.events[-2]["event"] == "run_finished"
    assert answer.events[-1] == {"event": "files", "paths": ["a.png"]}
    assert [e["step"] for e in answer.events if e["event"] == "node_progress" and e["node"] == "denoise"] == [1, 2]
    assert answer.stderr == ""


def test_quiet_prints_paths_only(quick: Any) -> None:
    """``--quiet`` is silent but for the results."""
    answer = quick("text_to_image", "--quiet")
    assert (answer.stdout, answer.stderr) == ("outputs/image.png\n", "")


def test_the_trace_is_a_chrome_trace(quick: Any) -> None:
    """``--trace`` writes what Perfetto and chrome://tracing load: complete events with lanes as threads."""
    quick("text_to_image", "--trace", "deep/trace.json")
    events = json.loads(Path("deep/trace.json").read_text())["traceEvents"]
    spans = {event["name"]: event for event in events if event["ph"] == "X"}
    assert {"encode", "denoise", "decode", "save"} <= set(spans)
    assert all(event["dur"] >= 0 and event["ts"] >= 0 and event["pid"] == 1 for event in spans.values())
    names = {event["tid"]: event["args"]["name"] for event in events if event["ph"] == "M"}
    assert names[spans["denoise"]["tid"]] != names[spans["save"]["tid"]]


def test_the_trace_is_written_for_failed_runs_too(limner: Any, graph_file: Any) -> None:
    """A run that fails is when a trace is needed most."""
    PIL.Image.effect_noise((96, 96), 50).save("bad.png")
    Path("bad.png").write_bytes(Path("bad.png").read_bytes()[:-2000])  # its header is sound
    path = graph_file({"a": {"type": "LoadReferenceImages", "settings": {"files": ["bad.png"]}}})
    assert limner("run", path, "--trace", "trace.json").code == 2
    assert "failed" in Path("trace.json").read_text()


def test_a_trace_that_cannot_be_written_is_a_clear_error(limner: Any, graph_file: Any) -> None:
    """A trace's path is judged in words, and the result is not lost for it."""
    path = graph_file({"text": {"type": "Text"}})
    answer = limner("run", path, "--trace", "/dev/null/trace.json")
    assert answer.code == 0
    assert "/dev/null/trace.json cannot be written" in answer.stderr


def test_nodes_come_from_files(limner: Any, graph_file: Any) -> None:
    """``--nodes FILE.py`` adds nodes for this run."""
    Path("paint.py").write_text(PAINT)
    path = graph_file(
        {
            "paint": {"type": "Paint", "settings": {"grey": 7}},
            "save": {"type": "SaveImage", "wires": {"images": "paint"}, "settings": {"path": "grey.png"}},
        }
    )
    assert limner("validate", path).code == 2
    assert limner("validate", path, "--nodes", "paint.py").code == 0
    assert limner("run", path, "--nodes", "paint.py", "--set", "paint.grey=9").code == 0
    assert look("grey.png").getpixel((0, 0)) == (9, 9, 9)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        ("x = 1", "defines no node"),
        ("1 +", "SyntaxError"),
        ("import nothing_of_this", "Module"),
    ],
)
def test_a_nodes_file_that_is_wrong_says_so(limner: Any, content: str | None, message: str) -> None:
    """A broken file of nodes is reported in a line."""
    if content is not None:
        Path("broken.py").write_text(content)
    answer = limner("nodes", "--nodes", "broken.py")
    assert answer.code == 2
    assert message in answer.stderr


def test_a_node_declared_wrongly_is_exit_code_2(limner: Any) -> None:
    """An author's mistake in a node class is told in a line."""
    Path("bad.py").write_text("from limner import Node\nclass Bad(Node):\n    pass\n")
    answer = limner("nodes", "--nodes", "bad.py")
    assert answer.code == 2
    assert "Bad has no method run" in answer.stderr


def test_cache_dir_is_used(quick: Any) -> None:
    """``--cache-dir`` keeps results there, and nowhere else."""
    quick("text_to_image", "--cache-dir", "mine")
    assert any(Path("mine").rglob("*.safetensors"))
    assert not Path("cache").exists()
    again = quick("text_to_image", "--cache-dir", "mine", "--json")
    assert again.nodes("node_started") == ["save"]


def test_no_cache_reads_and_writes_nothing(quick: Any) -> None:
    """``--no-cache`` neither finds what is there nor leaves anything."""
    quick("text_to_image")
    before = sorted(Path("cache").rglob("*"))
    again = quick("text_to_image", "--no-cache", "--json")
    assert again.nodes("node_cached") == []
    assert sorted(Path("cache").rglob("*")) == before


def test_parameters_and_settings_can_be_set(quick: Any, graph_inside: Callable[[str], Any]) -> None:
    """``--set`` takes parameters and ``node.setting``; texts need no quotes, other values are JSON."""
    quick("text_to_image", "-s", "prompt=a = b, 12", "-s", "denoise.seed=5", "-s", "guidance=1.5", "-o", "a.png")
    nodes = graph_inside("a.png")["nodes"]
    assert nodes["encode"]["settings"]["prompt"] == "a = b, 12"
    assert nodes["denoise"]["settings"]["seed"] == 5
    assert nodes["denoise"]["settings"]["guidance"] == 1.5


def test_a_prompt_may_be_json(quick: Any, graph_inside: Callable[[str], Any]) -> None:
    """A prompt in FLUX.2's JSON form stays a text."""
    quick("text_to_image", "-s", 'prompt={"scene": "a circle"}', "-o", "a.png")
    assert graph_inside("a.png")["nodes"]["encode"]["settings"]["prompt"] == '{"scene": "a circle"}'


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("seed", "is not NAME=VALUE"),
        ("sede=1", "did you mean seed?"),
        ("denoise.sede=1", "did you mean"),
        ("nobody.seed=1", "nobody.seed: text_to_image has no node nobody"),
        ("denoize.seed=1", "did you mean denoise?"),
        ("load_model.seed=1", "did you mean model?"),
        ("model=", "model: source: must not be empty"),
        ("steps=3.9", "steps: must be an integer"),
        ('steps="12"', "steps: must be an integer"),
        ("steps=twelve", "steps: must be an integer"),
        ("steps=0", "steps: at least 1"),
        ("guidance=NaN", "guidance: must be a finite number"),
        ("guidance=1e999", "guidance: must be a finite number"),
        (f"seed={2**64}", "seed: less than"),
        ("seed=" + "9" * 5000, "seed: must be an integer"),
        ("prompt=\udcff", "'prompt': is not Unicode text"),
    ],
)
def test_a_wrong_value_is_a_fault(limner: Any, value: str, message: str) -> None:
    """A value that does not fit is refused, never repaired."""
    answer = limner("validate", "text_to_image", "--set", value)
    assert answer.code == 2
    assert message in answer.stderr
    assert answer.stdout == ""


def test_a_device_that_is_not_there_is_named(quick: Any) -> None:
    """``--device`` with a device that this machine lacks says which ones it has."""
    answer = quick("text_to_image", "--device", "cuda:99")
    assert answer.code == 2
    assert "this machine has no cuda:99" in answer.stderr
    assert "cpu" in answer.stderr


def test_a_device_that_no_machine_has_is_named(quick: Any) -> None:
    """A misspelt device gets the nearest name."""
    answer = quick("text_to_image", "--device", "cup")
    assert answer.code == 2
    assert "did you mean cpu?" in answer.stderr


def test_the_device_can_be_chosen(quick: Any) -> None:
    """``--device cpu`` computes there, whatever else the machine has."""
    answer = quick("text_to_image", "--device", "cpu", "--json")
    assert {e["lane"] for e in answer.events if e["event"] == "node_started"} == {"cpu", "host"}


def test_references_are_given_by_path(quick: Any) -> None:
    """A list setting takes paths with commas between."""
    for name in ("a.png", "b.png"):
        PIL.Image.new("RGB", (64, 64), "red").save(name)
    answer = quick("edit_with_references", "--set", "images=a.png,b.png", "--out", "c.png", "--json")
    assert answer.code == 0, answer.stdout
    assert look("c.png").size == (64, 64)


def test_the_picture_carries_what_ran(quick: Any, graph_inside: Callable[[str], Any]) -> None:
    """The graph inside the picture is the one that ran, values filled in."""
    quick("text_to_image", "--set", "seed=77", "--out", "a.png")
    assert graph_inside("a.png")["nodes"]["denoise"]["settings"]["seed"] == 77


@pytest.fixture
def graph_inside() -> Callable[[str], Any]:
    """The graph that a picture carries."""
    return lambda path: json.loads(look(path).text["limner"])["graph"]


def test_verbose_tells_of_models(quick: Any) -> None:
    """Each model that is loaded or leaves, and a table of those that stay, on stderr; the path alone on stdout."""
    answer = quick("text_to_image", "--no-cache", "-v", "--memory", "cpu=18MB", "--device", "cpu")
    assert answer.stdout == "outputs/image.png\n"
    assert "+ denoise              the transformer of tiny is on cpu: 16.5 MB in " in answer.stderr
    assert "the text encoder of tiny leaves cpu to make room: 2.9 MB" in answer.stderr
    table = answer.stderr.partition("model in memory")[2]
    assert "the vae of tiny" in table
    assert "the transformer of tiny" not in table
    assert "% of 18.0 MB" in table
    assert "model in memory" not in quick("text_to_image", "--no-cache").stderr


def test_verbose_in_json_is_one_more_line(quick: Any) -> None:
    """The line before the last has the models that are alive, as data; a run from the cache has none."""
    events = quick("text_to_image", "--json", "-v", "--device", "cpu", "--memory", "cpu=1GB").events
    models, files = events[-2:]
    assert (models["event"], files["event"]) == ("models", "files")
    assert models["models"][0]["model"] == "the vae of tiny"
    assert {model["budget_bytes"] for model in models["models"]} == {10**9}
    assert "no model is in memory" in quick("text_to_image", "-v", "--device", "cpu").stderr


def test_quiet_and_verbose_exclude_each_other(quick: Any) -> None:
    answer = quick("text_to_image", "-q", "-v")
    assert answer.code == 2
    assert "--quiet and --verbose exclude each other" in answer.stderr
