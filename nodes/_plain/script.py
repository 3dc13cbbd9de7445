"""A Python script under construction: imports, constants on top, then what is done, in order."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any

from limner.engine.errors import LimnerError
from limner.nodes._plain.literal import comment, wrapped


class NoPlainForm(LimnerError):
    """What a node does that diffusers alone does not do in the same way."""


class Script:
    """Collects the parts of a script; ``render`` puts them together."""

    def __init__(self) -> None:
        self.docstring: Iterable[str] = ()
        self.preamble = ""
        """Code that comes before the imports."""
        self.warnings: list[str] = []
        """Where the script is not the same as the graph to the last bit, and why."""
        self._modules: set[str] = set()
        self._imports: dict[str, set[str]] = {}
        self._constants: dict[str, tuple[Any, str]] = {}
        self._called: dict[tuple[str, str], str] = {}
        self._names: set[str] = set()
        self._definitions: list[str] = []
        self._blocks: list[str] = []

    def use(self, module: str, *names: str) -> None:
        """Import a module, or names from it."""
        if names:
            self._imports.setdefault(module, set()).update(names)
        else:
            self._modules.add(module)

    def constant(self, name: str, value: Any, note: str = "", *, of: str = "") -> str:
        """A constant, and how it is called: ``name``, or after ``of`` where that stands for another value already."""
        for wanted in (name, f"{of}_{name}") if of else (name,):
            candidate = identifier(wanted.upper())
            if (known := self._called.get((candidate, repr(value)))) is not None:
                return known
            if candidate not in self._names:
                break
        called = self.name(candidate)
        self._called[candidate, repr(value)] = called
        self._constants[called] = (value, note)
        return called

    def name(self, wanted: str) -> str:
        """A name that nothing else has."""
        candidate, number = wanted, 2
        while candidate in self._names:
            candidate, number = f"{wanted}_{number}", number + 1
        self._names.add(candidate)
        return candidate

    def define(self, code: str) -> None:
        """A function or a class, once."""
        if code not in self._definitions:
            self._definitions.append(code)

    def add(self, *lines: str) -> None:
        """A paragraph of code."""
        self._blocks.append("\n".join(lines))

    def render(self) -> str:
        """The text of the script."""
        doc = '"""' + "\n".join(self.docstring) + '\n"""'
        constants = "\n".join(
            f"{name} = {wrapped(value)}" + (f"  # {comment(note)}" if note else "")
            for name, (value, note) in self._constants.items()
        )
        definitions = "\n" + "\n\n\n".join(self._definitions) + "\n" if self._definitions else ""
        parts = [doc, self.preamble, *self._import_blocks(), constants, definitions, *self._blocks]
        return "\n\n".join(part for part in parts if part) + "\n"

    def _import_blocks(self) -> Iterable[str]:
        plain = [f"import {module}" for module in sorted(self._modules)]
        named = [
            f"from {module} import {', '.join(sorted(names, key=str.casefold))}"
            for module, names in sorted(self._imports.items(), key=lambda item: item[0].casefold())
        ]
        standard = [line for line in named if line.startswith("from pathlib")]
        yield "\n".join(standard)
        yield "\n".join([*plain, *(line for line in named if line not in standard)])


def identifier(text: str) -> str:
    """A text as a Python name: ``day/encode`` becomes ``day_encode``.

    >>> identifier("2nd-pass")
    'n_2nd_pass'
    """
    letters = unicodedata.normalize("NFKC", text)  # as Python reads names
    name = "".join(letter if f"n{letter}".isidentifier() else "_" for letter in letters)
    return name if name.isidentifier() else f"n_{name}"
