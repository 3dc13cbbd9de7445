"""``NAME=VALUES``: what people write is what they get, and what cannot be read is said in words."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_parameters import DOCUMENT, REGISTRY

from limner.engine.errors import GraphError
from limner.engine.sweep_text import read_axis


def read(text: str, most: int = 1000) -> list[Any]:
    return list(read_axis(text, DOCUMENT, REGISTRY, most=most).values)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("m.count=1..4", [1, 2, 3, 4]),
        ("m.count=4..1", [4, 3, 2, 1]),
        ("m.count=1..3,10,20..30..5", [1, 2, 3, 10, 20, 25, 30]),
        ("m.count=-2..2..2", [-2, 0, 2]),
        ("m.count=5", [5]),
        ("m.count=null,3", [None, 3]),
        ("m.count=18446744073709551614..18446744073709551615", [2**64 - 2, 2**64 - 1]),
        ("number=0..1..0.25", [0.0, 0.25, 0.5, 0.75, 1.0]),
        ("number=0.1..0.35..0.1", [0.1, 0.2, 0.3]),
        ("number= 2 , 4.5 ", [2, 4.5]),
        ("m.flag=true,false", [True, False]),
        ("m.choice=a,b", ["a", "b"]),
        ("text=1..3", ["1..3"]),
        ("text=a b,c", ["a b", "c"]),
        ('text="a, b",c,"say \\"hi\\""', ["a, b", "c", 'say "hi"']),
        ('text=""', [""]),
        ('text={"scene": "a, b"},{"scene": "c"}', ['{"scene": "a, b"}', '{"scene": "c"}']),
        ('text=["a, b", "c"]', ["a, b", "c"]),
        ('m.maybe_text=null,"null"', [None, "null"]),
        ("m.names=x,y", [["x"], ["y"]]),
        ('m.names=[["x", "y"], []]', [["x", "y"], []]),
        ("m.count=x", ["x"]),
        ("nobody.knows=1,x", [1, "x"]),
    ],
)
def test_values_are_read_as_the_setting_wants_them(text: str, values: list[Any]) -> None:
    """Ranges where numbers go, texts as they are, quotes around commas, and JSON lists."""
    found = read(text)
    assert found == values
    assert list(map(type, found)) == list(map(type, values))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed", "is not NAME=VALUES"),
        ("=1", "is not NAME=VALUES"),
        ("m.count=", "a value is empty"),
        ("m.count=1,,2", "a value is empty"),
        ("m.count=1..", "is no range"),
        ("m.count=1...3", "is no range"),
        ("m.count=1..3..0", "never come to"),
        ("m.count=3..1..1", "never come to"),
        ("m.count=1..2000", "2,000 values, and 1,000 variants are allowed"),
        ("number=0..1..0.00000000000000000001", "100,000,000,000,000,000,001 values"),
        ('text="a', "quotes that do not end"),
        ('text="a"b', "there must be a comma"),
        ("text=[a", "not JSON"),
        ('text=["a", NaN]', "not JSON"),
        ("text=@", "names no file"),
        ("text=@nothing.txt", "cannot read nothing.txt: No such file"),
        ("text=\udcff", "is not Unicode text"),
    ],
)
def test_what_cannot_be_read_is_said(text: str, message: str) -> None:
    """The fault quotes the option, so that one of several is found."""
    with pytest.raises(GraphError) as caught:
        read(text)
    (fault,) = caught.value.faults
    assert message in fault.message
    assert fault.message.startswith("--sweep ")
    assert fault.hint


def test_files_have_a_value_a_line_or_a_json_list(tmp_path: Path) -> None:
    """Empty lines count for nothing; commas and quotes in a line are its own; numbers are numbers."""
    lines, listed, bad = (tmp_path / name for name in ("lines.txt", "list.json", "bad.txt"))
    lines.write_bytes('\ufeffa red circle, large\r\n\r\n"quoted" 東京\n'.encode())
    listed.write_text('["a\\nb", "c"]')
    bad.write_bytes(b"\xff\xfe")
    assert read(f"text=@{lines}") == ["a red circle, large", '"quoted" 東京']
    assert read(f"text=@{listed}") == ["a\nb", "c"]
    lines.write_text("3\n4\n")
    assert read(f"m.count=@{lines}") == [3, 4]
    for path, message in ((bad, "is not UTF-8"), (tmp_path, "Is a directory")):
        with pytest.raises(GraphError, match=message):
            read(f"text=@{path}")


@given(st.integers(-50, 50), st.integers(0, 40), st.integers(1, 99), st.integers(0, 3))
def test_steps_are_exact(first: int, count: int, step: int, digits: int) -> None:
    """Each value is the number nearest to first + i * step, without what sums of floats leave."""
    scale = 10**digits
    texts = [f"{Decimal(n).scaleb(-digits):f}" for n in (first, first + count * step, step)]
    found = read(f"number={'..'.join(texts)}")
    assert found == [float(Fraction(first + i * step, scale)) for i in range(count + 1)]
