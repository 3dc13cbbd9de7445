"""What may travel on a wire, and how a value is stored without ever being pickled."""

from __future__ import annotations

import sys
from typing import Any, ClassVar, Protocol, Self, TypeGuard, runtime_checkable

PLAIN_TYPES: tuple[type, ...] = (str, int, float, bool)
"""Python's own types that travel on wires as they are; they are stored as JSON."""


@runtime_checkable
class Value(Protocol):
    """Anything on a wire that knows its size in memory."""

    @property
    def size_bytes(self) -> int:
        """Bytes held in memory, weights and pixels included."""
        ...


@runtime_checkable
class Storable(Value, Protocol):
    """A value that can be written to a file and read back equal to the bit."""

    suffix: ClassVar[str]

    def to_bytes(self) -> bytes:
        """The value as the content of a file with this ``suffix``."""
        ...

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """The value that ``to_bytes`` wrote. Raises ValueError where the content is not one."""
        ...


def is_storable(value: object) -> TypeGuard[Storable | str | int | float]:
    """Whether a value can be kept on disk."""
    return isinstance(value, (*PLAIN_TYPES, Storable))


def size_bytes(value: object) -> int:
    """Bytes that a value holds in memory; for plain ones, what Python says."""
    if isinstance(value, PLAIN_TYPES):
        return sys.getsizeof(value)
    size: Any = getattr(value, "size_bytes", None)
    return size if isinstance(size, int) else sys.getsizeof(value)


def fits(source: type, port: type) -> bool:
    """Whether a value of class ``source`` may enter a port of class ``port``.

    A subclass fits its base. An integer fits a number, as in arithmetic; a boolean is not an integer.
    """
    if source is bool and port in (int, float):
        return False
    return issubclass(source, port) or (source is int and port is float)
