"""The plain tokenizer gives the tokens of the processor it stands in for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from limner.engine.errors import ModelError
from limner.nodes._flux2.index import ModelIndex
from limner.nodes._flux2.tokenizer import load_tokenizer

DEV = ModelIndex("dev", is_distilled=False, tokenizer_class="PixtralProcessor")


@pytest.mark.parametrize("padding_side", ["left", "right"])
@pytest.mark.parametrize("prompt", ["", "a red circle", "红", "x" * 600, "[IMG] y", "</s><s>[IMG_END]"])
def test_it_equals_pixtral_processor(tmp_path: Path, model_folder: Any, padding_side: str, prompt: str) -> None:
    """Dev's processor is told to pad, cut and ask for tensors exactly as the pipeline does."""
    pytest.importorskip("torchvision", reason="PixtralProcessor needs torchvision, which CPU builds do not have")
    from diffusers.pipelines.flux2.pipeline_flux2 import format_input
    from transformers import PixtralImageProcessor, PixtralProcessor

    plain = load_tokenizer(model_folder("dev") / "tokenizer", DEV)
    plain.add_tokens(["[IMG]", "[IMG_BREAK]", "[IMG_END]"], special_tokens=True)
    template = plain.chat_template
    PixtralProcessor(PixtralImageProcessor(), plain, chat_template=template).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config | {"padding_side": padding_side}))

    call = {"tokenize": True, "return_dict": True, "return_tensors": "pt", "padding": "max_length", "truncation": True}
    messages = format_input([prompt])
    wanted = PixtralProcessor.from_pretrained(tmp_path).apply_chat_template(messages, max_length=256, **call)
    found = load_tokenizer(tmp_path, DEV).apply_chat_template(messages, max_length=256, **call)
    for name in ("input_ids", "attention_mask"):
        assert found[name].tolist() == wanted[name].tolist()


def test_a_checkpoint_cannot_bring_code(tmp_path: Path, model_folder: Any) -> None:
    """One that names a class of its own is read by a class of ours, or refused; its file is never run."""
    for path in (model_folder("dev") / "tokenizer").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    config |= {"auto_map": {"AutoTokenizer": [None, "evil.Evil"]}, "tokenizer_class": "Evil"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    (tmp_path / "evil.py").write_text("raise SystemExit('code of a checkpoint was run')\n")
    for name in ("Qwen2TokenizerFast", "PreTrainedTokenizerFast"):
        load_tokenizer(tmp_path, ModelIndex("klein", is_distilled=True, tokenizer_class=name))
    with pytest.raises(ModelError, match="contains custom code"):
        load_tokenizer(tmp_path, DEV)


def test_what_is_no_tokenizer_is_a_model_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="could not be loaded"):
        load_tokenizer(tmp_path, DEV)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(ModelError, match="could not be loaded"):
        load_tokenizer(tmp_path, ModelIndex("klein", is_distilled=True, tokenizer_class="PreTrainedTokenizerFast"))


def test_a_tokenizer_without_a_chat_template_is_refused(tmp_path: Path, model_folder: Any) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((model_folder("klein") / "tokenizer" / name).read_bytes())
    with pytest.raises(ModelError, match="has no chat template"):
        load_tokenizer(tmp_path, ModelIndex("klein", is_distilled=True, tokenizer_class="TokenizersBackend"))
