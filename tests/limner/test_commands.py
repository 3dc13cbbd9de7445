"""The commands that look and do not run: validate, plan, templates, nodes, schema, cache."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from limner.tables import kind_of

COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-7]m")


def test_validate_says_what_it_found(limner: Any) -> None:
    """A sound graph is said to be one, on stdout."""
    answer = limner("validate", "text_to_image")
    assert (answer.code, answer.stderr) == (0, "")
    assert answer.stdout == "✓ text_to_image: 5 nodes, no faults\n"


def test_validate_has_json(limner: Any) -> None:
    """``validate --json`` is data."""
    assert limner("validate", "text_to_image", "--json").json == {
        "graph": "text_to_image",
        "name": "text_to_image",
        "nodes": 5,
        "faults": [],
    }


def test_plan_shows_where_nodes_run(limner: Any) -> None:
    """``plan`` names every node, its lane, what it holds and what lies in memory while it runs."""
    answer = limner("plan", "text_to_image", "--device", "cpu")
    assert answer.code == 0
    line = next(line for line in answer.stdout.splitlines() if line.startswith("denoise"))
    assert line.split()[:4] == ["denoise", "cpu", "16.5", "MB"]
    assert "text encoder" in line


def test_plan_of_many_models_stays_readable(limner: Any) -> None:
    """Where many models are in memory at once, a step names the one that it holds and sums the others up."""
    lines = limner("plan", "quantization_compare", "--device", "cpu").stdout.splitlines()
    held = next(line for line in lines if line.startswith("fp8_latent_2"))
    assert "layerwise-fp8" in held
    assert "5 others" in held
    assert "nf4" not in held
    assert any(line.startswith("full_1, full_2 and 8 more: ") for line in lines)


def test_plan_has_json(limner: Any) -> None:
    """``plan --json`` lists the steps in an order in which they can run."""
    steps = limner("plan", "text_to_image", "--json").json["steps"]
    seen: set[str] = set()
    for step in steps:
        assert set(step["needs"]) <= seen
        seen.add(step["node"])
    assert [step["lane"] for step in steps if step["type"] == "SaveImage"] == ["host"]
    assert {node for step in steps for node in step["frees"]} == {"model", "encode", "denoise", "decode"}


def test_templates_are_listed(limner: Any) -> None:
    """``templates`` names every template with its parameters."""
    answer = limner("templates")
    assert answer.code == 0
    assert "text_to_image" in answer.stdout
    assert "edit_with_references" in answer.stdout
    assert "negative_prompt" in answer.stdout


def test_templates_have_json(limner: Any) -> None:
    """``templates --json`` gives each parameter's schema and default."""
    listed = {template["name"]: template for template in limner("templates", "--json").json}
    prompt = listed["text_to_image"]["parameters"]["prompt"]
    assert prompt["type"] == "string"
    assert prompt["default"] == "a large red circle on a #203040 background"
    assert "words" in prompt["description"]


def test_nodes_are_listed(limner: Any) -> None:
    """``nodes`` names every node with what it takes and gives."""
    answer = limner("nodes")
    assert answer.code == 0
    assert "``" not in answer.stdout
    assert {"LoadModel", "Denoise", "SaveImage", "Text"} <= {line.split(" ")[0] for line in answer.stdout.splitlines()}


def test_one_node_is_shown_in_full(limner: Any) -> None:
    """``nodes TYPE`` has inputs, outputs, settings with ranges and descriptions."""
    page = limner("nodes", "Denoise").stdout
    for part in ("Turn noise into a picture's latents", "transformer", "references", "optional", "latent", "1..1000"):
        assert part in page
    assert "``" not in page


def test_settings_are_shown_as_they_are_written(limner: Any) -> None:
    """Ranges hold allowed values only; kinds are words for people; defaults are what ``--set`` takes."""
    denoise = {line.split()[0]: line for line in limner("nodes", "Denoise").stdout.splitlines() if line}
    assert "integer 0..18446744073709551615 " in denoise["seed"]
    assert re.search(r"integer 1\.\.1000 or null +null ", denoise["steps"])
    assert re.search(r"files +list of texts +\[\] ", limner("nodes", "LoadReferenceImages").stdout)
    assert re.search(r"overwrite +true or false +false ", limner("nodes", "SaveImage").stdout)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 10}, "integer 1..9"),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 1}, "number above 0, at most 1"),
        ({"type": "number", "minimum": 0.5}, "number 0.5.."),
        ({"type": "array", "items": {"type": "string"}}, "list of texts"),
        ({"type": "array", "items": {}}, "list"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "text or null"),
        ({"enum": ["a", "b"], "type": "string"}, "a|b"),
        ({}, "value"),
    ],
)
def test_kinds_in_words(schema: dict[str, Any], words: str) -> None:
    """A bound that is shown is allowed, or said not to be."""
    assert kind_of(schema) == words


def test_nodes_are_sorted_by_a_category_that_is_shown(limner: Any) -> None:
    """The category stands beside the name, and the order of the list is its order; ComfyUI's have a list below."""
    ours, _, thin = limner("nodes").stdout.partition("\n\n")
    rows = [line.split()[:2] for line in ours.splitlines()[1:]]
    assert rows == sorted(rows, key=lambda row: (row[1], row[0]))
    assert "comfyui" not in ours
    assert {line.split()[1] for line in thin.splitlines()[2:]} == {"comfyui"}
    assert ["Denoise", "sampling"] in rows


