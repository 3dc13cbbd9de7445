"""Running a graph in the editor: what is seen of it, what is wrong with it, and how it is stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from editing import FIRST, LONG, Editor
from test_serve import ask

RUNNING = "app.runningNodeId === '{}'"
FAULTY = "Object.keys(app.lastNodeErrors ?? {}).join()"


def number(editor: Editor, node_type: str) -> str:
    return str(editor.page.evaluate("(type) => app.graph._nodes.find((one) => one.type === type).id", node_type))


def add_before_save(editor: Editor, node_type: str) -> None:
    """Put a node with a picture before the one that saves."""
    editor.search(node_type.lower(), node_type)
    editor.drag(editor.slot("LimnerVAEDecode", "image"), editor.slot(node_type, "images", is_input=True))
    editor.drag(editor.slot(node_type, "image"), editor.slot("LimnerSaveImage", "images", is_input=True))
    assert [node_type, "LimnerSaveImage", "images"] in editor.wires()


def test_a_prompt_becomes_a_picture(editor: Editor) -> None:
    """Typed and run: there is a preview on the node while it denoises, and then the picture on the one that saves."""
    editor.look_at("TextEncode")
    editor.page.get_by_placeholder("prompt", exact=True).fill("a green diamond")
    editor.set("Denoise", "steps", 60)
    editor.run()
    editor.preview()
    assert editor.page.evaluate("Object.keys(app.nodePreviewImages)") == [number(editor, "Denoise")]
    assert editor.picture().startswith(editor.url)
    job = editor.last_job()
    assert job["state"] == "completed"
    graph = ask(f"{editor.url}/v1/jobs/{job['id']}/graph")
    assert graph["nodes"][number(editor, "TextEncode")]["settings"]["prompt"] == "a green diamond"


def notices(editor: Editor) -> Any:
    """What our extension says."""
    return editor.page.get_by_role("alert").filter(has=editor.page.get_by_text("Limner", exact=True))


def test_a_fault_is_on_its_node(editor: Editor) -> None:
    """What cannot run is refused before anything runs, marked on its node, and said once in our words."""
    editor.page.evaluate(
        """() => {
            const node = app.graph._nodes.find((node) => node.type === "Denoise");
            node.disconnectInput(node.findInputSlot("conditioning"));
        }"""
    )
    before = editor.last_job()["id"]
    editor.run()
    editor.until(f"{FAULTY} === '{number(editor, 'Denoise')}'")
    said = "Denoise: conditioning: is not wired (wire an output of type Conditioning to it)"
    notices(editor).get_by_text(said, exact=True).wait_for()
    assert notices(editor).count() == 1
    assert editor.last_job()["id"] == before


def test_a_node_that_fails_is_marked(editor: Editor) -> None:
    """What goes wrong while it runs is said with the node, in words and without a trace."""
    add_before_save(editor, "Breaks")
    editor.set("Denoise", "steps", 2)
    editor.run()
    editor.until("app.lastExecutionError")
    said = editor.page.evaluate("app.lastExecutionError")
    assert said["node_id"] == number(editor, "Breaks")
    assert said["exception_message"].count("turn on the light") == 1
    assert said["traceback"] == []
    notices(editor).get_by_text("turn on the light").wait_for()
    said = notices(editor).inner_text().split("\n")
    assert said[-2:] == ["Breaks: the picture is too dark", "turn on the light"]


def test_a_run_is_interrupted(editor: Editor) -> None:
    """Also in a tab that was reloaded meanwhile the node that runs is marked, with its previews and how much is done;
    the button beside Run ends it.
    """
    editor.set("Denoise", "steps", LONG)
    editor.run()
    editor.preview()
    editor.until("document.title.startsWith('[40%][')")  # two nodes of five are done
    job = editor.last_job()["id"]
    editor.reload()
    editor.until(RUNNING.format(number(editor, "Denoise")))
    editor.preview()
    editor.until("document.title.startsWith('[40%][')")
    editor.page.get_by_role("button", name="Cancel current run").first.click()
    assert editor.wait_for_end(job)["state"] == "cancelled"
    editor.until("!app.runningNodeId")
    assert notices(editor).count() == 0


def test_a_run_goes_on_over_a_reload(editor: Editor, gate: Path) -> None:
    """A tab that is reloaded in the middle shows the same graph, the node that runs, and then the picture."""
    add_before_save(editor, "Waits")
    editor.set("Denoise", "steps", 2)
    editor.run()
    running = RUNNING.format(number(editor, "Waits"))
    editor.until(running)
    editor.until_kept("Waits")
    editor.reload()
    editor.until_types([*FIRST, "Waits"])
    editor.until(running)
    gate.touch()
    try:
        editor.picture()
    finally:
        gate.unlink()
    assert editor.last_job()["state"] == "completed"


def test_the_newer_nodes_do_the_same(editor: Editor, setting: Any) -> None:
    """Nodes as elements of the page show previews, pictures, faults and failures too."""
    setting("Comfy.VueNodes.Enabled", True, False)
    editor.reload()
    editor.page.locator("[data-node-id]").nth(len(FIRST) - 1).wait_for()
    denoise = editor.page.locator(f"[data-node-id='{number(editor, 'Denoise')}']")
    save = editor.page.locator(f"[data-node-id='{number(editor, 'LimnerSaveImage')}']")
    editor.set("Denoise", "steps", 60)
    editor.set("Denoise", "seed", 6)
    editor.run()
    denoise.locator("img").first.wait_for()
    save.locator("img").first.wait_for()
    editor.set("Denoise", "steps", 2000)
    editor.run()
    denoise.get_by_text("Error", exact=True).first.wait_for()


def test_a_server_that_is_gone_is_said(editor: Editor) -> None:
    """A run that reaches no server says so, and blames no script."""
    page = editor.page
    page.route("**/api/prompt", lambda route: route.abort())
    editor.run()
    page.get_by_text("Run it again when the server is there.").first.wait_for()
    page.wait_for_timeout(500)  # the editor's own words come beside ours
    assert page.get_by_text("/extensions/limner").count() == 0
    assert page.get_by_text("Failed to fetch", exact=False).count() == 0
