"""FLUX.2's JSON prompts: their order, their bytes, and the faults of what they are made from."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from limner import Graph, GraphError, Session
from limner.engine.testing import FakeContext
from limner.nodes import StructuredPrompt, TextEncode
from limner.nodes.structured_prompt import KEYS

MUG: dict[str, Any] = {
    "camera": {"ISO": 200, "f-number": "f/5.6", "lens-mm": 85, "angle": "high angle"},
    "background": "a carpet in sand",
    "scene": "a desk in a studio",
    "subjects": [{"color_palette": ["matte black"], "pose": "standing", "description": "a mug", "position": "center"}],
    "mood": "",
    "color_palette": ["#e8d8b0", "matte black"],
}
GOLDEN = """{
  "scene": "a desk in a studio",
  "subjects": [
    {
      "description": "a mug",
      "position": "center",
      "pose": "standing",
      "color_palette": ["matte black"]
    }
  ],
  "color_palette": ["#e8d8b0", "matte black"],
  "background": "a carpet in sand",
  "camera": {
    "angle": "high angle",
    "lens-mm": 85,
    "f-number": "f/5.6",
    "ISO": 200
  }
}"""

texts = st.text(st.characters(codec="utf-8", exclude_characters="#"))
scalars = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    scalars | texts, lambda parts: st.lists(parts, max_size=3) | st.dictionaries(texts, parts, max_size=3), max_leaves=8
)
palettes = st.lists(texts | st.from_regex(r"#[0-9a-fA-F]{6}", fullmatch=True), max_size=3)


def says_something(given: dict[str, Any], under: str) -> bool:
    return any(key not in KEYS[under] or value for key, value in given.items())


def is_ordered(read: dict[str, Any], given: dict[str, Any], under: str) -> bool:
    """Whether the keys are those that say something, the known ones first."""
    known = [key for key in KEYS[under] if key in read]
    rest = [key for key in given if key not in KEYS[under]]
    return list(read) == known + rest and all(read[key] for key in known)


def objects(known: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with some of the known keys, and with unknown ones, in any order."""
    own = st.fixed_dictionaries({}, optional=known)
    rest = st.dictionaries(texts.filter(lambda key: key not in {*known, "paste"}), json_values, max_size=2)
    return st.tuples(own, rest).flatmap(lambda pair: st.permutations([*pair[0].items(), *pair[1].items()]).map(dict))


def fields(under: str) -> dict[str, Any]:
    return {name: palettes if name == "color_palette" else texts for name in KEYS[under]}


subjects = st.lists(objects(fields("subjects")), max_size=3)
prompts = objects(fields("") | {"subjects": subjects, "camera": objects(fields("camera"))})


@given(prompts)
def test_a_prompt_is_its_settings_in_order(prompt: dict[str, Any]) -> None:
    """Read back, a prompt has the known keys in their order, then the unknown ones in theirs, and nothing empty."""
    read = json.loads(StructuredPrompt.model_validate_json(json.dumps(prompt)).text())
    assert is_ordered(read, prompt, "")
    assert is_ordered(read.get("camera", {}), prompt.get("camera", {}), "camera")
    given_subjects = [one for one in prompt.get("subjects", []) if says_something(one, "subjects")]
    for one, other in zip(read.get("subjects", []), given_subjects, strict=True):
        assert is_ordered(one, other, "subjects")
        assert all(other[key] == value for key, value in one.items())
    assert all(value == prompt[key] for key, value in read.items() if key not in ("subjects", "camera"))


@given(prompts)
def test_pasting_is_the_same_as_filling_in(prompt: dict[str, Any]) -> None:
    """A prompt as text gives the bytes of the same prompt as settings, and of itself once written."""
    text = StructuredPrompt.model_validate_json(json.dumps(prompt)).text()
    assert StructuredPrompt(paste=json.dumps(prompt)).text() == text
    assert StructuredPrompt(paste=text).text() == text


@given(texts)
def test_any_script_passes_untouched(words: str) -> None:
    """Nothing of what people write is escaped but what JSON must escape."""
    text = StructuredPrompt(scene=words, subjects=[{"description": words}], 天气=words).text()
    assert text.count(json.dumps(words, ensure_ascii=False)) >= (3 if words else 1)


