"""Settings that are whole texts, not names or single words."""

from __future__ import annotations

from typing import Final

from pydantic.config import JsonDict

LONG_TEXT: Final[JsonDict] = {"format": "long-text"}
"""In the JSON schema of a setting: it is written in several lines."""
