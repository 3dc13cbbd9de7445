"""Prompts become what the stock pipelines make of them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError

from limner.engine.testing import FakeContext
from limner.nodes import LoadModel, TextEncode
from limner.nodes._flux2.prompt_length import find_cut

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


@pytest.mark.parametrize("kind", ["dev", "klein", "tiny"])
def test_a_cut_is_where_it_is_said_to_be(load_model: Any, new_context: Any, kind: str) -> None:
    """What is said not to be read changes no bit, whatever it is, and the word beside it does."""
    spec = LoadModel().run(FakeContext()).text_encoder if kind == "tiny" else load_model(kind).text_encoder
    ctx, prompt = new_context(), "  a red star " + "on a blue field " * 20
    with ctx.hold(spec) as live:
        cut = find_cut(live, prompt, None)
    assert cut is not None
    unread = slice(0, cut.at) if cut.is_beginning else slice(cut.at, len(prompt))
    beside = slice(cut.at, cut.at + 9) if cut.is_beginning else slice(cut.at - 6, cut.at)

    def changed(place: slice) -> torch.Tensor:
        other = prompt[place].replace("e", "u").replace("o", "i")  # as many letters, and as many words
        return TextEncode(prompt=prompt[: place.start] + other + prompt[place.stop :]).run(new_context(), spec).prompt

    whole = TextEncode(prompt=prompt).run(ctx, spec).prompt
    assert torch.equal(changed(unread), whole)
    assert not torch.equal(changed(beside), whole)
    assert ctx.warnings == [cut.sentence(prompt)]


@pytest.mark.parametrize("kind", ["dev", "klein"])
def test_the_first_cut_is_of_one_token(load_model: Any, new_context: Any, kind: str) -> None:
    """Letter by letter, nothing is said while the prompt fits, then one token, then two: the template's end is none."""
    with new_context().hold(load_model(kind).text_encoder) as live:
        cuts = [find_cut(live, "x" * letters, None) for letters in range(256)]
    said = [cut.tokens for cut in cuts if cut is not None]
    assert cuts[0] is None
    assert said == list(range(1, len(said) + 1))


def test_a_cut_is_said_in_a_sentence(new_context: Any) -> None:
    """The warning counts tokens and quotes the words; of the embedded model the beginning is cut."""
    ctx = new_context()
    TextEncode(prompt="very " * 10 + "old red star " * 10).run(ctx, LoadModel().run(FakeContext()).text_encoder)
    assert ctx.warnings == [
        "5 of the 40 tokens of the prompt are cut, because 40 fit with the template around it: "
        'nothing up to "very very very very" is read'
    ]


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("on a #36758 carpet", ["#36758 has 5 hex digits, and a color has 6, as in #367588"]),
        ("#abc and #abc, #FFF0", ["#abc is short for #aabbcc: write that", "#FFF0 is short for #FFFFFF: write that"]),
        ("on a #1234 background", ["#1234 is short for #112233: write that; a number goes without #"]),
        ("#e8d8bO", ["#e8d8bO has the letter O, which is no hex digit"]),
        ("#ABCDEF12", ["#ABCDEF12 has a transparency, which FLUX.2 does not know: write #ABCDEF"]),
        ("#367588 #1 #12 a#abc &#36758; #face-off #winter C#", []),
    ],
)
def test_colors_that_are_none_are_said(load_model: Any, new_context: Any, prompt: str, said: list[str]) -> None:
    """What looks like a hex color and is none is; a number of one or two digits is not."""
    ctx = new_context()
    TextEncode(prompt=prompt).run(ctx, load_model("klein").text_encoder)
    assert ctx.warnings == said