def test_the_bytes_are_those_of_the_guide() -> None:
    """Two spaces a level, palettes in one line: the form of BFL's guide, whatever order the settings came in."""
    assert StructuredPrompt(**MUG).text() == GOLDEN
    assert StructuredPrompt(**dict(reversed(MUG.items()))).text().encode() == GOLDEN.encode()


def test_the_classic_pair_differs_in_carpet_and_headphones() -> None:
    """The templates' prompts, to the byte: the second changes the carpet and adds a subject, and nothing else."""
    with Session() as session:
        first, second = (
            next(node.settings.text() for node in session.check(name).nodes if node.type.cls is StructuredPrompt)
            for name in ("product_shot", "product_shot_variant")
        )
    assert first == (
        '{\n  "scene": "studio product photo",\n  "subjects": [\n    {\n      "description": "medium red square box",\n'
        '      "position": "left"\n    }\n  ],\n  "lighting": "soft light",\n  "background": "#e8d8b0 carpet",\n'
        '  "camera": {\n    "lens-mm": 85\n  }\n}'
    )
    headphones = '"headphones, medium black ring ear pads",\n      "position": "right"'
    headphones = f'    }},\n    {{\n      "description": {headphones}\n    }}\n'
    assert second == first.replace("#e8d8b0", "#367588").replace("    }\n  ],\n", headphones + "  ],\n")


def test_fields_replace_what_was_pasted() -> None:
    """A field that says something takes the place of the pasted one; the others stay, with keys that nobody knows."""
    pasted = StructuredPrompt(paste=GOLDEN.replace("{\n", '{\n  "weather": "fog",\n', 1), background="#367588 carpet")
    read = json.loads(pasted.text())
    assert read == {**json.loads(GOLDEN), "background": "#367588 carpet", "weather": "fog"}
    assert list(read) == [*json.loads(GOLDEN), "weather"]


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"background": "#36758"}, "background: #36758 has 5 hex digits, and a color has 6, as in #367588"),
        ({"color_palette": ["#abc"]}, "color_palette[0]: #abc is short for #aabbcc: write that"),
        (
            {"subjects": [{}, {"color_palette": ["#36758"]}]},
            "subjects[1].color_palette[0]: #36758 has 5 hex digits, and a color has 6, as in #367588",
        ),
        ({"subjects": [{"color": "#36758899"}]}, "subjects[0].color: #36758899 has a transparency, which"),
        ({"color_palette": ["red", "#teal"]}, "color_palette[1]: #teal is no color: write #367588, or say it in words"),
        ({"camera": {"lens-mm": [85]}}, "camera.lens-mm: must be a text or a number"),
        ({"camera": {"angle": 3}}, "camera.angle: must be a text"),
        ({"camera": "35mm"}, "camera: must be an object"),
        ({"subjects": ["a cat"]}, "subjects[0]: must be an object"),
        ({"subjects": [{"sky": {"high": "#12345"}}]}, "subjects[0].sky: high: #12345 has 5 hex digits"),
        (
            {"paste": '{"subjects": [{"color_palette": ["#1"]}]}'},
            "paste: subjects[0].color_palette[0]: #1 has 1 hex digit,",
        ),
        ({"paste": '{"scene": "a", "scene": "b"}'}, "paste: the key 'scene' stands twice in one object"),
        ({"paste": '{"scene": '}, "paste: not JSON: Expecting value at line 1, column 11"),
        ({"paste": "a red circle"}, "paste: not JSON: "),
        ({"paste": "[1]"}, "paste: is no JSON object: a prompt in words goes straight to TextEncode"),
        ({"paste": '{"a": "\\ud800"}'}, "paste: 'utf-8' codec can't encode"),
        ({"paste": "[" * 70 + "]" * 70}, "paste: is nested too deeply"),
    ],
)
@pytest.mark.parametrize("is_wired", [False, True])
def test_faults_say_where_and_what_to_try(settings: dict[str, Any], fault: str, is_wired: bool) -> None:
    """Each fault is found while the graph is checked, under the place in the settings, wired or not."""
    node = {"type": "StructuredPrompt", "settings": settings}
    nodes = {"prompt": node | ({"wires": {"mood": "words"}} if is_wired else {}), "words": {"type": "Text"}}
    with pytest.raises(GraphError) as caught:
        Session().check({"limner": 1, "name": "g", "nodes": nodes})
    (found,) = caught.value.faults
    assert found.message.startswith(fault)
    place = found.where.removeprefix("nodes.prompt.settings.").replace(".", "").replace("[", "").replace("]", "")
    name = fault.split(":")[0].replace(".", "").replace("[", "").replace("]", "")
    assert place == name


