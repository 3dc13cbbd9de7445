"""A checkpoint says what its calls need; where it says nothing, the family does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from limner.engine.errors import ModelError
from limner.nodes._flux2.index import ModelIndex
from limner.nodes._flux2.settings import read_settings

DEV = ModelIndex("dev", is_distilled=False, tokenizer_class="PixtralProcessor")
KLEIN = ModelIndex("klein", is_distilled=True, tokenizer_class="Qwen2TokenizerFast")
BASE = ModelIndex("klein", is_distilled=False, tokenizer_class="Qwen2TokenizerFast")


@pytest.mark.parametrize(
    ("index", "layers", "steps", "guidance"),
    [(DEV, (10, 20, 30), 50, 4.0), (KLEIN, (9, 18, 27), 4, 1.0), (BASE, (9, 18, 27), 50, 4.0)],
)
def test_the_family_has_defaults(
    tmp_path: Path, index: ModelIndex, layers: tuple[int, ...], steps: int, guidance: float
) -> None:
    """Those of the pipelines; distilled klein draws in the 4 steps it was made for."""
    settings = read_settings(tmp_path, index)
    assert (settings.text.max_sequence_length, settings.text.out_layers) == (512, layers)
    assert (settings.defaults.steps, settings.defaults.guidance) == (steps, guidance)
    assert (settings.defaults.width, settings.defaults.height) == (1024, 1024)
    assert settings.preview is None


def test_a_checkpoint_may_say_a_part(tmp_path: Path) -> None:
    """What it does not say stays the family's; what newer versions may add is passed over."""
    document = {"defaults": {"steps": 9}, "text": {"out_layers": [1, 2]}, "later": 3}
    (tmp_path / "limner.json").write_text(json.dumps(document))
    settings = read_settings(tmp_path, KLEIN)
    assert (settings.defaults.steps, settings.defaults.width) == (9, 1024)
    assert (settings.text.out_layers, settings.text.max_sequence_length) == ((1, 2), 512)


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        ({"defaults": {"steps": 0}}, "defaults.steps"),
        ({"defaults": {"width": 100}}, "defaults.width"),
        ({"defaults": 3}, "defaults is not a JSON object"),
        ({"text": {"out_layers": []}}, "text.out_layers"),
        ({"preview": {"weight": [[1.0]], "bias": [0, 0, 0]}}, "preview.weight"),
        ({"mag_ratios": []}, "mag_ratios"),
        ({"mag_ratios": [1.0, 0.0]}, "mag_ratios.1"),
        ({"preview": {"weight": [[], [], []], "bias": [0, 0, 0]}}, "preview.weight"),
        ({"preview": {"weight": [[1.0, 2.0], [1.0], [1.0]], "bias": [0, 0, 0]}}, "preview"),
    ],
)
def test_a_wrong_file_says_where(tmp_path: Path, document: dict[str, Any], fault: str) -> None:
    (tmp_path / "limner.json").write_text(json.dumps(document))
    with pytest.raises(ModelError, match=fault) as caught:
        read_settings(tmp_path, KLEIN)
    assert "limner.json" in caught.value.message
    assert "\n" not in caught.value.message
