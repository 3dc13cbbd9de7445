"""The editor, as people use it: in a browser, with the embedded model."""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api", reason="it drives the browser")

sys.path.append(str(Path(__file__).parent))  # pytest's importlib mode adds no folder by itself

from browser import SLOW_MS, chromium  # found through the line above
from test_serve import ask, served

from limner.server.editor.package import editor_folder

ROOT = Path(__file__).parents[2]
OPEN = """async ([name, content, type]) => {
    const bytes = Uint8Array.from(atob(content), (one) => one.charCodeAt(0));
    await app.handleFile(new File([bytes], name, { type }));
}"""
TYPES = "app.graph._nodes.map((node) => node.type)"
PROMPT = "app.graph._nodes.find((node) => node.type === 'TextEncode').widgets.find(({ name }) => name === 'prompt')"
STEPS = "app.graph._nodes.find((node) => node.type === 'Denoise').widgets.find(({ name }) => name === 'steps')"
FIRST = ["LoadModel", "TextEncode", "Denoise", "LimnerVAEDecode", "LimnerSaveImage"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if editor_folder() is None:
        pytest.skip('the editor is not installed: pip install "limner[editor]"')
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def url(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(tmp_path_factory.mktemp("editor"), **older()) as (_, url):
        yield url


def older() -> dict[str, str]:
    """Where another version of the package is to be tried: LIMNER_TEST_EDITOR names the folder that it is in."""
    folder = os.environ.get("LIMNER_TEST_EDITOR")
    path = os.pathsep.join(filter(None, (folder, os.environ.get("PYTHONPATH"))))
    return {"PYTHONPATH": path} if folder else {}


@contextmanager
def editing(browser: Any, url: str) -> Iterator[Any]:
    """The editor with our first graph. Afterwards nothing was asked, nor tried to be asked, of another host."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(SLOW_MS)
    asked: list[str] = []
    refused: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    context.on("console", lambda said: refused.append(said.text) if "Content Security Policy" in said.text else None)
    try:
        page = context.new_page()
        page.goto(url)
        page.wait_for_function("window.app?.graph?._nodes?.length > 0")
        yield page
    finally:
        context.close()
    assert [one for one in asked if not one.startswith((url, f"blob:{url}", "data:"))] == []
    assert refused == []


def open_file(page: Any, name: str, content: bytes, media_type: str) -> None:
    page.evaluate(OPEN, [name, base64.b64encode(content).decode(), media_type])


def last_job(url: str) -> dict[str, Any]:
    (job,) = ask(f"{url}/v1/jobs?limit=1")["jobs"]
    return dict(ask(f"{url}/v1/jobs/{job['id']}"))


def test_a_graph_is_run_and_comes_back(browser: Any, url: str) -> None:
    """The first graph is ours; it runs with its picture on its node, and that picture and the exported file open as
    the graph that ran.
    """
    with editing(browser, url) as page:
        assert page.evaluate(TYPES) == FIRST
        page.evaluate(f"{PROMPT}.value = 'a green diamond'")
        page.evaluate(f"{STEPS}.value = 3")
        page.evaluate("app.queuePrompt(0)")
        page.wait_for_function("Object.values(app.nodeOutputs).some(({ images }) => images?.length)")
        job = last_job(url)
        assert job["state"] == "completed"
        graph = ask(f"{url}/v1/jobs/{job['id']}/graph")
        with page.expect_download() as download:
            page.evaluate("app.extensionManager.command.execute('limner.save')")
        exported = json.loads(Path(download.value.path()).read_text())
        assert [node["type"] for node in exported["nodes"].values()] == [
            graph["nodes"][name]["type"] for name in sorted(graph["nodes"])
        ]
        assert set(graph["layout"]["ids"].values()) == set(exported["nodes"])
        assert set(exported["layout"]["positions"]) == set(exported["nodes"])
        picture = ask(f"{url}{job['artifacts'][0]['url']}")
        for name, content, media_type in (
            ("diamond.png", picture, "image/png"),
            ("diamond.json", json.dumps(exported).encode(), "application/json"),
        ):
            page.evaluate("app.graph.clear()")
            open_file(page, name, content, media_type)
            assert page.evaluate(TYPES) == FIRST
            assert page.evaluate(f"{PROMPT}.value") == "a green diamond"


def test_a_fault_is_on_its_node(browser: Any, url: str) -> None:
    """What cannot run is refused before anything runs, and the editor knows which node it is."""
    with editing(browser, url) as page:
        before = len(ask(f"{url}/v1/jobs")["jobs"])
        page.evaluate(
            """() => {
                const node = app.graph._nodes.find((node) => node.type === "Denoise");
                node.disconnectInput(node.findInputSlot("conditioning"));
            }"""
        )
        page.evaluate("app.queuePrompt(0)")
        page.wait_for_function("Object.keys(app.lastNodeErrors ?? {}).length > 0")
        number = page.evaluate("app.graph._nodes.find((node) => node.type === 'Denoise').id")
        assert list(page.evaluate("app.lastNodeErrors")) == [str(number)]
        assert len(ask(f"{url}/v1/jobs")["jobs"]) == before


def test_wires_fit_or_are_refused(browser: Any, url: str) -> None:
    """An output goes to an input of its type, and to no other."""
    with editing(browser, url) as page:
        connect = """([from, output, to, input]) => {
            const find = (type) => app.graph._nodes.find((node) => node.type === type);
            return Boolean(find(from).connect(find(from).findOutputSlot(output), find(to), input));
        }"""
        assert page.evaluate(connect, ["LoadModel", "vae", "LimnerVAEDecode", "vae"])
        assert not page.evaluate(connect, ["LoadModel", "vae", "Denoise", "conditioning"])


def test_the_panel(browser: Any, url: str) -> None:
    """It says what is in memory, whether the graph fits, and what the latest job did."""
    with editing(browser, url) as page:
        page.get_by_role("button", name="Limner").first.click()
        panel = page.locator(".limner-panel")
        panel.get_by_text("It fits.").wait_for()
        panel.get_by_role("region", name="Timeline").wait_for()
        assert panel.get_by_role("heading").all_inner_texts() == ["Memory", "Plan", "Timeline"]


def test_the_total_is_right_after_a_reload(browser: Any, url: str) -> None:
    """Where the page is loaded again in the middle of a run, what is done is counted among all nodes of the graph."""
    with editing(browser, url) as page:
        page.evaluate(f"{STEPS}.value = 500")
        page.evaluate("app.queuePrompt(0)")
        page.wait_for_function("document.title.startsWith('[40%][')")
        page.reload()
        page.wait_for_function("document.title.startsWith('[40%][')")
        page.evaluate("app.api.interrupt(null)")
        page.wait_for_function("!document.title.startsWith('[')")
