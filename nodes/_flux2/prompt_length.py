"""Which tokens of a prompt a text encoder does not read, because the prompt is too long."""

from __future__ import annotations

from typing import Any

from diffusers.pipelines.flux2.pipeline_flux2 import format_input
from diffusers.pipelines.flux2.system_messages import SYSTEM_MESSAGE

from limner.nodes._flux2.live import LiveTextEncoder
from limner.nodes._prompt_warnings import PromptCut


def find_cut(live: LiveTextEncoder, prompt: str, max_length: int | None) -> PromptCut | None:
    """What ``encode_prompt`` cuts off a prompt; None where it is read whole.

    Tokens are counted as the pipelines make them: with the chat template, and dev's system message, around the prompt.
    """
    length = max_length or live.settings.max_sequence_length
    return cut_in(live.tokenizer, _rendered(live, prompt), prompt, length, add_special_tokens=live.family != "dev")


def cut_in(
    tokenizer: Any, rendered: str, prompt: str, length: int, *, add_special_tokens: bool = False
) -> PromptCut | None:
    """What is cut off a prompt where its conversation, as the template writes it, is more than ``length`` tokens."""
    if not getattr(tokenizer, "is_fast", False):
        return None  # only these say where a token comes from
    encoded = tokenizer(rendered, add_special_tokens=add_special_tokens, return_offsets_mapping=True, verbose=False)
    spans: list[tuple[int, int]] = encoded["offset_mapping"]
    is_beginning = tokenizer.truncation_side == "left"
    unread = range(len(spans) - length) if is_beginning else range(length, len(spans))
    begin = rendered.rfind(prompt.strip())
    places = [n for n, (first, last) in enumerate(spans) if begin <= first < last <= begin + len(prompt)]
    cut = [n for n in places if n in unread]
    if not cut or begin < 0:
        return None  # at most the end of the template
    at = spans[cut[-1]][1] if is_beginning else spans[cut[0]][0]
    margin = len(prompt) - len(prompt.lstrip())
    return PromptCut(tokens=len(cut), of=len(places), length=length, at=margin + at - begin, is_beginning=is_beginning)


def _rendered(live: LiveTextEncoder, prompt: str) -> str:
    """The prompt in its chat template, as the pipeline of its family writes it."""
    tokenizer: Any = live.tokenizer
    messages: Any = [{"role": "user", "content": prompt}]
    how: dict[str, Any] = {"add_generation_prompt": True, "enable_thinking": False}
    if live.family == "dev":
        (messages,), how = format_input([prompt], SYSTEM_MESSAGE), {"add_generation_prompt": False}
    text: str = tokenizer.apply_chat_template(messages, tokenize=False, **how)
    return text
