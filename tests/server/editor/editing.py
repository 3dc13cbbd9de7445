"""The editor as tests use it: with mouse and keyboard, in a window that asks nobody but its server."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from browser import SLOW_MS
from test_serve import ask

FIRST = ["LoadModel", "TextEncode", "Denoise", "LimnerVAEDecode", "LimnerSaveImage"]
LONG = 1000
"""Steps of a run that is looked at while it runs."""
PANEL = "Limner: memory, plan, timeline"
_NODE = "const node = app.graph._nodes.find((one) => one.type === type);"
_EMPTY = """() => {
    const { canvas, ds } = app.canvas;
    const place = canvas.getBoundingClientRect();
    for (let y = 560; y > 100; y -= 20)
        for (let x = 500; x < 900; x += 20) {
            const at = [(x - place.left) / ds.scale - ds.offset[0], (y - place.top) / ds.scale - ds.offset[1]];
            const isFar = [-30, 0, 30].every((step) => !app.graph.getNodeOnPos(at[0] + step, at[1] + step));
            if (isFar && document.elementFromPoint(x, y) === canvas) return [x, y];
        }
    return null;
}"""
_TYPES = "[...app.graph._nodes].sort((one, other) => one.id - other.id).map(({ type }) => type)"
_VALUE = f"([type, name]) => {{ {_NODE} return node?.widgets.find((one) => one.name === name)?.value; }}"
_SLOT = f"""([type, name, isInput]) => {{
    {_NODE}
    const slot = isInput ? node.findInputSlot(name) : node.findOutputSlot(name);
    const [x, y] = node.getConnectionPos(isInput, slot);
    const {{ canvas, ds }} = app.canvas;
    const place = canvas.getBoundingClientRect();
    return [place.left + (x + ds.offset[0]) * ds.scale, place.top + (y + ds.offset[1]) * ds.scale];
}}"""
_LOOK = f"""async ([type, scale]) => {{
    {_NODE}
    const {{ canvas, ds }} = app.canvas;
    const place = canvas.getBoundingClientRect();
    ds.scale = scale;
    const offset = [place.width / 2 / scale - node.pos[0] - node.size[0] / 2, 120 / scale - node.pos[1]];
    ds.offset = offset;
    app.canvas.setDirty(true, true);
    for (let frame = 0; frame < 6; frame += 1) await new Promise(requestAnimationFrame);
    return ds.scale === scale && ds.offset[0] === offset[0] && ds.offset[1] === offset[1];
}}"""
"""Until it stays so: a graph that was just opened is fitted into the window some frames later."""
_WIRES = """app.graph._nodes.flatMap((node) => (node.inputs ?? []).map((input, slot) =>
    [node.getInputNode(slot)?.type, node.type, input.name]).filter(([source]) => source))"""
_DROP = """([files, x, y]) => {
    const data = new DataTransfer();
    for (const [name, content, type] of files) {
        const bytes = Uint8Array.from(atob(content), (one) => one.charCodeAt(0));
        data.items.add(new File([bytes], name, { type }));
    }
    const place = { clientX: x, clientY: y, bubbles: true, cancelable: true, composed: true, dataTransfer: data };
    const target = document.elementFromPoint(x, y);
    for (const kind of ["dragenter", "dragover", "drop"]) target.dispatchEvent(new DragEvent(kind, place));
}"""

At = tuple[float, float]


def older() -> dict[str, str]:
    """Where another version of the package is to be tried: LIMNER_TEST_EDITOR names the folder that it is in."""
    folder = os.environ.get("LIMNER_TEST_EDITOR")
    path = os.pathsep.join(filter(None, (folder, os.environ.get("PYTHONPATH"))))
    return {"PYTHONPATH": path} if folder else {}


@dataclass
class Editor:
    """A tab with the editor."""

    page: Any
    url: str

    def begin(self) -> None:
        """Open it, and wait until it has its first graph."""
        self.page.goto(self.url)
        self.until_ready()

    def reload(self) -> None:
        self.page.reload()
        self.until_ready()

    def until_ready(self) -> None:
        self.until("window.app?.graph?._nodes?.length > 0")
        self.page.get_by_role("button", name=PANEL).wait_for()

    def until(self, condition: str) -> None:
        """Wait until an expression is true."""
        self.page.wait_for_function(condition)

    def types(self) -> list[str]:
        """The nodes on the canvas, in the order in which they came: the editor's own is what lies on what."""
        return list(self.page.evaluate(_TYPES))

    def until_types(self, types: list[str]) -> None:
        self.page.wait_for_function(f"(types) => JSON.stringify({_TYPES}) === JSON.stringify(types)", arg=types)

    def until_kept(self, node_type: str) -> None:
        """Wait until a node is in the draft of the tab, which is written a moment after a change."""
        self.page.wait_for_function(
            """(type) => [localStorage, sessionStorage].some((kept) =>
                Object.entries(kept).some(([name, text]) => name.includes("Workflow.Draft") && text.includes(type)))""",
            arg=node_type,
        )

    def wires(self) -> list[list[str]]:
        """From which node, to which node and input."""
        return list(self.page.evaluate(_WIRES))

    def value(self, node_type: str, widget: str) -> Any:
        return self.page.evaluate(_VALUE, [node_type, widget])

    def until_value(self, node_type: str, widget: str, value: Any) -> None:
        self.page.wait_for_function(
            f"([node, name, value]) => ({_VALUE})([node, name]) === value", arg=[node_type, widget, value]
        )

    def set(self, node_type: str, widget: str, value: Any) -> None:
        """Write into a widget. Most are drawn, and have nothing that a browser could type into."""
        self.page.evaluate(
            f"([type, name, value]) => {{ {_NODE} node.widgets.find((one) => one.name === name).value = value; }}",
            [node_type, widget, value],
        )

    def look_at(self, node_type: str, scale: float = 0.8) -> None:
        """Have a node near, below the menu: from afar its texts are left out."""
        self.page.wait_for_function(_LOOK, arg=[node_type, scale])

    def empty(self) -> At:
        """A place of the canvas where nothing is."""
        x, y = self.page.wait_for_function(_EMPTY).json_value()
        return x, y

    def until_free(self, x: float, y: float) -> None:
        """Wait until nothing covers the canvas at a place, as it does while a graph is opened."""
        self.page.wait_for_function("([x, y]) => document.elementFromPoint(x, y) === app.canvas.canvas", arg=[x, y])

    def slot(self, node_type: str, name: str, *, is_input: bool = False) -> At:
        """Where on the screen an output or an input is."""
        x, y = self.page.evaluate(_SLOT, [node_type, name, is_input])
        return x, y

    def drag(self, start: At, end: At) -> None:
        mouse = self.page.mouse
        mouse.move(*start)
        mouse.down()
        mouse.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2, steps=3)
        mouse.move(*end, steps=3)
        self.page.wait_for_timeout(100)  # the editor looks once a frame where the wire is
        mouse.up()

    def search(self, text: str, title: str) -> None:
        """Add a node by its name, or another word for it: the first that is found has this title."""
        before = len(self.types())
        x, y = self.empty()
        self._open_search(x, y)
        self.page.keyboard.type(text)
        self.page.get_by_role("option").filter(has_text=title).first.wait_for()
        self.page.keyboard.press("Enter")
        self.until(f"app.graph._nodes.length === {before + 1}")
        self.until_free(x, y)
        self.page.mouse.click(x + 30, y - 10)  # newer editors have it follow the mouse until then
        self.until("app.graph._nodes.every(({ flags }) => !flags.ghost)")

    def _open_search(self, x: float, y: float) -> None:
        """Double-click: again where the machine was so slow that it became two clicks."""
        from playwright.sync_api import TimeoutError as TooSlow

        dialog = self.page.get_by_role("dialog").filter(has=self.page.locator("input"))
        for patience_ms in (3000, 6000, SLOW_MS):
            self.page.mouse.dblclick(x, y)
            with suppress(TooSlow):
                return dialog.last.wait_for(timeout=patience_ms)
        raise AssertionError("a double click opened no search")

    def drop(self, *files: tuple[str, bytes, str], at: At | None = None) -> None:
        """Drop files, each with its name, content and media type, on the canvas."""
        encoded = [(name, base64.b64encode(content).decode(), kind) for name, content, kind in files]
        x, y = at or self.empty()
        self.until_free(x, y)
        self.page.evaluate(_DROP, [encoded, x, y])

    def run(self) -> None:
        self.page.get_by_role("button", name="Run", exact=True).first.click()

    def picture(self) -> str:
        """Where the picture on the node that saves is, once it is there."""
        self.until("Object.values(app.nodeOutputs).some(({ images }) => images?.length)")
        self.look_at("LimnerSaveImage")  # pictures are read when they are drawn
        self.until("app.graph._nodes.some((node) => node.type === 'LimnerSaveImage' && node.imgs?.[0]?.naturalWidth)")
        return str(self.page.evaluate("app.graph._nodes.find(({ type }) => type === 'LimnerSaveImage').imgs[0].src"))

    def preview(self) -> None:
        """Wait until there is a preview on a node."""
        self.until("Object.keys(app.nodePreviewImages ?? {}).length > 0")

    def panel(self) -> Any:
        """Our panel, opened."""
        panel = self.page.locator(".limner-panel")
        if not panel.is_visible():
            self.page.get_by_role("button", name=PANEL).click()
            panel.wait_for()
        return panel

    def last_job(self) -> dict[str, Any]:
        (job,) = ask(f"{self.url}/v1/jobs?limit=1")["jobs"]
        return dict(ask(f"{self.url}/v1/jobs/{job['id']}"))

    def wait_for_end(self, job_id: str) -> dict[str, Any]:
        """A job, once it has ended."""
        deadline = time.monotonic() + SLOW_MS / 1000
        while "finished" not in (job := ask(f"{self.url}/v1/jobs/{job_id}")):
            assert time.monotonic() < deadline, job
            time.sleep(0.05)
        return dict(job)


