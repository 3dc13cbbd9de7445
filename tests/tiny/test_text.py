"""The tokenizer and the text encoder's embeddings."""

import random

import torch
from diffusers import Flux2KleinPipeline

from limner.tiny.captions import describe
from limner.tiny.scenes import sample_scene
from limner.tiny.text import OUT_LAYERS, build_text_encoder, embed, summary_positions, tokenize
from limner.tiny.tokenizer import MAX_LENGTH, SUMMARIES, build_tokenizer, wrap


def test_hex_codes_stay_whole_bytes() -> None:
    """A hex code is three tokens that say which byte they are, in any case and any context."""
    tokenizer = build_tokenizer()
    assert tokenizer.tokenize("on #367588") == ["on", "#36", "G75", "B88"]
    assert tokenizer.tokenize('{"color": "#A52A2A"}')[:4] == ["color", "#a5", "G2a", "B2a"]
    assert "<unk>" in tokenizer.tokenize("#12345")


def test_no_known_word_is_unknown() -> None:
    """Plain captions without noise hold no unknown token; all but the longest fit into the length."""
    tokenizer, rng = build_tokenizer(), random.Random(1)
    lengths = []
    for _ in range(300):
        caption = describe(rng, sample_scene(rng), full=True)
        tokens = tokenizer.tokenize(wrap(caption.text))
        assert caption.text.startswith("{") or "<unk>" not in tokens
        lengths.append(len(tokens))
    assert sum(length <= MAX_LENGTH for length in lengths) >= 0.98 * len(lengths)


def test_json_and_plain_prompts_look_alike() -> None:
    """Quotes, brackets and articles leave no tokens behind."""
    tokenizer = build_tokenizer()
    plain = tokenizer.tokenize("a star, top left")
    assert tokenizer.tokenize('{"subjects": [{"description": "a star, top left"}]}')[: len(plain)] == plain


def test_a_long_prompt_keeps_its_summary() -> None:
    """However long a prompt, the summary tokens are read."""
    tokenizer = build_tokenizer()
    ids, mask = tokenize(tokenizer, ["word " * 100, "a red circle"])
    for row, positions in zip(ids, summary_positions(mask), strict=True):
        assert tokenizer.convert_ids_to_tokens(row[positions].tolist()) == list(SUMMARIES)


def test_embeddings_equal_the_pipelines() -> None:
    """Training sees what the stock pipeline will compute."""
    torch.manual_seed(0)
    tokenizer = build_tokenizer()
    encoder = build_text_encoder(tokenizer).eval()
    prompts = ["a red circle on a #203040 background", '{"subjects": [{"description": "star"}]}']
    theirs = Flux2KleinPipeline._get_qwen3_prompt_embeds(
        encoder, tokenizer, prompts, max_sequence_length=MAX_LENGTH, hidden_states_layers=list(OUT_LAYERS)
    )
    with torch.no_grad():
        ours = embed(encoder, *tokenize(tokenizer, prompts))
    assert torch.equal(ours, theirs)
