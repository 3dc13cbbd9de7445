"""What a checkpoint needs to be told at each call: the family's own values, or those of its ``limner.json``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from limner.engine.errors import ModelError
from limner.nodes._flux2.index import ModelIndex, read_json

MagRatios = Annotated[
    tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...], Field(min_length=1, max_length=1000)
]
"""How much larger what all blocks add is at each step than at the one before: what MagCache goes by."""
Row = Annotated[list[float], Field(min_length=1)]


class TextSettings(BaseModel):
    """How the text encoder is read."""

    model_config = ConfigDict(frozen=True)

    max_sequence_length: int = Field(ge=1, le=32768)
    out_layers: tuple[int, ...] = Field(min_length=1)


class Defaults(BaseModel):
    """What ``Denoise`` uses where its settings say nothing."""

    model_config = ConfigDict(frozen=True)

    steps: int = Field(ge=1, le=1000)
    guidance: float = Field(ge=0, allow_inf_nan=False)
    width: int = Field(ge=16, multiple_of=16)
    height: int = Field(ge=16, multiple_of=16)


class PreviewMap(BaseModel):
    """A fitted linear map from the VAE's latent channels to RGB in [0, 1]."""

    model_config = ConfigDict(frozen=True)

    weight: Annotated[list[Row], Field(min_length=3, max_length=3)]
    bias: Annotated[list[float], Field(min_length=3, max_length=3)]

    @field_validator("weight")
    @classmethod
    def _check_rows(cls, weight: list[Row]) -> list[Row]:
        if len({len(row) for row in weight}) != 1:
            raise ValueError("the three rows must be of one length")
        return weight


class ModelSettings(BaseModel):
    """Everything that ``limner.json`` may hold."""

    model_config = ConfigDict(frozen=True)

    text: TextSettings
    defaults: Defaults
    preview: PreviewMap | None = None
    mag_ratios: MagRatios | None = None


def read_settings(folder: Path, index: ModelIndex) -> ModelSettings:
    """A checkpoint's settings. Raises ModelError where its ``limner.json`` is not usable."""
    path = folder / "limner.json"
    document = read_json(path) if path.is_file() else {}
    own = _of_family(index)
    merged: dict[str, Any] = {part: {**own[part], **_object(path, document, part)} for part in own}
    try:
        return ModelSettings.model_validate(
            {**merged, **{part: document.get(part) for part in ("preview", "mag_ratios")}}
        )
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ModelError(f"{path}: {where}: {first['msg']}") from error


def _of_family(index: ModelIndex) -> dict[str, dict[str, Any]]:
    """The defaults of diffusers' pipelines; 4 steps without guidance is what distilled klein was made for."""
    is_dev, few = index.family == "dev", index.is_distilled
    return {
        "text": {"max_sequence_length": 512, "out_layers": (10, 20, 30) if is_dev else (9, 18, 27)},
        "defaults": {
            "steps": 4 if few else 50,
            "guidance": 1.0 if few else 4.0,
            "width": 1024,
            "height": 1024,
        },
    }


def _object(path: Path, document: dict[str, Any], part: str) -> dict[str, Any]:
    value = document.get(part, {})
    if not isinstance(value, dict):
        raise ModelError(f"{path}: {part} is not a JSON object")
    return value
