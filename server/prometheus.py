"""Prometheus' text format."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Final

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


def head(name: str, kind: str, what: str) -> list[str]:
    """The lines before the samples of a metric."""
    return [f"# HELP {name} {what}", f"# TYPE {name} {kind}"]


def sample(name: str, labels: Mapping[str, object], value: float) -> str:
    r"""One sample.

    >>> sample("runs_total", {"type": 'a "b"'}, 3)
    'runs_total{type="a \\"b\\""} 3'
    """
    said = ",".join(f'{label}="{_escaped(str(text))}"' for label, text in labels.items())
    return f"{name}{{{said}}} {value}" if said else f"{name} {value}"


def single(name: str, kind: str, what: str, value: float) -> list[str]:
    """A metric of one sample."""
    return [*head(name, kind, what), sample(name, {}, value)]


def family(name: str, kind: str, what: str, samples: Iterable[tuple[Mapping[str, object], float]]) -> list[str]:
    """A metric with labels."""
    return [*head(name, kind, what), *(sample(name, labels, value) for labels, value in samples)]


class Histogram:
    """How often values were at most each of some bounds."""

    def __init__(self, name: str, what: str, bounds: Iterable[float]) -> None:
        self._name = name
        self._what = what
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self._sum += value
        self._counts[bisect_left(self._bounds, value)] += 1

    def lines(self) -> list[str]:
        """The metric."""
        lines, total = head(self._name, "histogram", self._what), 0
        for bound, count in zip((*self._bounds, "+Inf"), self._counts, strict=True):
            total += count
            lines.append(sample(f"{self._name}_bucket", {"le": bound}, total))
        return [*lines, sample(f"{self._name}_sum", {}, self._sum), sample(f"{self._name}_count", {}, total)]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
