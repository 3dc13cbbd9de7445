"""Composing a graph in the editor: nodes are found, wired and looked at."""

from __future__ import annotations

from typing import Any

from editing import FIRST, Editor
from test_serve import ask

PAINTED = """(colors) => Object.entries(colors).every(([type, color]) =>
    app.canvas.constructor.link_type_colors[type] === color
    && app.canvas.default_connection_color_byType[type] === color
    && document.documentElement.style.getPropertyValue(`--color-datatype-${type}`) === color)"""


def test_it_begins_with_a_graph_of_ours(editor: Editor) -> None:
    """The first graph is a template of ours, wired and set as its file is."""
    assert editor.types() == FIRST
    assert ["TextEncode", "Denoise", "conditioning"] in editor.wires()
    assert editor.value("LoadModel", "source") == "tiny"


def test_a_node_is_found_by_its_name_and_by_other_words(editor: Editor) -> None:
    """Double-click, a name or a word that another editor has for it, Enter: the node is on the canvas."""
    editor.search("quantiz", "Quantize")
    assert editor.types() == [*FIRST, "Quantize"]
    editor.search("contact sheet", "Compare")
    assert editor.types() == [*FIRST, "Quantize", "Compare"]


def test_wires_are_drawn_where_they_fit(editor: Editor) -> None:
    """An output that is dragged to an input of its type is wired to it; to one of another type it is not."""
    editor.search("quantiz", "Quantize")
    model = editor.slot("Quantize", "model", is_input=True)
    editor.drag(editor.slot("LoadModel", "vae"), model)
    assert ["LoadModel", "Quantize", "model"] not in editor.wires()
    editor.drag(editor.slot("LoadModel", "transformer"), model)
    assert ["LoadModel", "Quantize", "model"] in editor.wires()
    editor.drag(editor.slot("Quantize", "model"), editor.slot("Denoise", "transformer", is_input=True))
    assert ["Quantize", "Denoise", "transformer"] in editor.wires()
    assert ["LoadModel", "Denoise", "transformer"] not in editor.wires()


def test_a_node_is_deleted_and_comes_back(editor: Editor) -> None:
    """Delete takes the chosen node away, Ctrl+Z gives it back with its wires."""
    editor.look_at("LimnerSaveImage")
    x, y = editor.slot("LimnerSaveImage", "images", is_input=True)
    editor.page.mouse.click(x + 60, y - 20)  # its title
    editor.page.keyboard.press("Delete")
    editor.until_types(FIRST[:-1])
    editor.page.keyboard.press("Control+z")
    editor.until("app.graph._nodes.length === 5")
    assert ["LimnerVAEDecode", "LimnerSaveImage", "images"] in editor.wires()


def test_wires_keep_their_colours_in_another_theme(editor: Editor, setting: Any) -> None:
    """A theme that is chosen while a graph is open changes the page, and no type's colour."""
    setting("Comfy.ColorPalette", "dark", "dark")
    text_color = "getComputedStyle(document.documentElement).getPropertyValue('--fg-color')"
    colors = ask(f"{editor.url}/v1/editor/colors")["colors"]
    editor.page.wait_for_function(PAINTED, arg=colors)
    before = editor.page.evaluate(text_color)
    editor.page.evaluate("app.extensionManager.setting.set('Comfy.ColorPalette', 'light')")
    editor.page.wait_for_function(f"(before) => {text_color} !== before", arg=before)
    editor.page.wait_for_function(PAINTED, arg=colors)


def test_templates_say_what_they_are_for(editor: Editor) -> None:
    """Each card has a title and, once, what its graph's file says of it; the one to begin with comes first."""
    editor.page.evaluate("app.extensionManager.command.execute('Comfy.BrowseTemplates')")
    cards = editor.page.locator("[data-testid^='template-workflow-']").filter(has=editor.page.locator("h3"))
    first = cards.and_(editor.page.locator("[data-testid='template-workflow-text_to_image']"))
    first.wait_for()
    assert editor.page.locator("[data-testid^='template-workflow-'] h3").first.inner_text() == "Text to image"
    styled = first.evaluate("(card) => getComputedStyle(card.lastElementChild, '::after').content")
    said = first.inner_text() + ("" if styled == "none" else styled)
    assert said.count("Prompt to picture.") == 1
