"""Settings as widgets, and back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.comfy.classes import Classes
from limner.comfy.settings import MAX_SAFE, Form, form_of
from limner.engine.node import NodeType
from limner.engine.registry import Registry
from limner.nodes import NODES

CLASSES = Classes(Registry(NODES))


def form(class_name: str, setting: str) -> Form:
    return CLASSES[class_name].settings[setting]


@pytest.mark.parametrize(
    ("class_name", "setting", "kind", "options"),
    [
        ("Denoise", "seed", "INT", {"min": 0, "max": MAX_SAFE, "control_after_generate": True, "default": 0}),
        ("Denoise", "batch", "INT", {"min": 1, "max": 64, "step": 1, "default": 1}),
        ("Denoise", "width", "INT", {"min": 16, "max": 8192, "default": "auto", "widgetType": "STRING"}),
        ("Denoise", "guidance", "FLOAT", {"min": 0, "max": 100, "default": "auto", "widgetType": "STRING"}),
        ("Denoise", "step_cache", ["none", "magcache", "taylorseer", "pab"], {"default": "none"}),
        ("Denoise", "compile", "BOOLEAN", {"default": False}),
        ("Denoise", "mag_ratios", "STRING", {"multiline": True, "default": ""}),
        ("UpsamplePrompt", "temperature", "FLOAT", {"min": 0.01, "max": 2}),
        ("TextEncode", "prompt", "STRING", {"multiline": True, "default": ""}),
        ("LoadModel", "revision", "STRING", {"default": ""}),
        ("StructuredPrompt", "camera", "STRING", {"multiline": True, "default": ""}),
        ("Compare", "labels", "STRING", {"multiline": True}),
        ("Integer", "value", "INT", {"min": -MAX_SAFE, "max": MAX_SAFE}),
    ],
)
def test_a_setting_becomes_the_widget_of_its_kind(class_name: str, setting: str, kind: Any, options: Any) -> None:
    """Ranges, steps, choices and defaults are those of the setting; a number that may be left open is typed."""
    found = form(class_name, setting)
    assert found.type == kind
    assert options.items() <= found.options.items()


def test_an_open_number_says_so_in_words() -> None:
    """Its widget shows what its tooltip speaks of."""
    options = form("Denoise", "steps").options
    assert options["default"] == "auto"
    assert "auto: the model's own" in str(options["tooltip"])


@pytest.mark.parametrize(
    ("class_name", "setting", "value", "shown"),
    [
        ("Denoise", "steps", None, "auto"),
        ("Denoise", "steps", 4, "4"),
        ("Denoise", "guidance", 0.1, "0.1"),
        ("Denoise", "guidance", 4, "4"),
        ("Denoise", "mag_ratios", [], ""),
        ("Denoise", "mag_ratios", [1.0, 0.5], "[1.0, 0.5]"),
        ("LoadModel", "revision", None, ""),
        ("LoadModel", "revision", "main", "main"),
        ("Quantize", "skip", ["proj_out", "attn.to_q"], "proj_out\nattn.to_q"),
        ("Quantize", "skip", ["two\nlines"], '["two\\nlines"]'),
        ("Quantize", "skip", [""], '[""]'),
        ("StructuredPrompt", "camera", None, ""),
        ("StructuredPrompt", "camera", {"angle": "high"}, '{"angle": "high"}'),
        ("StructuredPrompt", "subjects", [{"description": "ein Fuß"}], '[{"description": "ein Fuß"}]'),
    ],
)
def test_values_are_shown_as_people_edit_them(class_name: str, setting: str, value: Any, shown: Any) -> None:
    """Lists are lines, what is nested is JSON, nothing is empty; and each reads as what it was."""
    found = form(class_name, setting)
    assert found.show(value) == shown
    assert found.read(shown) == value


@pytest.mark.parametrize(
    ("class_name", "setting", "shown", "value"),
    [
        ("Denoise", "steps", 20.0, 20),
        ("Denoise", "steps", 20.5, 20.5),
        ("Denoise", "steps", " 20 ", 20),
        ("Denoise", "steps", "20.0", 20),
        ("Denoise", "steps", 20, 20),
        ("Denoise", "steps", " Auto", None),
        ("Denoise", "steps", "", None),
        ("Denoise", "steps", "many", "many"),
        ("Denoise", "steps", True, True),
        ("Denoise", "mag_ratios", "1, 0.5", [1, 0.5]),
        ("Denoise", "mag_ratios", "one", "one"),
        ("Denoise", "mag_ratios", [1.0], [1.0]),
        ("Denoise", "step_cache", "nothing", "nothing"),
        ("Quantize", "skip", " a \n\n b\r\n", ["a", "b"]),
        ("Quantize", "skip", "[1", ["[1"]),
        ("Quantize", "skip", ["a"], ["a"]),
        ("StructuredPrompt", "camera", "high angle", "high angle"),
        ("StructuredPrompt", "camera", "[" * 1000, "[" * 1000),
        ("StructuredPrompt", "camera", "NaN", "NaN"),
    ],
)
def test_what_programs_send_is_read_without_repair(class_name: str, setting: str, shown: Any, value: Any) -> None:
    """A number of JavaScript is an integer where it is whole; what is wrong is passed on for the check to judge."""
    assert form(class_name, setting).read(shown) == value


TEXTS = st.text(max_size=12) | st.sampled_from(["[", '"', '""', "[]", "a\nb", " ", "null", '"a'])
STRING = {"type": "string"}
OPEN = {"anyOf": [STRING, {"type": "null"}], "default": None}
EITHER = {"anyOf": [STRING, {"type": "number"}], "default": ""}


@given(st.none() | TEXTS)
def test_an_open_text_loses_nothing(value: str | None) -> None:
    """Also an empty one, and one in quotes."""
    found = form_of("s", OPEN)
    assert found.read(found.show(value)) == value


@given(st.lists(TEXTS, max_size=4))
def test_lines_lose_nothing(value: list[str]) -> None:
    """Whatever is in them."""
    found = form_of("s", {"type": "array", "items": STRING})
    assert found.read(found.show(value)) == value


@given(TEXTS | st.floats(allow_nan=False, allow_infinity=False))
def test_a_text_or_a_number_loses_nothing(value: Any) -> None:
    """A text that looks like a number stays one."""
    found = form_of("s", EITHER)
    assert found.read(found.show(value)) == value


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=3) | st.none())
def test_nested_values_lose_nothing(value: Any) -> None:
    """As deep as they are."""
    found = form_of("s", {"anyOf": [{"type": "object"}, {"type": "null"}], "default": None})
    assert found.read(found.show(value)) == value


@pytest.mark.parametrize("default", [None, "b"])
@pytest.mark.parametrize("value", [None, "a", "b"])
def test_a_choice_may_be_left_open(value: str | None, default: str | None) -> None:
    """A word stands for none, and the default is one of the choices."""
    found = form_of("s", {"anyOf": [{"enum": ["a", "b"], "type": "string"}, {"type": "null"}], "default": default})
    assert found.options["default"] in found.type
    assert found.read(found.show(value)) == value


@pytest.mark.parametrize("value", [None, True, False])
def test_a_truth_may_be_left_open(value: bool | None) -> None:
    """It is then a choice of three."""
    found = form_of("s", {"anyOf": [{"type": "boolean"}, {"type": "null"}], "default": None})
    assert found.type == ["as usual", "true", "false"]
    assert found.read(found.show(value)) is value


def test_every_default_comes_back() -> None:
    """What a widget shows before anybody touched it is the setting's default, for all nodes."""
    for name, found in CLASSES.items():
        for setting, default in found.defaults.items():
            shown = found.settings[setting].options["default"]
            assert found.settings[setting].read(shown) == default, (name, setting)


def test_an_open_number_without_a_range_is_a_text() -> None:
    """There is no number that could stand for none."""
    found = form_of("s", {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None})
    assert found.type == "STRING"
    assert [found.read(found.show(value)) for value in (None, 0, -5)] == [None, 0, -5]


def test_all_settings_of_all_nodes_have_a_form() -> None:
    """None is left out."""
    assert all(set(found.settings) == set(NodeType.of(found.node_type.cls).settings) for found in CLASSES.values())
