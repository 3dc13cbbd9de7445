"""What a node sees of the world while it runs: a device, a way to report, and nothing else."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from limner.engine.models import ModelSpec
from limner.engine.value import Storable

M = TypeVar("M")
S = TypeVar("S", bound=Storable)


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a picture comes from: enough to make it again and to prove that it is the same."""

    graph: str = "{}"
    """The graph as it ran, in the native format (JSON text), parameters filled in."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """The cache key of every node, by id: equal keys are equal inputs, files and weights included."""
    devices: Mapping[str, str] = field(default_factory=dict)
    """Where every node ran, by id: a device, or ``host``."""
    hardware: Mapping[str, str] = field(default_factory=dict)
    """What these devices are, by their names in ``devices``."""
    software: Mapping[str, str] = field(default_factory=dict)
    """Versions of the packages that decide the bytes, by name."""
    resolved: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By node, the settings that the graph does not say, as they were: defaults, wired values, the model's own."""
    sources: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By node, what it read from outside (models, LoRAs, pictures) and what that held: see ``Node.sources``."""
    saved_by: str = ""
    """The node that wrote the picture."""
    number: int = 1
    """Which of that node's batch it is, counted from 1."""


class Context(Protocol):
    """The one argument that every ``run`` receives besides its wires."""

    @property
    def device(self) -> str:
        """Where to compute: ``cpu``, ``cuda:0``, ``mps``."""
        ...

    @property
    def cancelled(self) -> bool:
        """Whether the run was asked to stop. Long loops without ``progress`` look here."""
        ...

    @property
    def log(self) -> logging.Logger | logging.LoggerAdapter[logging.Logger]:
        """A logger that names the node."""
        ...

    @property
    def provenance(self) -> Provenance:
        """What ran to make this node's inputs. For nodes that write files."""
        ...

    def progress(self, step: int, total: int, preview: Callable[[], Storable] | None = None) -> None:
        """Report that ``step`` of ``total`` is done, counted from 1.

        ``preview`` is called only if somebody watches, so it may cost something.
        Raises Cancelled where the run was asked to stop: a node that reports each step stops within one.
        """
        ...

    def warn(self, message: str) -> None:
        """Say something that the user should know although the node goes on."""
        ...

    def hold(self, model: ModelSpec[M]) -> AbstractContextManager[M]:
        """The live module of a spec, on this node's device, for the length of a ``with`` block."""
        ...

    def remember(self, part: str, value: Storable) -> None:
        """Keep what came of a part of the work, for later runs of this type of node, whatever graph they are in.

        ``part`` says all that the value depends on: settings, specs, and contents by their hash. The node's type and
        version, the kind of device and the packages that compute there are added.
        """
        ...

    def recall(self, part: str, kind: type[S]) -> S | None:
        """What was remembered of a part; None where it has to be computed."""
        ...

    def checkpoint(self, step: int, value: Storable) -> None:
        """Offer the state after ``step`` to be kept, so that a crash loses little. Cheap: most are passed over."""
        ...

    def resume(self, kind: type[S]) -> tuple[int, S] | None:
        """The last state that was kept for exactly this work, with its step; None for a fresh start."""
        ...
