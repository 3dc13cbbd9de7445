"""A graph file in the real editor: opened, and exported again as the same file."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api", reason="it drives the browser")

sys.path.append(str(Path(__file__).parents[1]))  # pytest's importlib mode adds no folder by itself

from browser import SLOW_MS, chromium  # found through the line above
from test_serve import served

from limner.server.editor.package import editor_folder

GRAPH: dict[str, Any] = {
    "limner": 1,
    "name": "two_stars",
    "description": "A graph that somebody arranged.",
    "parameters": {"prompt": "encode.prompt", "seed": ["first.seed", "second.seed"], "steps": "first.steps"},
    "nodes": {
        "model": {"type": "LoadModel", "settings": {"source": "tiny"}},
        "encode": {
            "type": "TextEncode",
            "settings": {"prompt": "a star", "max_length": 64},
            "wires": {"text_encoder": "model.text_encoder"},
            "device": "cpu",
        },
        "first": {
            "type": "Denoise",
            "settings": {"seed": 7, "steps": 4, "guidance": 2.5},
            "wires": {"transformer": "model.transformer", "conditioning": "encode"},
        },
        "second": {
            "type": "Denoise",
            "settings": {"seed": 8},
            "wires": {"transformer": "model.transformer", "conditioning": "encode", "steps": "count"},
        },
        "count": {"type": "Integer", "settings": {"value": 3}},
        "day": {"type": "VAEDecode", "wires": {"vae": "model.vae", "latent": "first"}},
        "night": {"type": "VAEDecode", "wires": {"vae": "model.vae", "latent": "second"}},
        "sheet": {
            "type": "Compare",
            "settings": {"labels": ["day", "night"]},
            "wires": {"images": ["day", "night"]},
        },
        "save": {"type": "SaveImage", "wires": {"images": "sheet.sheet"}},
        "alone": {"type": "Text", "settings": {"value": "nothing needs this"}},
    },
    "outputs": {"image": "day"},
    "layout": {
        "positions": {
            "model": [0, 300.123],
            "encode": [400, 100],
            "first": [800, 0],
            "second": [800, 720],
            "count": [400, 720],
            "day": [1240, 0],
            "night": [1240, 720],
            "sheet": [1640, 300],
            "save": [2040, 300],
            "alone": [0, 900],
        },
        "sizes": {"encode": [360, 420]},
        "titles": {"first": "The day"},
        "looks": {"second": {"color": "#223", "bgcolor": "#335"}},
        "groups": [{"title": "Two stars", "bounding": [780, -80, 840, 1300]}],
        "notes": [{"text": "# Read me", "position": [0, -200], "size": [340, 180]}],
        "of a script": {"kept": True},
    },
}
OPEN = """async (content) => {
    await app.handleFile(new File([content], "two_stars.json", { type: "application/json" }));
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if editor_folder() is None:
        pytest.skip('the editor is not installed: pip install "limner[editor]"')
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def url(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = os.environ.get("LIMNER_TEST_EDITOR")
    path = os.pathsep.join(filter(None, (folder, os.environ.get("PYTHONPATH"))))
    with served(tmp_path_factory.mktemp("files"), **({"PYTHONPATH": path} if folder else {})) as (_, url):
        yield url


@pytest.mark.parametrize("is_newer", [False, True], ids=["canvas", "vue"])
def test_an_opened_graph_is_exported_as_it_was(browser: Any, url: str, is_newer: bool) -> None:
    """Places, sizes, titles, groups, notes, ids, parameters and outputs, in both renderings; and settings that are left
    open say so.
    """
    context = browser.new_context(viewport={"width": 1600, "height": 900})
    context.set_default_timeout(SLOW_MS)
    page = context.new_page()
    page.goto(url)
    page.wait_for_function("window.app?.graph?._nodes?.length > 0")
    page.evaluate("(on) => app.ui.settings.setSettingValueAsync('Comfy.VueNodes.Enabled', on)", is_newer)
    page.reload()
    page.wait_for_function("window.app?.graph?._nodes?.length > 0")
    page.evaluate(OPEN, json.dumps(GRAPH))
    page.wait_for_function("app.graph._nodes.length === 11")
    widgets = "app.graph._nodes.find(({ title }) => title === 'The day').widgets"
    assert page.evaluate(f"{widgets}.map(({{ value }}) => value).slice(0, 2)") == ["4", "2.5"]
    assert page.evaluate(f"{widgets}.find(({{ name }}) => name === 'width').value") == "auto"
    page.wait_for_timeout(1000)  # so that what the editor does of itself is done
    with page.expect_download() as download:
        page.evaluate("app.extensionManager.command.execute('limner.save')")
    exported = json.loads(Path(download.value.path()).read_text())
    context.close()
    assert exported == GRAPH


def test_a_graph_that_cannot_run_is_exported_and_said(browser: Any, url: str) -> None:
    """The file is as it was opened, and a notice says what is wrong, by the node's title."""
    nodes = GRAPH["nodes"] | {"model": {"type": "LoadModel", "settings": {"source": "no/such/model"}}}
    graph = GRAPH | {"nodes": nodes}
    context = browser.new_context(viewport={"width": 1600, "height": 900})
    context.set_default_timeout(SLOW_MS)
    page = context.new_page()
    page.goto(url)
    page.wait_for_function("window.app?.graph?._nodes?.length > 0")
    page.evaluate(OPEN, json.dumps(graph))
    page.wait_for_function("app.graph._nodes.length === 11")
    page.wait_for_timeout(1000)  # so that what the editor does of itself is done
    with page.expect_download() as download:
        page.evaluate("app.extensionManager.command.execute('limner.save')")
    assert json.loads(Path(download.value.path()).read_text())["nodes"] == nodes
    page.get_by_text("As it is, it cannot run here").first.wait_for()
    page.get_by_text("Load Model: source: there is no model folder no/such/model").first.wait_for()
    context.close()
