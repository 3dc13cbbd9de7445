"""Take the picture of the editor with headless Chromium: ``python docs/images/editor.py``. Needs the dev extra."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

from playwright.sync_api import sync_playwright

PLACE = Path(__file__).parent
PROMPT = "a large striped orange ring on a purple background"
SLOW_MS = 180_000
SHOW = """() => {
    const canvas = app.canvas, nodes = app.graph._nodes;
    const left = Math.min(...nodes.map((node) => node.pos[0])), top = Math.min(...nodes.map((node) => node.pos[1]));
    canvas.ds.scale = 0.72;
    canvas.ds.offset = [430 / 0.72 - left, 140 / 0.72 - top];
    canvas.setDirty(true, true);
}"""
"""Beside the panel, as near as the graph has room: texts on nodes are left out from afar."""


def served() -> ModuleType:
    """The script that takes the page's pictures: its server serves the editor too."""
    spec = importlib.util.spec_from_file_location("page_pictures", PLACE / "page.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Run the first graph with a prompt of its own, and look at it with the panel open."""
    with served().served() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1900, "height": 820})
        page.set_default_timeout(SLOW_MS)
        page.goto(url)
        page.wait_for_function("window.app?.graph?._nodes?.length > 0")
        page.evaluate(
            """(prompt) => {
                const encode = app.graph._nodes.find((node) => node.type === "TextEncode");
                encode.widgets.find((widget) => widget.name === "prompt").value = prompt;
            }""",
            PROMPT,
        )
        page.evaluate("app.queuePrompt(0)")
        page.wait_for_function("Object.values(app.nodeOutputs).some(({ images }) => images?.length)")
        page.get_by_role("button", name="Limner").first.click()
        page.locator(".limner-panel").get_by_role("region", name="Timeline").wait_for()
        page.evaluate(SHOW)
        page.wait_for_timeout(8000)  # the notice of the job goes
        page.screenshot(path=PLACE / "editor.png")
        browser.close()


if __name__ == "__main__":
    main()
