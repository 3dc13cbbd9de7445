"""Tables for the terminal: templates, nodes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from limner.engine.models import ResidentModel
from limner.engine.node import NodeType
from limner.listed import ListedTemplate
from limner.terminal import printable, size


def table_of(*columns: str) -> Table:
    """An empty table, as all of ours look."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for index, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=index == 0)
    return table


def templates_table(templates: Iterable[ListedTemplate]) -> RenderableType:
    """Names, whose they are, what they do, and what the parameters are called; or why one is broken."""
    table = table_of("template", "from", "what it does", "parameters")
    for one in templates:
        template = one.template
        whose = (
            "built-in" if not template.is_own else "yours, hides a built-in one" if template.hides_builtin else "yours"
        )
        broken = [Text(f"broken: {printable(str(fault), one_line=True)}", style="red") for fault in one.faults]
        what = Group(*([Text(printable(one.description))] if one.description else []), *broken)
        table.add_row(
            Text(printable(template.name, one_line=True), style="cyan"),
            whose,
            what,
            ", ".join(printable(p.name, one_line=True) for p in one.parameters),
        )
    return table


def nodes_lists(types: Iterable[NodeType]) -> RenderableType:
    """Every node, and below them those that stand for ComfyUI's, which only its workflows need."""
    from limner.comfy.names import is_thin

    known = list(types)
    thin = [node for node in known if is_thin(node)]
    ours = nodes_table([node for node in known if not is_thin(node)])
    heading = Text("For ComfyUI's workflows, with its names behind Comfy:", style="bold")
    return Group(ours, "", heading, nodes_table(thin)) if thin else ours


def nodes_table(types: Iterable[NodeType]) -> RenderableType:
    """Nodes, sorted by category, with what they take and give."""
    table = table_of("node", "category", "takes", "gives", "what it does")
    for node in sorted(types, key=lambda t: (t.cls.category, t.name)):
        takes = ", ".join(f"{p.name}?" if p.is_optional else p.name for p in node.inputs.values())
        gives = ", ".join(p.name for p in node.outputs)
        table.add_row(Text(node.name, style="cyan"), node.cls.category, takes, gives, _plain(node.summary))
    return table


def node_page(node: NodeType) -> RenderableType:
    """One node: its description, inputs, outputs and settings."""
    import inspect

    wires = table_of("input", "type", "")
    for port in node.inputs.values():
        wires.add_row(Text(port.name, style="cyan"), port.label, "optional" if port.is_optional else "")
    outputs = table_of("output", "type")
    for port in node.outputs:
        outputs.add_row(Text(port.name, style="cyan"), port.label)
    settings = table_of("setting", "type", "default", "")
    for name, schema in node.settings_schema.get("properties", {}).items():
        default = "required" if "default" not in schema else _value(schema["default"])
        settings.add_row(Text(name, style="cyan"), kind_of(schema), default, _plain(schema.get("description", "")))
    parts: list[RenderableType] = [Text(node.name, style="bold"), _plain(inspect.getdoc(node.cls) or ""), ""]
    for table in (wires, outputs, settings):
        if table.row_count:
            parts += [table, ""]
    return Group(*parts[:-1])


def _plain(text: str) -> str:
    """A docstring without the marks of its markup."""
    return text.replace("``", "")


def kind_of(schema: Mapping[str, Any]) -> str:
    """A setting's type and range in a few words, each bound being allowed where nothing else is said.

    >>> kind_of({"anyOf": [{"type": "integer", "minimum": 1, "exclusiveMaximum": 10}, {"type": "null"}]})
    'integer 1..9 or null'
    >>> kind_of({"type": "number", "exclusiveMinimum": 0, "maximum": 1})
    'number above 0, at most 1'
    """
    return " or ".join(_kind(option) for option in schema.get("anyOf", [schema]))


_WORDS = {"string": "text", "boolean": "true or false", "array": "list"}


def _kind(option: Mapping[str, Any]) -> str:
    if "enum" in option:
        return "|".join(map(str, option["enum"]))
    name = str(option.get("type", "value"))
    word = _WORDS.get(name, name)
    if name == "array" and "type" in (items := option.get("items", {})):
        return f"{word} of {_WORDS.get(items['type'], items['type'])}s"
    low, high = option.get("minimum"), option.get("maximum")
    above, below = option.get("exclusiveMinimum"), option.get("exclusiveMaximum")
    if name == "integer":  # an excluded bound has an allowed neighbour
        low, above = (low, None) if above is None else (above + 1, None)
        high, below = (high, None) if below is None else (below - 1, None)
    if above is None and below is None:
        return word if low is None and high is None else f"{word} {_or_nothing(low)}..{_or_nothing(high)}"
    bounds = (("above", above), ("at least", low), ("below", below), ("at most", high))
    return f"{word} {', '.join(f'{word} {bound}' for word, bound in bounds if bound is not None)}"


def _or_nothing(bound: float | None) -> str:
    return "" if bound is None else str(bound)


def _value(default: Any) -> str:
    """A default as ``--set`` takes it: a text as it is, everything else as JSON."""
    return default if isinstance(default, str) and default else json.dumps(default, ensure_ascii=False)


def models_table(models: Iterable[ResidentModel]) -> RenderableType:
    """The models that are alive: where, how large, and which share of what models may take there; sums by device."""
    table = table_of("model in memory", "device", "size", "of its budget")
    totals: dict[str, list[ResidentModel]] = {}
    for model in models:
        totals.setdefault(model.device, []).append(model)
        share = _share(model.size_bytes, model.budget_bytes)
        table.add_row(Text(printable(str(model.spec)), style="cyan"), model.device, size(model.size_bytes), share)
    for device, here in totals.items():
        if len(here) > 1:
            used = sum(model.size_bytes for model in here)
            table.add_row(Text("all of them", style="bold"), device, size(used), _share(used, here[0].budget_bytes))
    return table


def _share(size_bytes: int, budget_bytes: int | None) -> str:
    return "no limit" if budget_bytes is None else f"{size_bytes / budget_bytes:.1%} of {size(budget_bytes)}"
