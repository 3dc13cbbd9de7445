"""Which text encoders write prompts, and what that takes. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from limner.engine.errors import Fault
from limner.nodes._flux2 import activations
from limner.nodes._flux2.known import KnownComponent
from limner.nodes.specs import TextEncoder

MAX_READ_TOKENS: Final = 2048
"""What the stock pipeline pads a conversation to, and cuts it at."""
MAX_NEW_TOKENS: Final = 512
DEV: Final = "black-forest-labs/FLUX.2-dev"


def writing_fault(spec: TextEncoder, component: KnownComponent) -> Fault | None:
    """Why a text encoder cannot write, with the input that it is wired to; None where it can. Raises ModelError.

    ``component`` is what is known of the whole of it.
    """
    hint = f"wire the text encoder of {DEV}, whatever model draws"
    path = ("wires", "text_encoder")
    if component.index.family != "dev":
        return Fault("text_encoder: klein upsamples no prompts: only the text encoder of dev was made to", path, hint)
    if spec.file is not None:
        return Fault("text_encoder: a single file only reads: it has no head", path, hint)
    if "text_config" not in component.config:
        return Fault("text_encoder: was saved without its head, and only reads", path, hint)
    return None


def writing_bytes(component: KnownComponent, itemsize: int) -> int:
    """One layer that reads the conversation, keys and values of all layers, and scores of the next token."""
    text: Mapping[str, int] = component.config["text_config"]
    heads: int = text.get("num_key_value_heads") or text["num_attention_heads"]
    head = text.get("head_dim") or text["hidden_size"] // text["num_attention_heads"]
    kept = 2 * text["num_hidden_layers"] * (MAX_READ_TOKENS + MAX_NEW_TOKENS) * heads * head * itemsize
    scores = 3 * text["vocab_size"] * 4  # as they are, sorted, and as probabilities
    return math.ceil(kept + scores + activations.encode_prompt_bytes(component.config, 1, MAX_READ_TOKENS, itemsize))
