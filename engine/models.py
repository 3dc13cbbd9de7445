"""Models as values: a spec is a small description; weights come alive only while a node holds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from limner.engine.offload import NONE, Offload

if TYPE_CHECKING:
    from limner.engine.events import Event

M = TypeVar("M")


@dataclass(frozen=True)
class Smaller:
    """A node that takes a model and gives a smaller one that does the same."""

    type: str
    settings: Mapping[str, Any]
    port: str
    """The input that the model goes to."""
    label: str
    """What a node of this kind may be called after."""


class ModelSpec(Generic[M]):
    """The base of every spec. ``M`` is the class of the live module, known to type checkers only.

    Subclasses are frozen dataclasses: equal specs are the same model, and ``repr`` says everything about one.
    """

    @property
    def base(self) -> ModelSpec[M]:
        """The spec of the resident weights, without what is put on and taken off per run (LoRA)."""
        return self

    @property
    def smaller(self) -> Sequence[Smaller]:
        """Nodes that make such a model smaller, the best first."""
        return ()

    @property
    def size_bytes(self) -> int:
        """Bytes of the description itself; weights are the pool's to count."""
        return 256


@dataclass(frozen=True, slots=True)
class ResidentModel:
    """A model whose weights are alive."""

    spec: ModelSpec[Any]
    device: str
    """Where they are: an offloaded model waits on the CPU."""
    size_bytes: int
    """What its parameters, buffers and quantization state take there."""
    budget_bytes: int | None
    """What all models may take on the device; None where there is no limit."""


class Report(Protocol):
    """Who hears what it takes to make a model live. It may raise Cancelled, which stops a download."""

    def __call__(self, kind: Callable[..., Event], *fields: Any) -> None:
        """An event about a model, without the node that holds it: whoever reports knows which one that is."""
        ...


def unheard(kind: Callable[..., Event], *fields: Any) -> None:
    """A report to nobody."""


class Models(Protocol):
    """What an executor needs of a model pool."""

    def hold(
        self,
        spec: ModelSpec[M],
        device: str,
        report: Report = unheard,
        offload: Offload = NONE,
        working_bytes: int = 0,
    ) -> AbstractContextManager[M]:
        """The live module for the length of a ``with`` block, ready to compute on ``device``.

        ``offload`` says where its weights are while they are not needed, ``working_bytes`` what has to be free on the
        device besides them. Raises ModelError, DeviceError.
        """
        ...


class NoModels:
    """A pool for graphs that hold no model: tests and pure value graphs."""

    def hold(
        self,
        spec: ModelSpec[M],
        device: str,
        report: Report = unheard,
        offload: Offload = NONE,
        working_bytes: int = 0,
    ) -> AbstractContextManager[M]:
        """Refuse, and say why."""
        raise LookupError(f"no model pool was given to the executor, so {spec!r} cannot be held on {device}")
