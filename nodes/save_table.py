"""Tables as files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

from pydantic import Field

from limner.engine.context import Context
from limner.engine.errors import InputError
from limner.engine.node import NO_WIRES, Node
from limner.engine.user_path import user_path
from limner.nodes._new_file import file_faults, numbered, write_under
from limner.nodes.tables import SUFFIXES, Table
from limner.nodes.values import Files


class SaveTable(Node):
    """Write a table as Markdown, CSV or JSON.

    Markdown is rounded for people; CSV and JSON keep every digit. No file is lost: where a name is taken, the next
    free number is.
    """

    category: ClassVar[str] = "table"
    aliases: ClassVar[tuple[str, ...]] = ("write CSV", "Markdown")
    advanced: ClassVar[frozenset[str]] = frozenset({"overwrite"})
    effect: ClassVar[bool] = True
    writes_to: ClassVar[frozenset[str]] = frozenset({"path"})

    path: str = Field(
        default="outputs/table.md",
        min_length=1,
        description="Where to write; the ending (.md, .csv, .json) is the format. Folders are made.",
    )
    overwrite: bool = Field(
        default=False, description="Replace a file of this name. Otherwise the next free numbered name is taken."
    )

    def problems(self, wired: Mapping[str, int] = NO_WIRES) -> Iterator[tuple[str, str]]:
        """A format that cannot be written, or a folder in the place of the file."""
        yield from (("path", fault) for fault in file_faults(self.path, SUFFIXES))

    def run(self, ctx: Context, table: Table) -> Files:
        """Write the table. Raises InputError where the disk does not take it."""
        path = user_path(self.path)
        try:
            written = write_under(numbered(path), table.to_file(path.suffix.lower()), overwrite=self.overwrite)
        except OSError as error:
            raise InputError(f"{self.path} cannot be written: {error.strerror or error}") from error
        return Files((str(written),))
