"""Prompts to embeddings, through the pipelines' own helpers."""

from __future__ import annotations

import torch
from diffusers import Flux2KleinPipeline, Flux2Pipeline
from diffusers.pipelines.flux2.system_messages import SYSTEM_MESSAGE
from torch import Tensor

from limner.nodes._flux2.live import LiveTextEncoder


@torch.no_grad()
def encode_prompt(live: LiveTextEncoder, prompt: str, max_length: int | None, device: str) -> Tensor:
    """One prompt -> (1, max_length, layers * hidden), on the CPU, equal to the stock pipeline's.

    ``max_length`` counts tokens; None is the checkpoint's own. A longer prompt is cut, as in the pipelines.
    """
    length = max_length or live.settings.max_sequence_length
    common = {
        "text_encoder": live.model,
        "tokenizer": live.tokenizer,
        "prompt": prompt,
        "device": torch.device(device),
        "max_sequence_length": length,
        "hidden_states_layers": live.settings.out_layers,
    }
    if live.family == "dev":
        embeds = Flux2Pipeline._get_mistral_3_small_prompt_embeds(**common, system_message=SYSTEM_MESSAGE)
    else:
        embeds = Flux2KleinPipeline._get_qwen3_prompt_embeds(**common)
    result: Tensor = embeds.cpu()
    return result