@contextmanager
def editing(context: Any, url: str) -> Iterator[Editor]:
    """A new tab with our first graph, which knows nothing of earlier ones.

    Afterwards nothing was asked, nor tried to be asked, of another host, the server did not fail, and nothing was
    thrown that nobody caught.
    """
    context.set_default_timeout(SLOW_MS)
    page = context.new_page()
    asked: list[str] = []
    wrong: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("response", lambda answer: wrong.append(answer.url) if answer.status >= 500 else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if "Content Security Policy" in said.text else None)
    forget = {"origin": url, "storageTypes": "local_storage,indexeddb,cookies"}
    context.new_cdp_session(page).send("Storage.clearDataForOrigin", forget)
    try:
        editor = Editor(page, url)
        editor.begin()
        yield editor
    finally:
        page.close()
    assert [one for one in asked if not one.startswith((url, f"blob:{url}", "data:"))] == []
    assert wrong == []


NODES = '''"""Nodes of a user."""
import time
from pathlib import Path

from limner.engine.context import Context
from limner.engine.errors import InputError
from limner.engine.node import Node
from limner.nodes.values import Image

GATE = Path(__file__).with_name("gate")


class Breaks(Node):
    """Fail while it runs."""

    def run(self, ctx: Context, images: Image) -> Image:
        raise InputError("the picture is too dark", hint="turn on the light")


class Waits(Node):
    """Wait at a gate, half of the way."""

    def run(self, ctx: Context, images: Image) -> Image:
        while not GATE.exists() and not ctx.cancelled:
            ctx.progress(1, 2)
            time.sleep(0.05)
        return images
'''
"""One that fails, and one that lasts until a file ``gate`` is beside it: no test depends on how long a step takes."""
