"""The templates: graphs with parameters, ready to run, and their loader."""

from limner.graphs.library import GraphLibrary, Template

__all__ = ["GraphLibrary", "Template"]
