"""Titles of templates."""

from __future__ import annotations

import pytest

from limner.server.comfy.titles import title_of


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("text_to_image", "Text to image"),
        ("cpu_offload_62gb", "CPU offload 62 GB"),
        ("klein_base_cfg", "FLUX.2 klein base CFG"),
        ("klein_4b", "FLUX.2 klein 4B"),
        ("lora_stack", "LoRA stack"),
        ("nf4_20gb", "NF4 20 GB"),
    ],
)
def test_a_name_is_a_title(name: str, title: str) -> None:
    """Sizes and abbreviations are written as people write them."""
    assert title_of(name, name) == title


def test_a_graph_may_have_a_title() -> None:
    """Its name, where that is more than a file is called."""
    assert title_of("portrait_2", "Aunt Mary, by the window") == "Aunt Mary, by the window"
    assert title_of("portrait_2", "graph") == "Portrait 2"