@pytest.mark.parametrize("color", ["#367588", "#E8D8B0", "#e8d8b0 wool", "#367588, faded", "teal", "深青色", ""])
def test_colors_are_words_or_six_digits(color: str) -> None:
    """What the guide writes is allowed, and kept as it is."""
    node = StructuredPrompt(color_palette=[color], subjects=[{"description": "a mug", "color_palette": [color]}])
    assert json.loads(node.text())["color_palette"] == [color]


def test_a_key_of_ones_own_is_judged_too() -> None:
    """Under an unknown key, a color is found as well, however deep."""
    with pytest.raises(ValidationError, match="sky: #12345 has 5 hex digits"):
        StructuredPrompt(weather={"sky": "#12345"})


@pytest.mark.parametrize("color", ["#abc", "#1234", "#12345", "#36758g", "#abcdef1", "#ABCDEF12"])
@pytest.mark.parametrize("text", ["{}", "{} carpet", "a carpet in {}, woven", "a {}地毯", "#367588 and {}"])
def test_a_color_among_words_is_judged(text: str, color: str) -> None:
    """Wherever in a text it stands, what looks like a color and is none is a fault that names it."""
    for settings in ({"background": text.format(color)}, {"color_palette": [text.format(color)]}):
        with pytest.raises(ValidationError, match=color):
            StructuredPrompt(**settings)


def test_a_number_sign_in_a_text_is_no_color() -> None:
    """What has fewer than three digits, or is a word, is not taken for a color."""
    for words in ["#1 mug", "mug #12", "C#", "#", "#ab", "#winter", "#headed", "#1000th", "#face-off", "&#36758;"]:
        assert json.loads(StructuredPrompt(scene=words).text()) == {"scene": words}


def test_misspelt_keys_are_kept_and_said() -> None:
    """A key that is nearly a known one stays as it is, with a warning that names the place and the known key."""
    node = StructuredPrompt(ligthing="soft", weather="fog", camera={"lens_mm": 85}, subjects=[{"descripton": "a mug"}])
    ctx = FakeContext()
    assert json.loads(node.run(ctx)) == {
        "subjects": [{"descripton": "a mug"}],
        "camera": {"lens_mm": 85},
        "ligthing": "soft",
        "weather": "fog",
    }
    kept = "is kept as it is, but is no key of FLUX.2's prompts: did you mean"
    assert ctx.warnings == [
        f"subjects[0].descripton {kept} description?",
        f"camera.lens_mm {kept} lens-mm?",
        f"ligthing {kept} lighting?",
    ]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", b"bytes", {"a": {1}}])
def test_what_json_cannot_hold_is_refused(value: Any) -> None:
    """From Python too: a prompt is always JSON."""
    with pytest.raises(ValidationError):
        StructuredPrompt(weather=value)
    with pytest.raises(ValidationError):
        StructuredPrompt(camera={"lens": value})


def test_a_prompt_survives_being_saved() -> None:
    """Composed in Python and written as a graph file, it gives the same bytes, and so the same key."""
    graph = Graph("g")
    node = StructuredPrompt(**MUG, weather="雾")
    graph.add(TextEncode(), prompt=graph.add(node, id="prompt"), text_encoder="model.text_encoder")
    again = StructuredPrompt.model_validate_json(json.dumps(graph.document().nodes["prompt"].settings))
    assert again.text() == node.text()


def test_its_form_is_whole() -> None:
    """Each setting has a schema without references, and a description wherever something can be filled in."""
    from limner.engine.node import NodeType

    described = NodeType.of(StructuredPrompt).describe()["settings"]
    assert "$ref" not in json.dumps(described)
    camera = described["camera"]["anyOf"][0]["properties"]
    subject = described["subjects"]["items"]["properties"]
    assert (list(camera), list(subject)) == (list(KEYS["camera"]), list(KEYS["subjects"]))
    assert all(field["description"] for field in [*described.values(), *camera.values(), *subject.values()])
