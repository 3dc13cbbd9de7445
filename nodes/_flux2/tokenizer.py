"""The tokenizer of a checkpoint, by a class that runs everywhere and no code of the checkpoint's."""

from __future__ import annotations

from pathlib import Path

from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast, Qwen2Tokenizer

from limner.engine.errors import ModelError
from limner.nodes._flux2.index import ModelIndex


def load_tokenizer(folder: Path, index: ModelIndex) -> PreTrainedTokenizerBase:
    """The tokenizer that the stock pipeline would use. Raises ModelError.

    Dev's PixtralProcessor needs torchvision for pictures, which never reach the text encoder here: the tokenizer
    inside it, with the same chat template, gives the same tokens.
    """
    try:
        if index.tokenizer_class == "PixtralProcessor":
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        elif index.tokenizer_class.startswith("Qwen2"):
            tokenizer = Qwen2Tokenizer.from_pretrained(folder, local_files_only=True)
        else:
            tokenizer = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(f"{folder} could not be loaded: {line}") from error
    if not tokenizer.chat_template:
        raise ModelError(f"{folder} has no chat template")
    return tokenizer