def test_a_graph_is_listed_among_the_nodes(limner: Any) -> None:
    """A graph can be a node of another, so ``nodes`` names it and ``nodes Graph`` explains it."""
    assert "Graph " in limner("nodes").stdout
    assert "A template's name, or a .json file" in limner("nodes", "Graph").stdout
    assert "graph" in limner("nodes", "Graph", "--json").json["settings"]
    assert "did you mean Graph?" in limner("nodes", "Grap").stderr


def test_nodes_have_json(limner: Any) -> None:
    """``nodes --json`` lists all, ``nodes TYPE --json`` one."""
    assert {"Denoise", "VAEDecode"} <= {node["name"] for node in limner("nodes", "--json").json}
    node = limner("nodes", "Denoise", "--json").json
    assert node["inputs"]["references"] == {"type": "ReferenceLatents", "optional": True, "many": False}
    assert node["settings"]["seed"]["default"] == 0


def test_an_unknown_node_gets_the_nearest_name(limner: Any) -> None:
    """``nodes Denose`` asks whether Denoise was meant."""
    answer = limner("nodes", "Denose")
    assert answer.code == 2
    assert "did you mean Denoise?" in answer.stderr


def test_the_schema_fits_the_templates(limner: Any) -> None:
    """``schema`` is a JSON schema that takes every template and refuses what is no graph."""
    schema = limner("schema").json
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for template in limner("templates", "--json").json:
        path = Path(__file__).parents[2] / "graphs" / f"{template['name']}.json"
        validator.validate(json.loads(path.read_text()))
    wrong = ({}, {"limner": 2, "nodes": {}}, {"nodes": {"a": {}}}, {"nodes": {}, "more": 1}, {"nodes": {"a b": {}}})
    for document in wrong:
        assert not validator.is_valid(document), document


def test_the_cache_can_be_looked_at_and_cleared(quick: Any, limner: Any) -> None:
    """``cache info`` counts, ``cache clear`` empties, and saved pictures stay."""
    assert limner("cache", "info", "--json").json == {"folder": str(Path("cache").resolve()), "results": 0, "bytes": 0}
    quick("text_to_image")
    info = limner("cache", "info", "--json").json
    assert info["results"] == 3
    assert info["bytes"] > 0
    assert "3 results" in limner("cache", "info").stdout
    assert "cleared" in limner("cache", "clear").stdout
    assert limner("cache", "info", "--json").json["results"] == 0
    assert Path("outputs/image.png").exists()


def test_clearing_leaves_what_is_not_ours(limner: Any) -> None:
    """``cache clear --cache-dir`` on a folder with other files does not touch them."""
    Path("thesis.txt").write_text("years of work")
    assert limner("cache", "clear", "--cache-dir", ".").code == 0
    assert Path("thesis.txt").exists()


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_is_a_beginning(limner: Any, option: str) -> None:
    """``--help`` lists the commands, a first command to try, and the exit codes."""
    answer = limner(option)
    assert answer.code == 0
    for part in ("run", "validate", "replay", "limner run text_to_image", "Exit codes"):
        assert part in answer.stdout


@pytest.mark.parametrize("command", ["run", "validate", "plan", "templates", "nodes", "schema", "replay", "cache"])
def test_every_command_has_help(limner: Any, command: str) -> None:
    """Each command explains itself."""
    answer = limner(command, "--help")
    assert answer.code == 0
    assert f"limner {command}" in answer.stdout


def test_the_version_is_the_packages(limner: Any) -> None:
    """``--version`` is the installed version."""
    assert limner("--version").stdout == f"limner {version('limner')}\n"


def in_a_terminal(*arguments: str, **variables: str) -> str:
    """What a command shows in a terminal."""
    main, side = pty.openpty()
    command = [sys.executable, "-m", "limner", *arguments]
    environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "TERM")}
    with subprocess.Popen(
        command, stdout=side, stderr=side, env=environment | {"TERM": "xterm"} | variables
    ) as process:
        os.close(side)
        shown = b""
        try:
            while part := os.read(main, 65536):
                shown += part
        except OSError:  # Linux says so where the other side has closed
            pass
        assert process.wait() == 0
    os.close(main)
    return shown.decode()


def test_a_terminal_gets_colours_unless_told_not_to() -> None:
    """In a terminal there are colours; with NO_COLOR there are none."""
    assert COLOUR.search(in_a_terminal("validate", "text_to_image", "--set", "model=somebody/model"))
    assert not COLOUR.search(in_a_terminal("validate", "text_to_image", "--set", "model=somebody/model", NO_COLOR="1"))


def test_a_plan_that_does_not_fit_says_what_would(limner: Any, tmp_path: Path) -> None:
    """Exit code 1, what is missing, and a graph that fits, which ``--apply`` writes."""
    dev = ("--set", "model=black-forest-labs/FLUX.2-dev", "--memory", "cuda:0=24GB", "--memory", "cpu=64GB")
    path = tmp_path / "fits.json"
    answer = limner("plan", "text_to_image", *dev, "--apply", str(path))
    assert answer.code == 1
    assert "denoise needs 64.4 GB on cpu, which has 64.0 GB: 446.6 MB too much" in answer.stderr
    assert 'nodes.denoise.wires.transformer = "denoise_nf4"' in answer.stderr
    assert limner("plan", str(path), *dev[2:]).code == 0
    memory = limner("plan", "text_to_image", *dev, "--json").json["memory"]
    assert not memory["fits"]
    _, edit = memory["remedies"][0]["edits"]
    assert edit == {"path": ["nodes", "denoise", "wires", "transformer"], "value": "denoise_nf4"}
