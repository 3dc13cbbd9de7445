"""A context to test nodes with: it records what a node does, and gives it the models you say."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from limner.engine.context import Provenance
from limner.engine.errors import Cancelled
from limner.engine.models import ModelSpec
from limner.engine.value import Storable

M = TypeVar("M")
S = TypeVar("S", bound=Storable)


@dataclass
class FakeContext:
    """``Denoise(steps=3).run(FakeContext(modules={spec: module}), ...)`` is a unit test.

    ``cancel_at`` makes the step of that number raise Cancelled, as a user's interrupt would.
    Checkpoints and remembered parts go through bytes and back, so that a value that cannot be stored shows.
    """

    device: str = "cpu"
    modules: Mapping[ModelSpec[Any], Any] = field(default_factory=dict)
    cancel_at: int | None = None
    cancelled: bool = False
    provenance: Provenance = field(default_factory=Provenance)
    log: logging.Logger = field(default_factory=lambda: logging.getLogger("limner.node"))
    steps: list[tuple[int, int]] = field(default_factory=list)
    previews: list[Storable] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    kept: tuple[int, bytes] | None = None
    parts: dict[str, bytes] = field(default_factory=dict)

    def progress(self, step: int, total: int, preview: Callable[[], Storable] | None = None) -> None:
        """Record the step; make the preview, as if somebody watched."""
        self.steps.append((step, total))
        if preview is not None:
            self.previews.append(preview())
        if step == self.cancel_at:
            self.cancelled = True
            raise Cancelled

    def warn(self, message: str) -> None:
        """Record the warning."""
        self.warnings.append(message)

    @contextmanager
    def hold(self, model: ModelSpec[M]) -> Iterator[M]:
        """Give the module that the test provided for this spec."""
        yield self.modules[model]

    def remember(self, part: str, value: Storable) -> None:
        """Keep the part, until the test gives ``parts`` to another context."""
        self.parts[part] = value.to_bytes()

    def recall(self, part: str, kind: type[S]) -> S | None:
        """What was remembered of the part."""
        return kind.from_bytes(self.parts[part]) if part in self.parts else None

    def checkpoint(self, step: int, value: Storable) -> None:
        """Keep every state, unlike the executor, which keeps some."""
        self.kept = step, value.to_bytes()

    def resume(self, kind: type[S]) -> tuple[int, S] | None:
        """The last state kept."""
        return None if self.kept is None else (self.kept[0], kind.from_bytes(self.kept[1]))
