"""Pictures as dev's text encoder sees them, without the class that needs torchvision.

The processor of transformers imports torchvision as a whole. Its image processor with the PIL backend does not, and is
used here; the tokens that stand for a picture are made as the processor makes them. So every machine sees the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import PIL.Image
from torch import Tensor
from transformers.models.pixtral.image_processing_pil_pixtral import PixtralImageProcessorPil

from limner.nodes._flux2.index import read_json

IMAGE_TOKEN = "[IMG]"
"""What chat templates put where a picture belongs."""


@dataclass(frozen=True, eq=False)
class PictureReader:
    """How pictures become pixels and tokens."""

    processor: PixtralImageProcessorPil
    cell: int
    """Pixels a side of what becomes one token."""
    tokens: tuple[str, str, str]
    """For a token of a picture, the end of its rows, and its own end."""

    def read(self, pictures: Sequence[PIL.Image.Image]) -> tuple[dict[str, Tensor], list[str]]:
        """What the model is given, ``pixel_values`` (N, 3, H, W) and ``image_sizes`` (N, 2), and a text for each."""
        seen: Any = self.processor.preprocess(list(pictures), patch_size=self.cell, return_tensors="pt")
        sizes = [(int(height), int(width)) for height, width in seen["image_sizes"]]
        return dict(seen), [self._text(height // self.cell, width // self.cell) for height, width in sizes]

    def _text(self, rows: int, columns: int) -> str:
        image, row_end, end = self.tokens
        return row_end.join([image * columns] * rows) + end


def load_picture_reader(folder: Path) -> PictureReader | None:
    """The reader that a tokenizer's folder describes; None where it describes none. Raises ModelError."""
    path = folder / "processor_config.json"
    if not path.is_file():
        return None
    config = read_json(path)
    return PictureReader(
        processor=PixtralImageProcessorPil.from_pretrained(folder, local_files_only=True),
        cell=config.get("patch_size", 16) * config.get("spatial_merge_size", 1),
        tokens=(
            config.get("image_token", IMAGE_TOKEN),
            config.get("image_break_token", "[IMG_BREAK]"),
            config.get("image_end_token", "[IMG_END]"),
        ),
    )
