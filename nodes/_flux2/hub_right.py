"""What graphs may have downloaded from the hub, where they are somebody else's, as those of a server are."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Final

from limner.engine.errors import InputError

HUB_ENV: Final = "LIMNER_HUB"
"""Patterns of hub ids, separated by commas. Where it is set, nothing else of the hub is named; empty, nothing is."""
FLUX2: Final = (
    "black-forest-labs/FLUX.2-*",
    "diffusers/FLUX.2-*",
    "Comfy-Org/flux2-*",
    "ByteZSzn/Flux.2-Turbo-ComfyUI",
)
"""FLUX.2 itself, and what ComfyUI's own workflows for it name."""
_PATTERN: Final = re.compile(r"[\w.*?-]+/[\w.*?-]+|\*", re.ASCII)


def allow_hub(patterns: Iterable[str]) -> None:
    """Let graphs name only what matches, in this process and those that it starts."""
    os.environ[HUB_ENV] = ",".join(patterns)


def refuse_unlisted(repo: str) -> None:
    """Raise InputError for what may not be had from the hub, whether it is there or not."""
    if (listed := os.environ.get(HUB_ENV)) is None:
        return
    patterns = [pattern.strip() for pattern in listed.split(",") if pattern.strip()]
    if any(fnmatchcase(repo.casefold(), pattern.casefold()) for pattern in patterns):
        return
    known = f"only {', '.join(patterns)}" if patterns else "nothing"
    raise InputError(
        f"{repo} may not be had from the hub: {known} may",
        hint=f"whoever runs the server can allow it: limner serve --hub {repo}",
    )


def read_patterns(given: Iterable[str]) -> tuple[str, ...]:
    """Patterns as ``limner serve --hub`` takes them; ``none`` stands for no pattern. Raises InputError."""
    patterns = tuple(given)
    if patterns == ("none",):
        return ()
    for pattern in patterns:
        if not _PATTERN.fullmatch(pattern):
            raise InputError(f"--hub {pattern}: is no hub id", hint="owner/name, owner/*, * for all, or none alone")
    return patterns
