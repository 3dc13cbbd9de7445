"""Prompts become what the stock pipelines make of them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError

from limner.nodes import TextEncode

PROMPTS = [
    "",
    "a red circle",
    "红色圆圈 на синем фоне",
    '{"subjects": [{"color": "#367588"}]}',
    "word " * 60,
    "[IMG] x </s>",
]


@pytest.mark.parametrize("prompt", PROMPTS, ids=["empty", "plain", "other scripts", "JSON", "too long", "tokens"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", ["dev", "klein", "klein-base"])
def test_embeddings_equal_those_of_encode_prompt(
    load_model: Any, new_context: Any, stock_encode: Any, kind: str, dtype: str, prompt: str
) -> None:
    conditioning = TextEncode(prompt=prompt).run(new_context(), load_model(kind, dtype).text_encoder)
    assert torch.equal(conditioning.prompt, stock_encode(kind, dtype, prompt))
    assert conditioning.prompt.dtype == getattr(torch, dtype)


def test_only_models_with_true_guidance_get_a_negative(load_model: Any, new_context: Any, stock_encode: Any) -> None:
    """Klein base reads it, and an empty one is what its pipeline takes; the others say that it is ignored."""
    node = TextEncode(prompt="a circle", negative_prompt="blurred")
    base = node.run(new_context(), load_model("klein-base").text_encoder)
    assert torch.equal(base.negative, stock_encode("klein-base", "float32", "blurred"))
    empty = TextEncode(prompt="a circle").run(new_context(), load_model("klein-base").text_encoder)
    assert torch.equal(empty.negative, stock_encode("klein-base", "float32", ""))
    for kind in ("dev", "klein"):
        ctx = new_context()
        assert node.run(ctx, load_model(kind).text_encoder).negative is None
        assert ctx.warnings == ["this model uses no negative prompt: it is ignored"]


@pytest.mark.parametrize("kind", ["dev", "klein"])
def test_the_length_is_the_models_own_or_the_settings(load_model: Any, new_context: Any, kind: str) -> None:
    spec = load_model(kind).text_encoder
    assert TextEncode(prompt="x").run(new_context(), spec).prompt.shape == (1, 256, 48)
    assert TextEncode(prompt="x", max_length=40).run(new_context(), spec).prompt.shape == (1, 40, 48)


@pytest.mark.parametrize("settings", [{"max_length": 0}, {"prompt": None}, {"prompt": 3}, {"max_length": "12"}])
def test_settings_of_the_wrong_kind_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TextEncode(**settings)


@pytest.mark.parametrize(("prompt", "count"), [('{"subjects": [', 1), ('{"subjects": []}', 0), ("a circle {1}", 0)])
def test_broken_json_is_said_to_be_words(load_model: Any, new_context: Any, prompt: str, count: int) -> None:
    """A prompt that begins as JSON and is none is read as words, and the user is told."""
    ctx = new_context()
    TextEncode(prompt=prompt).run(ctx, load_model("klein").text_encoder)
    assert len(ctx.warnings) == count
