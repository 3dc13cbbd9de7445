"""Prometheus' text format."""

from __future__ import annotations

from typing import Final

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


def head(name: str, kind: str, what: str) -> list[str]:
    """The lines before the samples of a metric."""
    return [f"# HELP {name} {what}", f"# TYPE {name} {kind}"]


def single(name: str, kind: str, what: str, value: float) -> list[str]:
    """A metric of one sample."""
    return [*head(name, kind, what), f"{name} {value}"]
