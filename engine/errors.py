"""Every error that Limner raises on purpose, in one tree, so that callers can catch exactly what they mean.

LimnerError                  everything below
├── GraphError               a graph is not right; carries every fault at once (exit code 2)
├── InputError               a file or a value that only running could judge is not usable (exit code 2)
│   └── ModelError           a model source is missing, forbidden or of the wrong kind
├── DeviceError              a device that this machine does not have, or whose memory is not enough (exit code 2)
├── RemoteError              another machine did not answer, or not as it should (exit code 1)
├── NodeTypeError            a node class is declared wrongly: a fault of its author
├── NodeFailed               a node raised while running; the cause is chained (exit code 1)
├── StoreError               the disk store could not be read or written
└── Cancelled                the run was asked to stop (exit code 130)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a graph: what, where, and what to try."""

    message: str
    path: tuple[str | int, ...] = ()
    hint: str | None = None
    kind: str = field(default="", compare=False)
    """What it is, for programs, where they tell kinds apart: ``cycle``, or pydantic's name, such as ``missing``."""

    @property
    def node(self) -> str | None:
        """The node's id, where the fault is a node's."""
        return str(self.path[1]) if len(self.path) > 1 and self.path[0] == "nodes" else None

    @property
    def where(self) -> str:
        """The path in the document, dotted: ``nodes.denoise.settings.steps``."""
        return ".".join(str(part) for part in self.path)

    def __str__(self) -> str:
        place = f" @ {self.where}" if self.path else ""
        return f"{self.message}{place}" + (f" ({self.hint})" if self.hint else "")

    def under(self, prefix: tuple[str | int, ...]) -> Fault:
        """The same fault, seen from a document that contains this one at ``prefix``."""
        return Fault(self.message, prefix + self.path, self.hint, self.kind)


class LimnerError(Exception):
    """The root of the tree. The message says what and where; ``hint`` says what to try."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message + (f"\n  {self.hint}" if self.hint else "")


class GraphError(LimnerError):
    """A graph that cannot run, with every fault that was found."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


class InputError(LimnerError):
    """A file, an image or a value that is not usable."""


class ModelError(InputError):
    """A model source that is missing, forbidden or of the wrong kind."""


class DeviceError(LimnerError):
    """A device that this machine does not have, or whose memory is not enough for a model."""


class RemoteError(LimnerError):
    """Another machine that did not answer, or not as it should."""


class NodeTypeError(LimnerError):
    """A node class that is declared wrongly."""


class NodeFailed(LimnerError):
    """A node raised while running. ``__cause__`` is what it raised; ``node`` is its id."""

    def __init__(self, node: str, type_name: str, cause: BaseException) -> None:
        self.node = node
        self.cause = cause
        text = str(cause) or type(cause).__name__
        if not isinstance(cause, LimnerError):
            text = f"{type(cause).__name__}: {text}"
        super().__init__(f"{node} ({type_name}) failed: {text}")
        self.__cause__ = cause


class StoreError(LimnerError):
    """The disk store could not be read or written."""


class Cancelled(LimnerError):
    """The run was asked to stop."""

    def __init__(self, message: str = "the run was cancelled") -> None:
        super().__init__(message)


def suggest(name: str, known: Iterable[str]) -> str | None:
    """A hint that names the nearest known name, or lists a few, or nothing.

    >>> suggest("Denose", ["Denoise", "TextEncode"])
    'did you mean Denoise?'
    """
    names = sorted(known)
    by_folded = {candidate.casefold(): candidate for candidate in names}
    if nearest := get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.6):
        return f"did you mean {by_folded[nearest[0]]}?"
    if not names:
        return None
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return f"known: {', '.join(names[:12])}{more}"
