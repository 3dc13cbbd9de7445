"""Files in the editor: saved, opened again, dropped, exported, uploaded."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from editing import FIRST, Editor, editing
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from test_serve import ask

GRAPHS = Path(__file__).parents[3] / "graphs"
EDIT = [
    "LoadModel",
    "TextEncode",
    "LoadReferenceImages",
    "EncodeReferences",
    "Denoise",
    "LimnerVAEDecode",
    "LimnerSaveImage",
]


def picture(color: str, **texts: str) -> bytes:
    """One that nobody made here."""
    content = io.BytesIO()
    chunks = PngInfo()
    for name, text in texts.items():
        chunks.add_text(name, text)
    Image.new("RGB", (64, 64), color).save(content, "PNG", pnginfo=chunks)
    return content.getvalue()


def test_a_workflow_is_saved_and_opened_again(editor: Editor) -> None:
    """Ctrl+S asks for a name once; a tab that knows nothing yet has the workflow in its list, as it was."""
    page = editor.page
    editor.search("quantiz", "Quantize")
    page.keyboard.press("Control+s")
    name = page.get_by_role("dialog").get_by_role("textbox")
    name.fill("kept for later")
    with page.expect_response(lambda answer: "/userdata/" in answer.url and answer.request.method == "POST"):
        page.keyboard.press("Enter")
    name.wait_for(state="hidden")
    context = page.context
    page.close()  # it would keep its draft where the later one finds it
    with editing(context, editor.url) as later:
        assert later.types() == FIRST
        later.page.mouse.click(*later.empty())
        later.page.keyboard.press("w")
        later.page.get_by_text("kept for later").first.click()
        later.until_types([*FIRST, "Quantize"])


def test_a_template_is_opened_and_runs(editor: Editor) -> None:
    """The browser of templates lists ours with their pictures; one that is chosen is on the canvas, and runs."""
    page = editor.page
    page.get_by_role("button", name="Templates").first.click()
    dialog = page.get_by_role("dialog")
    card = dialog.get_by_text("Text to image", exact=True)
    card.scroll_into_view_if_needed()
    editor.until("[...document.querySelectorAll('[role=dialog] img')].some((one) => one.naturalWidth > 0)")
    card.click()
    editor.until("document.title.includes('text_to_image')")
    editor.until_types(FIRST)
    editor.set("Denoise", "steps", 2)
    editor.run()
    editor.picture()


def test_a_picture_that_is_dropped_opens_its_graph(editor: Editor) -> None:
    """A PNG of ours opens as the graph that made it, and it is said what the editor cannot hold of it; another picture
    becomes a node that reads it.
    """
    made = ask(f"{editor.url}/v1/run/text_to_image?wait=1", {"prompt": "a red ring", "steps": 2, "seed": 2**60 + 1})
    editor.drop(("ring.png", made, "image/png"))
    editor.until_value("TextEncode", "prompt", "a red ring")
    assert editor.types() == FIRST
    editor.page.get_by_text("was rounded").first.wait_for()
    editor.drop(("plain.png", picture("blue"), "image/png"))
    editor.until_types([*FIRST, "LoadImage"])


@pytest.mark.parametrize("name", ["parameters", "workflow", "prompt", "limner"])
def test_a_picture_whose_graph_nobody_can_read_is_read_as_a_picture(editor: Editor, name: str) -> None:
    """Texts of other programs, and damaged graphs, keep no picture from becoming a node that reads it; where the graph
    was ours, that is said.
    """
    text = "a cat\nSteps: 20, Sampler: Euler, Seed: 1, Size: 64x64" if name == "parameters" else '{"nodes": [{"id'
    editor.drop(("odd.png", picture("blue", **{name: text}), "image/png"))
    editor.until_types([*FIRST, "LoadImage"])
    editor.until_value("LoadImage", "image", "odd.png")
    said = editor.page.get_by_text("odd.png: the picture carries a graph that cannot be read")
    said.first.wait_for(state="visible" if name == "limner" else "hidden")


def test_a_picture_of_comfyui_opens_its_workflow(editor: Editor) -> None:
    """The editor opens it by itself."""
    text = json.dumps({"nodes": [{"id": 1, "type": "Text", "pos": [0, 0]}], "links": [], "version": 0.4})
    editor.drop(("made.png", picture("blue", workflow=text, prompt="{half"), "image/png"))
    editor.until_types(["Text"])


def test_a_graph_comes_in_and_goes_out(editor: Editor) -> None:
    """A graph file that is dropped opens; what is exported from the menu is the same graph, with its places."""
    page = editor.page
    file = GRAPHS / "edit_with_references.json"
    editor.drop((file.name, file.read_bytes(), "application/json"))
    editor.until_types(EDIT)
    editor.drop(("blue.png", picture("blue"), "image/png"), at=near(editor, "LoadReferenceImages"))
    editor.until_value("LoadReferenceImages", "files", "blue.png")
    with page.expect_download() as download:
        page.evaluate("app.extensionManager.command.execute('limner.save')")
    exported = json.loads(Path(download.value.path()).read_text())
    wanted = json.loads(file.read_text())["nodes"]
    assert sorted(node["type"] for node in exported["nodes"].values()) == sorted(
        node["type"] for node in wanted.values()
    )
    assert set(exported["layout"]["positions"]) == set(exported["nodes"])
    (read,) = (node for node in exported["nodes"].values() if node["type"] == "LoadReferenceImages")
    assert read["settings"]["files"][0].startswith("uploads/")
    editor.drop(("again.json", json.dumps(exported).encode(), "application/json"))
    editor.until("document.title.includes('again')")
    assert editor.types() == EDIT


def test_what_is_wrong_with_a_file_is_said(editor: Editor) -> None:
    """A graph file that cannot be opened leaves the canvas as it is, and says why."""
    editor.drop(("late.json", b'{"limner": 99, "nodes": {}}', "application/json"))
    editor.page.get_by_text("this graph has format version 99").first.wait_for()
    assert editor.types() == FIRST


def test_settings_that_no_node_has_are_said(editor: Editor) -> None:
    """A file opens without a setting that the editor has no place for, and its name is said."""
    graph = {"limner": 1, "nodes": {"words": {"type": "Text", "settings": {"value": "a", "nosuch": 3}}}}
    editor.drop(("odd.json", json.dumps(graph).encode(), "application/json"))
    editor.page.get_by_text("words.nosuch").first.wait_for()
    editor.until_types(["Text"])


@pytest.mark.parametrize(
    "text", ['{"hello": "world"}', '{"hello": NaN}', "[1]", "{half", '{"nodes": [1]}', '{"1": {"class_type": "X"}}']
)
def test_a_file_without_a_graph_leaves_the_canvas(editor: Editor, text: str) -> None:
    """JSON of something else clears nothing: what is on the canvas stays, and it is said that there is no graph."""
    editor.drop(("other.json", text.encode(), "application/json"))
    editor.page.get_by_text("other.json").first.wait_for()
    assert editor.types() == FIRST


def test_words_that_would_be_numbers_elsewhere_are_words(editor: Editor) -> None:
    """A graph whose texts speak of NaN and Infinity opens as any other."""
    graph = {"limner": 1, "nodes": {"words": {"type": "Text", "settings": {"value": 'NaN, "Infinity" and beyond'}}}}
    editor.drop(("words.json", json.dumps(graph).encode(), "application/json"))
    editor.until_types(["Text"])


@pytest.mark.parametrize("part", ["graph", "workflow", "prompt"])
def test_the_body_of_a_request_opens_its_graph(editor: Editor, part: str) -> None:
    """What a client sends holds a graph beside other things: that is what opens."""
    inside = {
        "graph": {"limner": 1, "nodes": {"text": {"type": "Text"}}},
        "workflow": {"nodes": [{"id": 1, "type": "Text", "pos": [0, 0]}], "links": [], "version": 0.4},
        "prompt": {"1": {"class_type": "Text", "inputs": {"value": "a star"}}},
    }
    body = json.dumps({"client_id": "somebody", part: inside[part]})
    editor.drop(("body.json", body.encode(), "application/json"))
    editor.until_types(["Text"])


def test_pictures_are_uploaded(editor: Editor) -> None:
    """A node that reads one picture, and one that reads several, have a button that brings files to the server."""
    page = editor.page
    file = GRAPHS / "edit_with_references.json"
    editor.drop((file.name, file.read_bytes(), "application/json"))
    editor.until_types(EDIT)
    files = [{"name": f"{color}.png", "mimeType": "image/png", "buffer": picture(color)} for color in ("green", "navy")]
    editor.look_at("LoadReferenceImages")
    with page.expect_file_chooser() as chooser:
        press(editor, "LoadReferenceImages", "choose files to upload")
    chooser.value.set_files(files)
    editor.until_value("LoadReferenceImages", "files", "green.png\nnavy.png")
    editor.set("Denoise", "steps", 1)
    editor.run()
    editor.picture()
    editor.search("open picture", "Load Image")
    editor.look_at("LimnerLoadImage")
    with page.expect_file_chooser() as chooser:
        press(editor, "LimnerLoadImage", "upload")
    chooser.value.set_files({"name": "teal.png", "mimeType": "image/png", "buffer": picture("teal")})
    editor.until_value("LimnerLoadImage", "file", "teal.png")


def near(editor: Editor, node_type: str) -> tuple[float, float]:
    """A place on a node."""
    editor.look_at(node_type)
    x, y = editor.slot(node_type, "references")
    return x - 60, y


def press(editor: Editor, node_type: str, widget: str) -> None:
    """Click on a button of a node, which is drawn."""
    x, y = editor.page.evaluate(
        """([type, name]) => {
            const node = app.graph._nodes.find((one) => one.type === type);
            const widget = node.widgets.find((one) => one.name === name);
            const { canvas, ds } = app.canvas;
            const place = canvas.getBoundingClientRect();
            const [x, y] = [node.pos[0] + node.size[0] / 2, node.pos[1] + widget.last_y + 10];
            return [place.left + (x + ds.offset[0]) * ds.scale, place.top + (y + ds.offset[1]) * ds.scale];
        }""",
        [node_type, widget],
    )
    editor.until_free(x, y)
    editor.page.mouse.click(x, y)
