"""What a node is called with: its settings, those that wires bring among them, and the values on its other wires."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from limner.engine.checked import CheckedNode, Wire
from limner.engine.document import shape_fault
from limner.engine.errors import InputError
from limner.engine.findings import Findings
from limner.engine.output_folder import place
from limner.engine.plan import Step

Values = Sequence[tuple[Any, ...] | None]
"""What each step gave, by its index. A node that is ready has values at all its sources."""


def bind(step: Step, values: Values, output_folder: Path | None = None) -> tuple[Any, dict[str, Any]]:
    """The node and the arguments of ``run``.

    Raises InputError where a wired setting is out of its range, and where the node would write outside of
    ``output_folder``, if there is one.
    """
    node, wires = _bind_wires(step.node, values)
    if output_folder is not None and node.writes_to:
        node = place(node, output_folder)
    return node, wires


def _bind_wires(checked: CheckedNode, values: Values) -> tuple[Any, dict[str, Any]]:
    if not checked.wires:
        return checked.settings, {}
    wires = {wire.port: _value(wire, values) for wire in checked.wires if not wire.is_setting}
    if (node := checked.node) is not None:
        return node, wires
    wired = {wire.port: _value(wire, values) for wire in checked.wires if wire.is_setting}
    try:
        node = checked.type.cls(**(dict(checked.settings) | wired))
        counts = {wire.port: len(wire.sources) for wire in checked.wires if not wire.is_setting}
        faults = [f"{name}: {message}" for name, message in node.problems(counts)]
    except ValidationError as error:
        prefix, findings = ("nodes", checked.id, "settings"), Findings()
        faults = [str(shape_fault(d, prefix, findings=findings)) for d in error.errors(include_url=False)]
    if faults:
        raise InputError("a wire brought a value that the setting does not take: " + "; ".join(faults))
    return node, wires


def _value(wire: Wire, values: Values) -> Any:
    found = [values[source][output] for source, output in wire.sources]  # type: ignore[index]  # a ready node's sources have values
    return found if wire.is_many else found[0]
