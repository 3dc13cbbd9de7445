"""A longer prompt from a short one, as ``Flux2Pipeline.upsample_prompt`` writes it, with a seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import PIL.Image
import torch
from diffusers.pipelines.flux2 import pipeline_flux2
from diffusers.pipelines.flux2.system_messages import SYSTEM_MESSAGE_UPSAMPLING_I2I, SYSTEM_MESSAGE_UPSAMPLING_T2I
from torch import Tensor

from limner.engine.errors import InputError, ModelError
from limner.nodes._flux2 import pipelines
from limner.nodes._flux2.live import LiveTextGenerator
from limner.nodes._flux2.pixtral import IMAGE_TOKEN, PictureReader
from limner.nodes._flux2.prompt_length import cut_in
from limner.nodes._flux2.writing import MAX_NEW_TOKENS, MAX_READ_TOKENS
from limner.nodes._prompt_warnings import PromptCut

_stock: Any = pipeline_flux2
Report = Callable[[int], None]
"""Hears how many tokens are written; it may raise Cancelled."""


@torch.no_grad()
def upsample(
    live: LiveTextGenerator,
    prompt: str,
    references: Sequence[PIL.Image.Image],
    temperature: float,
    seed: int,
    device: str,
    report: Report,
    warn: Callable[[str], None],
) -> str:
    """What the stock pipeline writes after ``torch.manual_seed(seed)``; references are seen side by side.

    Raises ModelError where the checkpoint cannot read pictures, InputError, and whatever ``report`` raises.
    """
    model: Any = live.model
    inputs, cut = conversation(live, prompt, references)
    if cut is not None:
        warn(cut.sentence(prompt))
    if "pixel_values" in inputs:
        inputs["pixel_values"] = inputs["pixel_values"].to(model.dtype)
    written = model.generate(
        **inputs,
        max_new_tokens=MAX_NEW_TOKENS,
        do_sample=True,
        temperature=temperature,
        use_cache=True,
        custom_generate=_sampler(torch.Generator(device).manual_seed(seed), torch.device(device), report),
    )
    tokens = written[:, inputs["input_ids"].shape[1] :]
    (text,) = live.tokenizer.batch_decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=True)
    return str(text)


def conversation(
    live: LiveTextGenerator, prompt: str, references: Sequence[PIL.Image.Image]
) -> tuple[dict[str, Tensor], PromptCut | None]:
    """What the model is given, and what is cut off the prompt.

    Tokens are (1, MAX_READ_TOKENS), with the mask of what is no padding, and pixels where there are references.
    """
    pictures: Any = None
    found, texts = dict[str, Tensor](), list[str]()
    if references:
        pictures = _stock._validate_and_process_images(
            [list(references)], pipelines.pictures, _stock.UPSAMPLING_MAX_IMAGE_SIZE
        )
        found, texts = _reader(live).read(pictures[0])
    message = SYSTEM_MESSAGE_UPSAMPLING_I2I if references else SYSTEM_MESSAGE_UPSAMPLING_T2I
    (messages,) = _stock.format_input([prompt], message, pictures)
    tokenizer: Any = live.tokenizer
    rendered = _with_pictures(
        tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True), texts
    )
    encoded = tokenizer(
        rendered,
        add_special_tokens=False,
        return_tensors="pt",
        padding="max_length",
        truncation=True,
        max_length=MAX_READ_TOKENS,
    )
    if texts:
        _check_whole(encoded["input_ids"], tokenizer, _reader(live).tokens[0], texts)
    found |= {"input_ids": encoded["input_ids"], "attention_mask": encoded["attention_mask"]}
    return found, cut_in(tokenizer, rendered, prompt, MAX_READ_TOKENS)


def _reader(live: LiveTextGenerator) -> PictureReader:
    if live.pictures is None:
        raise ModelError("this checkpoint does not say how its text encoder sees pictures: wire no references")
    return live.pictures


def _with_pictures(rendered: str, texts: Sequence[str]) -> str:
    """A conversation with the tokens of each picture in its place."""
    parts = rendered.split(IMAGE_TOKEN)
    if len(parts) != len(texts) + 1:
        raise ModelError("the chat template of this checkpoint has no place for pictures: wire no references")
    return "".join(part + text for part, text in zip(parts, [*texts, ""], strict=True))


def _check_whole(ids: Tensor, tokenizer: Any, image: str, texts: Sequence[str]) -> None:
    """Raise InputError where tokens of a picture were cut off: the model would not take the others."""
    if int((ids == tokenizer.convert_tokens_to_ids(image)).sum()) != sum(text.count(image) for text in texts):
        raise InputError("the prompt is too long to be read together with its references", hint="shorten it")


def _sampler(generator: torch.Generator, device: torch.device, report: Report) -> Callable[..., Tensor]:
    """The loop of ``generate`` with a generator of its own: torch's global one is everybody's.

    transformers prepares model, inputs and rules as for its own loop. Tokens stay on the CPU, and go to where the model
    computes: transformers would send them to where its weights are, which is elsewhere while they wait.
    """

    def read(model: Any, ids: Tensor, count: int, state: Any, *, is_first: bool) -> Any:
        inputs = model.prepare_inputs_for_generation(
            ids, next_sequence_length=count, is_first_iteration=is_first, **state
        )
        moved = {name: value.to(device) if isinstance(value, Tensor) else value for name, value in inputs.items()}
        return model(**moved, return_dict=True)

    def sample(model: Any, input_ids: Tensor, logits_processor: Any, stopping_criteria: Any, **state: Any) -> Tensor:
        del state["generation_config"]  # the processors and criteria are made after it
        begin = input_ids.shape[1]
        outputs = read(model, input_ids, begin, state, is_first=True)
        while True:
            state = model._update_model_kwargs_for_generation(outputs, state, is_encoder_decoder=False)
            scores = logits_processor(input_ids, outputs.logits[:, -1].float())  # (1, vocabulary)
            token = torch.multinomial(torch.softmax(scores, -1), 1, generator=generator)
            input_ids = torch.cat([input_ids, token.cpu()], 1)
            report(input_ids.shape[1] - begin)
            if bool(stopping_criteria(input_ids, None).all()):
                return input_ids
            outputs = read(model, input_ids, 1, state, is_first=False)

    return sample
