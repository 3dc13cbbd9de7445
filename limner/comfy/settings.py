"""How a setting is edited in the protocol: the type and options of its widget, made from its JSON schema, and its
values there and back without loss.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from limner.engine.document import plain_json, read_json
from limner.engine.errors import GraphError

MAX_SAFE: Final = 2**53 - 1
"""The largest integer that JavaScript holds exactly. Larger ones of other clients are taken all the same."""
AS_USUAL: Final = "as usual"
"""The choice for a setting that may be left open."""
AUTO: Final = "auto"
"""What stands in the place of a number that may be left open."""
_FLOAT_STEP: Final = 0.01
NO_JSON: Final = object()


def _same(value: Any) -> Any:
    return value


@dataclass(frozen=True)
class Form:
    """A setting as a widget. ``show`` gives the widget's value for one of ours, and ``read`` ours for the widget's.

    ``read`` repairs nothing: what it does not know it passes on, for the check to judge.
    """

    type: str | list[str]
    options: Mapping[str, Any] = field(default_factory=dict)
    show: Callable[[Any], Any] = _same
    read: Callable[[Any], Any] = _same

    @property
    def is_text(self) -> bool:
        """Whether it is one text, in one line."""
        return self.type == "STRING" and "multiline" not in self.options


def form_of(name: str, schema: Mapping[str, Any]) -> Form:
    """The widget of a setting with this JSON schema."""
    kinds = [kind for kind in schema.get("anyOf", [schema]) if kind.get("type") != "null"]
    is_open = len(kinds) < len(schema.get("anyOf", [schema]))
    kind = {**schema, **kinds[0]} if len(kinds) == 1 else {**schema, "type": "any"}
    form = _form(name, kind, is_open)
    options = dict(form.options)
    if "placeholder" in options:
        options["placeholder"] = f"{name}, {options['placeholder']}"  # it stands where the name would
    if "default" in schema:
        options["default"] = form.show(schema["default"])
    if description := str(schema.get("description", "")):
        options["tooltip"] = (
            description.replace("Empty:", f"{AUTO}:") if options.get("default") == AUTO else description
        )
    return Form(form.type, options, form.show, form.read)


def _form(name: str, kind: Mapping[str, Any], is_open: bool) -> Form:
    if "enum" in kind or "const" in kind:
        return _choice(kind.get("enum", [kind.get("const")]), is_open)
    match kind.get("type"):
        case "boolean":
            return _choice([True, False], is_open) if is_open else Form("BOOLEAN")
        case "integer" | "number" if not is_open or _has_bound(kind):
            return _number(name, kind, is_open)
        case "string":
            return _text(kind, is_open)
        case "array" if kind.get("items", {}).get("type") == "string" and not is_open:
            return _lines()
    return _json(kind)


def _choice(values: list[Any], is_open: bool) -> Form:
    known = {value if isinstance(value, str) else json.dumps(value): value for value in values}
    labels = {AS_USUAL: None, **known} if is_open else known

    def show(value: Any) -> Any:
        return next((label for label, one in labels.items() if one is value or one == value), value)

    def read(shown: Any) -> Any:
        return labels.get(shown, shown) if isinstance(shown, str) else shown

    return Form(list(labels), {}, show, read)


def _has_bound(kind: Mapping[str, Any]) -> bool:
    return "minimum" in kind or "exclusiveMinimum" in kind


def _number(name: str, kind: Mapping[str, Any], is_open: bool) -> Form:
    is_whole = kind["type"] == "integer"
    step = kind.get("multipleOf", 1 if is_whole else _FLOAT_STEP)
    least = kind.get("minimum", kind["exclusiveMinimum"] + step if "exclusiveMinimum" in kind else -MAX_SAFE)
    most = kind.get("maximum", kind["exclusiveMaximum"] - step if "exclusiveMaximum" in kind else MAX_SAFE)
    options: dict[str, Any] = {"min": max(least, -MAX_SAFE), "max": min(most, MAX_SAFE), "step": step}
    if not is_whole:
        options["round"] = False  # a value that was typed stays what it is
    if is_whole and (name == "seed" or name.endswith("_seed")):
        options["control_after_generate"] = True

    def read(shown: Any) -> Any:
        if isinstance(shown, bool) or not isinstance(shown, (int, float)):
            return shown
        return int(shown) if is_whole and isinstance(shown, float) and shown.is_integer() else shown

    form = Form("INT" if is_whole else "FLOAT", options, read=read)
    return _open_number(form) if is_open else form


def _open_number(form: Form) -> Form:
    """A number that may be left open: a text, for none of the editor's widgets for numbers can say that there is none.

    Wires of numbers still lead to it.
    """

    def show(value: Any) -> Any:
        return AUTO if value is None else json.dumps(value)

    def read(shown: Any) -> Any:
        if not isinstance(shown, str):
            return form.read(shown)
        if shown.strip().lower() in (AUTO, ""):
            return None
        found = parsed_json(shown)
        return shown if found is NO_JSON else form.read(found)

    return Form(form.type, {**form.options, "widgetType": "STRING"}, show, read)


def _text(kind: Mapping[str, Any], is_open: bool) -> Form:
    options: dict[str, Any] = {"multiline": True} if kind.get("format") == "long-text" else {}
    if not is_open:
        return Form("STRING", options)

    def read(shown: Any) -> Any:
        return None if shown == "" else _quoted(shown)

    def show(value: Any) -> Any:
        return "" if value is None else value if read(value) == value else json.dumps(value)

    return Form("STRING", options, show, read)


def _quoted(shown: Any) -> Any:
    """What a text in quotes says; else the text. So that an empty text can be said where none means something else."""
    if isinstance(shown, str) and shown.startswith('"'):
        found = parsed_json(shown)
        return found if isinstance(found, str) else shown
    return shown


def _lines() -> Form:
    """Texts, one a line; as JSON where a line could not say them."""

    def read(shown: Any) -> Any:
        if not isinstance(shown, str):
            return shown
        found = parsed_json(shown) if shown.lstrip().startswith("[") else None
        return found if isinstance(found, list) else [line.strip() for line in shown.splitlines() if line.strip()]

    def show(value: Any) -> Any:
        if not isinstance(value, (list, tuple)) or not all(isinstance(one, str) for one in value):
            return value
        lines = "\n".join(value)
        return lines if read(lines) == list(value) else json.dumps(list(value), ensure_ascii=False)

    return Form("STRING", {"multiline": True, "placeholder": "one a line"}, show, read)


def _json(kind: Mapping[str, Any]) -> Form:
    """Anything else, as JSON; empty where it is the default, or nothing."""
    default = kind.get("default")

    def read(shown: Any) -> Any:
        if not isinstance(shown, str):
            return shown
        if not shown.strip():
            return default
        found = parsed_json(shown)
        if found is NO_JSON and kind.get("type") == "array":
            found = parsed_json(f"[{shown}]")  # 1, 2, 3
        return shown if found is NO_JSON else found

    def show(value: Any) -> Any:
        if value == default and not value:
            return ""
        return json.dumps(value, ensure_ascii=False)

    return Form("STRING", {"multiline": True, "placeholder": "in JSON"}, show, read)


def parsed_json(text: str) -> Any:
    """The JSON that a text holds; ``NO_JSON`` where it is none, or none that a graph can hold."""
    try:
        return plain_json(read_json(text))
    except (ValueError, GraphError):
        return NO_JSON
