"""Prompts to embeddings, through the pipelines' own helpers."""

from __future__ import annotations

import torch
from diffusers.pipelines.flux2.system_messages import SYSTEM_MESSAGE
from torch import Tensor

from limner.nodes._flux2 import pipelines
from limner.nodes._flux2.live import LiveTextEncoder


@torch.no_grad()
def encode_prompt(live: LiveTextEncoder, prompt: str, max_length: int | None, device: str) -> Tensor:
    """One prompt -> (1, max_length, layers * hidden), on the CPU, equal to the stock pipeline's.

    ``max_length`` counts tokens; None is the checkpoint's own. A longer prompt is cut, as in the pipelines.
    """
    length = max_length or live.settings.max_sequence_length
    embed, extra = pipelines.qwen_embeds, {}
    if live.family == "dev":
        embed, extra = pipelines.mistral_embeds, {"system_message": SYSTEM_MESSAGE}
    return embed(
        text_encoder=live.model,
        tokenizer=live.tokenizer,
        prompt=prompt,
        device=torch.device(device),
        max_sequence_length=length,
        hidden_states_layers=live.settings.out_layers,
        **extra,
    ).cpu()
