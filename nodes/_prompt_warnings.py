"""What a user should know of a prompt although it is drawn: brackets, colors, and words that nobody reads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from limner.nodes._hex_color import odd_colors

_QUOTED_WORDS: Final = 4
_QUOTED_CHARACTERS: Final = 60


class PromptCut(BaseModel):
    """How much of a prompt a text encoder does not read. Template and system message count for neither side."""

    model_config = ConfigDict(frozen=True, strict=True, hide_input_in_errors=True)

    tokens: int = Field(ge=1)
    """Of the prompt, that are not read."""
    of: int = Field(ge=1)
    """Tokens of the prompt."""
    length: int = Field(ge=1)
    """Tokens that are read, template included."""
    at: int = Field(ge=0)
    """The character of the prompt where what is cut begins, or ends where that is the beginning."""
    is_beginning: bool = False

    def sentence(self, prompt: str, name: str = "prompt") -> str:
        """What to say of it."""
        words = prompt[: self.at].split() if self.is_beginning else prompt[self.at :].split()
        quoted = " ".join(words[-_QUOTED_WORDS:] if self.is_beginning else words[:_QUOTED_WORDS])
        quoted = quoted[-_QUOTED_CHARACTERS:] if self.is_beginning else quoted[:_QUOTED_CHARACTERS]
        where = f'up to "{quoted}"' if self.is_beginning else f'from "{quoted}" on'
        cut = f"{self.tokens} of the {self.of} tokens of the {name} are cut"
        return f"{cut}, because {self.length} fit with the template around it: nothing {where} is read"


def odd_prompt(prompt: str) -> Iterator[str]:
    """What looks like a slip in a prompt."""
    if _is_broken_json(prompt):
        yield "the prompt looks like JSON and is none: it is read as words"
    yield from odd_colors(prompt)


def _is_broken_json(prompt: str) -> bool:
    """Whether a prompt begins like FLUX.2's JSON form, and is none."""
    if not prompt.lstrip().startswith("{"):
        return False
    try:
        json.loads(prompt)
    except (ValueError, RecursionError):
        return True
    return False
