"""Our panel in the editor: memory, plan and timeline."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from editing import FIRST, PANEL, Editor, editing, older
from process import served

CONTRAST = """(panel) => {
    const numbers = (color) => color.match(/[\\d.]+/g).map(Number);
    const linear = (one) => (one <= 0.03928 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4);
    const light = (color) => {
        const [r, g, b] = numbers(color).map((one) => linear(one / 255));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    let under = panel;
    while ((numbers(getComputedStyle(under).backgroundColor)[3] ?? 1) === 0) under = under.parentElement;
    const [text, back] = [getComputedStyle(panel).color, getComputedStyle(under).backgroundColor].map(light);
    return [(Math.max(text, back) + 0.05) / (Math.min(text, back) + 0.05), back];
}"""

INTO_SUBGRAPH = """() => {
    app.canvas.selectItems(app.graph._nodes.filter(({ type }) => type === "Denoise"));
    app.graph.convertToSubgraph(app.canvas.selectedItems);
}"""
BROKEN_IN_SUBGRAPH = f"""() => {{
    for (const [type, input] of [["Denoise", "conditioning"], ["LimnerVAEDecode", "vae"]]) {{
        const node = app.graph._nodes.find((one) => one.type === type);
        node.disconnectInput(node.findInputSlot(input));
    }}
    ({INTO_SUBGRAPH})();
}}"""
LOOK_AWAY = "app.canvas.ds.offset = [5000, 5000]; app.canvas.setDirty(true, true); app.canvas.setGraph(app.rootGraph)"
OUT = "app.canvas.setGraph(app.rootGraph)"
MIDDLE = """(() => {{
    const {{ canvas, ds, selected_nodes: selected, graph }} = app.canvas;
    const node = graph._nodes.find(({{ type }}) => type === "{0}");
    if (!node || Object.values(selected).map(({{ type }}) => type).join() !== "{0}") return false;
    const at = (axis, side) =>
        (node.pos[axis] + node.size[axis] / 2 + ds.offset[axis]) * ds.scale - canvas[side] / devicePixelRatio / 2;
    return Math.abs(at(0, "width")) < 100 && Math.abs(at(1, "height")) < 100;
}})()"""
"""Whether a node is chosen, near the middle of the canvas."""
CHANGED = """() => {
    const tracker = app.extensionManager.workflow.activeWorkflow.changeTracker;
    (tracker.captureCanvasState ?? tracker.checkState).call(tracker);
}"""
"""Have the editor see what was changed."""
COUNT = "[app.graph, ...app.graph._nodes.map(({ subgraph }) => subgraph)].flatMap((one) => one?._nodes ?? []).length"
"""Nodes, those in subgraphs included."""


@pytest.fixture
def small(context: Any, tmp_path: Path) -> Iterator[Editor]:
    """The editor of a server with little memory."""
    with (
        served(tmp_path, "--memory", "cpu=12MB", "--log-level", "warning", **older()) as (_, url),
        editing(context, url) as editor,
    ):
        yield editor


def part(panel: Any, name: str) -> Any:
    return panel.get_by_role("region", name=name)


def test_it_follows_what_happens(editor: Editor) -> None:
    """It says whether the graph fits, then what each node of the run did, and what stays in memory; also after a
    reload.
    """
    panel = editor.panel()
    part(panel, "Plan").get_by_text("It fits.").wait_for()
    assert panel.get_by_role("heading").all_inner_texts() == ["Memory", "Plan", "Timeline"]
    editor.set("Denoise", "steps", 3)
    editor.set("Denoise", "seed", 8)
    editor.run()
    part(panel, "Timeline").get_by_text("completed").wait_for()
    part(panel, "Timeline").get_by_text("Denoise 3").wait_for()
    part(panel, "Memory").get_by_text("the transformer of tiny").wait_for()
    editor.reload()
    part(editor.panel(), "Timeline").get_by_text("completed").wait_for()


def test_it_names_what_is_wrong_while_one_composes(editor: Editor) -> None:
    """A graph that cannot run is told so before anybody runs it, with the node, which a click leads to."""
    panel = editor.panel()
    part(panel, "Plan").get_by_text("It fits.").wait_for()
    editor.search("quantiz", "Quantize")
    editor.drag(editor.slot("Quantize", "model"), editor.slot("Denoise", "transformer", is_input=True))
    plan = part(panel, "Plan")
    plan.get_by_text("It cannot run yet.").wait_for()
    plan.get_by_role("button", name="Quantize").click()
    editor.until("Object.values(app.canvas.selected_nodes).map(({ type }) => type).join() === 'Quantize'")


def test_it_leads_into_a_subgraph_and_back(editor: Editor) -> None:
    """The name of a node in a subgraph opens the subgraph, with the node in the middle; also where another part of it
    was looked at before. A name of the outermost graph leads back there.
    """
    editor.page.evaluate(BROKEN_IN_SUBGRAPH)
    plan = part(editor.panel(), "Plan")
    for leave in (LOOK_AWAY, OUT):
        plan.get_by_role("button", name="Denoise", exact=True).click()
        editor.until(MIDDLE.format("Denoise"))
        editor.page.evaluate(leave)
        editor.page.wait_for_timeout(500)  # the editor notes where one looked
    plan.get_by_role("button", name="Denoise", exact=True).click()
    editor.until(MIDDLE.format("Denoise"))
    plan.get_by_role("button", name="VAE Decode").click()
    editor.until(MIDDLE.format("LimnerVAEDecode"))


def test_the_timeline_names_nodes_in_a_subgraph_as_the_editor_does(editor: Editor) -> None:
    """With the ids that are on the canvas, not with those that the job has for them."""
    editor.set("Denoise", "steps", 1)
    editor.page.evaluate(INTO_SUBGRAPH)
    inside = editor.page.evaluate("""() => {
        const outer = app.graph._nodes.find(({ subgraph }) => subgraph);
        return `${outer.id}:${outer.subgraph._nodes.find(({ type }) => type === "Denoise").id}`;
    }""")
    timeline = part(editor.panel(), "Timeline")
    editor.run()
    timeline.get_by_text("completed").wait_for()
    timeline.get_by_text(f"Denoise {inside}", exact=True).wait_for()


def test_what_would_fit_is_a_click_away(small: Editor) -> None:
    """A graph that does not fit says what it needs; what would fit is done to the canvas by a click, and undone."""
    panel = small.panel()
    plan = part(panel, "Plan")
    plan.get_by_text("It does not fit.").wait_for()
    plan.get_by_text("needs 19 MB on cpu, which has 12 MB").wait_for()
    plan.get_by_role("button", name="Apply: Quantize with method = nf4").click()
    plan.get_by_text("It fits.").wait_for()
    assert small.types() == [*FIRST, "Quantize"]
    assert small.value("Quantize", "method") == "nf4"
    assert ["LoadModel", "Quantize", "model"] in small.wires()
    assert ["Quantize", "Denoise", "transformer"] in small.wires()
    small.page.mouse.click(*small.empty())
    small.page.keyboard.press("Control+z")
    small.until_types(FIRST)
    plan.get_by_text("It does not fit.").wait_for()


def test_what_cannot_be_applied_changes_nothing(small: Editor) -> None:
    """Where what would fit needs a wire into a subgraph, that is said, and no node is left behind."""
    small.page.evaluate(INTO_SUBGRAPH)
    plan = part(small.panel(), "Plan")
    button = plan.get_by_role("button", name="Apply: Quantize with method = nf4")
    button.wait_for()
    before = small.page.evaluate(COUNT)
    button.click()
    small.page.get_by_text("is in a subgraph, and what it needs is not").first.wait_for()
    assert small.page.evaluate(COUNT) == before


def test_what_is_gone_is_not_changed(small: Editor) -> None:
    """A remedy of a node that was taken away meanwhile is refused in words, and adds nothing."""
    button = part(small.panel(), "Plan").get_by_role("button", name="Apply: Quantize with method = nf4")
    button.wait_for()
    small.page.route("**/v1/editor/plan", lambda route: None)  # so that the old one stays
    small.page.evaluate("app.graph.remove(app.graph._nodes.find((node) => node.type === 'Denoise'))")
    before = small.page.evaluate(COUNT)
    button.click()
    small.page.get_by_text("What this would change is no longer there.").first.wait_for()
    assert small.page.evaluate(COUNT) == before


def test_no_old_plan_is_left(editor: Editor) -> None:
    """A plan that comes late does not take the place of a newer one; where none comes it is said why, and the one
    before is gone.
    """
    page, asked = editor.page, "**/v1/editor/plan"
    plan = part(editor.panel(), "Plan")
    plan.get_by_text("It fits.").wait_for()
    late: list[Any] = []
    page.route(asked, lambda route: late.append(route), times=1)
    with page.expect_request(asked):
        change(editor, "Denoise", "steps", 3)
    change(editor, "LoadModel", "source", "no/such/model")
    plan.get_by_text("It cannot run yet.").wait_for()
    with page.expect_response(asked):
        late[0].continue_()
    page.wait_for_timeout(500)
    assert plan.get_by_role("status").inner_text() == "It cannot run yet."
    lost = {"status": 422, "content_type": "application/json", "body": '{"detail": "the answer was lost"}'}
    page.route(asked, lambda route: route.fulfill(**lost), times=1)
    change(editor, "LoadModel", "source", "tiny")
    plan.get_by_text("the answer was lost").wait_for()
    assert plan.get_by_role("status").inner_text() == ""
    assert plan.get_by_role("button").count() == 0
    change(editor, "Denoise", "steps", 4)
    plan.get_by_text("It fits.").wait_for()
    plan.get_by_text("the answer was lost").wait_for(state="hidden")


def change(editor: Editor, node_type: str, widget: str, value: Any) -> None:
    editor.set(node_type, widget, value)
    editor.page.evaluate(CHANGED)


def test_a_job_that_is_gone_is_forgotten(editor: Editor) -> None:
    """What the server no longer knows is not waited for."""
    editor.page.evaluate("sessionStorage.setItem('limner.job', 'f'.repeat(32))")
    editor.reload()
    timeline = part(editor.panel(), "Timeline")
    editor.until("sessionStorage.getItem('limner.job') === null")
    timeline.get_by_text("Nothing ran from this tab yet.").wait_for()


def test_it_asks_nothing_while_nothing_happens(editor: Editor) -> None:
    """It hears of changes instead of asking for them."""
    panel = editor.panel()
    part(panel, "Plan").get_by_text("It fits.").wait_for()
    asked: list[str] = []
    editor.page.on("request", lambda request: asked.append(request.url))
    for _ in range(20):  # whatever the beginning still asks for; who asks every three seconds is never done
        asked.clear()
        editor.page.wait_for_timeout(3000)
        if not any("/v1/" in url for url in asked):
            return
    pytest.fail(f"it asks on and on: {asked}")


@pytest.mark.parametrize(("palette", "is_dark"), [("dark", True), ("light", False)])
def test_it_is_readable_in_every_theme(editor: Editor, setting: Any, palette: str, is_dark: bool) -> None:
    """Its text stands out from what is behind it, as the guidelines for accessible pages ask."""
    setting("Comfy.ColorPalette", palette, "dark")
    editor.reload()
    contrast, back = editor.panel().evaluate(CONTRAST)
    assert contrast >= 4.5
    assert (back < 0.2) == is_dark


def test_it_is_reached_by_the_keyboard(small: Editor) -> None:
    """Its button, and what it offers, are reached with Tab and pressed with Enter."""
    page = small.page

    def tab_to(name: str) -> None:
        focused = f"(document.activeElement.getAttribute('aria-label') ?? '').startsWith({name!r})"
        for _ in range(150):
            if page.evaluate(focused):
                return
            page.keyboard.press("Tab")
        raise AssertionError(f"Tab never came to {name}")

    tab_to(PANEL)
    page.keyboard.press("Enter")
    part(page.locator(".limner-panel"), "Plan").get_by_text("It does not fit.").wait_for()
    tab_to("Apply: ")
    page.keyboard.press("Enter")
    part(page.locator(".limner-panel"), "Plan").get_by_text("It fits.").wait_for()
