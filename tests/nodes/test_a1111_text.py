"""The few lines for other programs say what is true of this picture, or are not there."""

from __future__ import annotations

import json
from typing import Any

from limner.engine.context import Provenance
from limner.nodes._a1111_text import a1111_text

LORA = {"path": "x/ink.safetensors"}
NODES: dict[str, Any] = {
    "model": {"type": "LoadModel", "settings": {"source": "/models/tiny"}},
    "lora": {
        "type": "ApplyLoRA",
        "settings": LORA,
        "wires": {"transformer": "model.transformer"},
    },
    "words": {"type": "Text", "settings": {"value": "a fox, red"}},
    "encode": {"type": "TextEncode", "wires": {"text_encoder": "model.text_encoder", "prompt": "words"}},
    "denoise": {
        "type": "Denoise",
        "settings": {"seed": 7, "batch": 3},
        "wires": {"transformer": "lora", "conditioning": "encode"},
    },
    "save": {"type": "SaveImage", "wires": {"images": ["denoise"]}},
}
RESOLVED = {
    "encode": {"prompt": "a fox, red", "negative_prompt": "blurry"},
    "denoise": {"steps": 4, "guidance": 1.0, "width": 64, "height": 32},
}
SOURCES = {"model": {"/models/tiny": "sha256:" + "ab" * 32}, "lora": {"x/ink.safetensors": "sha256:" + "cd" * 32}}


def text(nodes: dict[str, Any], number: int = 1) -> str | None:
    return a1111_text(
        Provenance(
            json.dumps({"limner": 1, "nodes": nodes}),
            software={"limner": "0.1.0"},
            resolved=RESOLVED,
            sources=SOURCES,
            saved_by="save",
            number=number,
        )
    )


def test_all_that_other_programs_know_is_said() -> None:
    """With values from wires and of the model, the seed of the very picture, and no folder of this machine."""
    assert text(NODES, number=2) == (
        "a fox, red\nNegative prompt: blurry\n"
        "Steps: 4, Sampler: Euler, CFG scale: 1.0, Seed: 8, Size: 64x32, Model hash: ababababab, Model: tiny, "
        'Lora hashes: "ink: cdcdcdcdcd", Version: Limner 0.1.0'
    )


def test_only_what_led_to_the_picture_counts() -> None:
    """Another drawing in the same graph is not this picture's."""
    other = {"other": {"type": "Denoise", "settings": {"seed": 1}, "wires": {"conditioning": "encode"}}}
    assert text(NODES | other) == text(NODES)


def test_a_picture_of_several_drawings_has_no_such_lines() -> None:
    """One line of settings would be true of none of them."""
    again = {"type": "Denoise", "wires": {"conditioning": "encode", "latent": "denoise"}}
    save = {"type": "SaveImage", "wires": {"images": "again"}}
    assert text(NODES | {"again": again, "save": save}) is None
    assert text({"save": {"type": "SaveImage"}}) is None


def test_a_picture_that_was_picked_out_of_a_batch_has_its_own_seed() -> None:
    """Where it stands in the batch that was drawn counts, not in the one that was saved."""
    pick = {"type": "PickLatent", "settings": {"number": 3}, "wires": {"latent": "denoise"}}
    save = {"type": "SaveImage", "wires": {"images": "pick"}}
    assert ", Seed: 9, " in str(text(NODES | {"pick": pick, "save": save}))


def test_what_was_painted_over_or_is_not_known_has_no_such_lines() -> None:
    """Not the settings of the drawing below, and no empty prompt."""
    over = {"type": "Inpaint", "wires": {"conditioning": "encode", "image": "denoise"}}
    assert text(NODES | {"over": over, "save": {"type": "SaveImage", "wires": {"images": "over"}}}) is None
    untold = {"encode": {"type": "TextEncode", "settings": {}}}
    assert a1111_text(Provenance(json.dumps({"nodes": NODES | untold}), saved_by="save")) is None
