"""Take the pictures of the editor with headless Chromium: ``python docs/images/editor.py``. Needs the dev extra."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from page import run, served
from PIL import Image
from playwright.sync_api import sync_playwright

PLACE = Path(__file__).parent
PROMPT = "a large striped orange ring on a purple background"
SLOW_MS = 180_000
SIZES = {"viewport": {"width": 1720, "height": 820}}
SHOW = """(left) => {
    const canvas = app.canvas, nodes = app.graph._nodes;
    const [x, y] = [0, 1].map((axis) => Math.min(...nodes.map(({ pos }) => pos[axis])));
    const right = Math.max(...nodes.map(({ pos, size }) => pos[0] + size[0]));
    const scale = Math.min(0.75, (innerWidth - left - 30) / (right - x));
    canvas.ds.scale = scale;
    canvas.ds.offset = [left / scale - x, 150 / scale - y];
    canvas.setDirty(true, true);
}"""
"""As near as the graph has room: texts on nodes are left out from afar."""
BESIDE_PANEL, ALONE = 400, 100
MOST_BYTES = 200_000


def open_panel(page: Any) -> Any:
    """The panel, opened."""
    page.get_by_role("button", name="Limner: memory, plan, timeline").click()
    panel = page.locator(".limner-panel")
    panel.wait_for()
    return panel


def composed(page: Any) -> None:
    """A graph that ran, with its picture, and the panel."""
    page.evaluate(
        """(prompt) => {
            const encode = app.graph._nodes.find((node) => node.type === "TextEncode");
            encode.widgets.find((widget) => widget.name === "prompt").value = prompt;
        }""",
        PROMPT,
    )
    panel = open_panel(page)
    page.get_by_role("button", name="Run", exact=True).first.click()
    panel.get_by_text("completed").wait_for()
    page.evaluate(SHOW, BESIDE_PANEL)
    page.wait_for_timeout(8000)  # the notice of the job goes


def search(page: Any) -> None:
    """The search that a double click opens."""
    page.evaluate(SHOW, ALONE)
    page.mouse.dblclick(900, 700)
    page.wait_for_timeout(1000)
    page.keyboard.type("reference")
    page.wait_for_timeout(1500)


def fault(page: Any) -> None:
    """A fault on its node, and what the panel says of it."""
    page.evaluate(
        """() => {
            const node = app.graph._nodes.find((node) => node.type === "Denoise");
            node.disconnectInput(node.findInputSlot("conditioning"));
        }"""
    )
    panel = open_panel(page)
    panel.get_by_text("It cannot run yet.").wait_for()
    page.get_by_role("button", name="Run", exact=True).first.click()
    page.wait_for_function("Object.keys(app.lastNodeErrors ?? {}).length > 0")
    page.evaluate(SHOW, BESIDE_PANEL)
    page.wait_for_timeout(2000)


def templates(page: Any) -> None:
    """The browser of templates."""
    page.get_by_role("button", name="Templates").first.click()
    page.wait_for_function("[...document.querySelectorAll('[role=dialog] img')].some((one) => one.naturalWidth > 0)")
    page.wait_for_timeout(3000)


def remedies(page: Any) -> None:
    """A plan that does not fit, and what would."""
    panel = open_panel(page)
    panel.get_by_text("It does not fit.").wait_for()
    page.evaluate(SHOW, BESIDE_PANEL)
    page.wait_for_timeout(1000)


def take(browser: Any, url: str, name: str, show: Callable[[Any], None]) -> None:
    """One picture, of a new window."""
    context = browser.new_context(**SIZES)
    context.set_default_timeout(SLOW_MS)
    page = context.new_page()
    page.goto(url)
    page.wait_for_function("window.app?.graph?._nodes?.length > 0")
    show(page)
    picture, place = Image.open(io.BytesIO(page.screenshot())).convert("RGB"), PLACE / f"{name}.png"
    picture.save(place, optimize=True)
    if (
        place.stat().st_size > MOST_BYTES
    ):  # it is full of pictures: fewer colours do not show there, as they do on wires
        picture.quantize().save(place, optimize=True)
    context.close()


def main() -> None:
    """Each picture that docs/editor.md has."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        with served() as url:
            run(url, "a blue star on a white background", "?wait=1")  # the first one waits for its modules
            take(browser, url, "editor", composed)
            take(browser, url, "editor-search", search)
            take(browser, url, "editor-fault", fault)
            take(browser, url, "editor-templates", templates)
        with served("--memory", "cpu=12MB") as url:
            take(browser, url, "editor-remedies", remedies)
        browser.close()


if __name__ == "__main__":
    main()
