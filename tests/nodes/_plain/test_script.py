"""What people call things, as names of a script."""

from __future__ import annotations

import ast

from hypothesis import given
from hypothesis import strategies as st

from limner.nodes._plain.literal import comment
from limner.nodes._plain.script import Script, identifier


@given(st.text())
def test_any_text_becomes_a_name(text: str) -> None:
    """Also of letters that count as such, and that Python takes for none in a name."""
    assert identifier(text).isidentifier()
    assert identifier("a௰b") == "a_b"


@given(st.text(), st.text(), st.text())
def test_no_text_leaves_its_place(name: str, value: str, note: str) -> None:
    """A script is its constants and nothing else, whatever quotes, lines and escapes names, values and notes have."""
    script = Script()
    script.docstring = [comment(note), f"after a colon: {comment(note)}"]
    called = script.constant(name, value, note)
    docstring, statement = ast.parse(script.render()).body
    assert isinstance(docstring, ast.Expr)
    assert isinstance(statement, ast.Assign)
    assert [target.id for target in statement.targets if isinstance(target, ast.Name)] == [called]
    assert ast.literal_eval(statement.value) == value
