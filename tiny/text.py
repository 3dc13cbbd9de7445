"""The text encoder: a small Qwen3, and its embeddings as the klein pipeline computes them."""

import math
from collections.abc import Sequence

import torch
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from limner.tiny.tokenizer import MAX_LENGTH, SUMMARIES, wrap

HIDDEN = 128
OUT_LAYERS = (1, 2, 3)
WIDTH = HIDDEN * len(OUT_LAYERS)  # of what the transformer reads


def build_text_encoder(tokenizer: PreTrainedTokenizerFast) -> Qwen3ForCausalLM:
    """Build the encoder, with hex bytes embedded so that near values start near each other."""
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=HIDDEN,
        intermediate_size=320,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=32,
        max_position_embeddings=512,
        rope_parameters={"rope_type": "default", "rope_theta": 1000.0},
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    encoder = Qwen3ForCausalLM(config)
    torch.nn.init.normal_(encoder.model.embed_tokens.weight, std=0.5)
    order_bytes(encoder, tokenizer)
    return encoder


@torch.no_grad()
def order_bytes(encoder: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerFast) -> None:
    """Embed the 3 x 256 hex tokens on smooth curves, one a channel: 768 unrelated rows would learn slowly."""
    value = torch.linspace(-1, 1, 256)[:, None]
    waves = math.pi * value * torch.tensor([0.5, 1.0, 2.0, 4.0])
    features = torch.cat([torch.ones(256, 1), 2 * value, waves.sin(), waves.cos()], 1)  # (256, 10)
    table = encoder.model.embed_tokens.weight
    for channel in "#GB":
        ids = tokenizer.convert_tokens_to_ids([f"{channel}{v:02x}" for v in range(256)])
        table[ids] = features @ torch.randn(features.shape[1], HIDDEN) * 0.25


def tokenize(
    tokenizer: PreTrainedTokenizerFast, prompts: Sequence[str], length: int = MAX_LENGTH
) -> tuple[torch.Tensor, torch.Tensor]:
    """Give ids and attention mask, (B, length) each, as the pipeline does."""
    wrapped = [wrap(prompt) for prompt in prompts]
    batch = tokenizer(wrapped, return_tensors="pt", padding="max_length", truncation=True, max_length=length)
    return batch["input_ids"], batch["attention_mask"]


def embed(encoder: Qwen3ForCausalLM, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Give what the transformer reads, (B, length, WIDTH): the outputs of OUT_LAYERS side by side."""
    output = encoder.model(input_ids=ids, attention_mask=mask, output_hidden_states=True, use_cache=False)
    return torch.cat([output.hidden_states[k] for k in OUT_LAYERS], -1)


def summary_positions(mask: torch.Tensor) -> torch.Tensor:
    """Where the summary tokens stand, (B, len(SUMMARIES)): they are the last that are not padding."""
    return mask.sum(1, keepdim=True) - len(SUMMARIES) + torch.arange(len(SUMMARIES), device=mask.device)
