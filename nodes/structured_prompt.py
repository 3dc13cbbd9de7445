"""FLUX.2's JSON prompt as a form."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, PlainValidator, Strict, WithJsonSchema

from limner.engine.context import Context
from limner.engine.document import plain_json
from limner.engine.node import Node
from limner.nodes._hex_color import color_fault, lookalike_fault
from limner.nodes._long_text import LONG_TEXT
from limner.nodes._prompt_json import Keys, color_faults, in_order, is_empty, misspelt, read_prompt, write_prompt


def _words(text: str) -> str:
    if fault := lookalike_fault(text):
        raise ValueError(fault)
    return text


def _color(text: str) -> str:
    if fault := color_fault(text):
        raise ValueError(fault)
    return text


def _figure(value: Any) -> str | float:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError("must be a text or a number")
    plain_json(value)
    return value


def _kept(value: Any) -> Any:
    if faults := [f"{place}: {fault}" if place else fault for place, fault in color_faults(plain_json(value))]:
        raise ValueError("; ".join(faults))
    return value


def _prompt(text: str) -> str:
    read_prompt(text)
    return text


Words = Annotated[str, AfterValidator(_words)]
Palette = Annotated[tuple[Annotated[str, AfterValidator(_color)], ...], Strict(False)]  # JSON and scripts give lists
Figure = Annotated[
    str | int | float,
    PlainValidator(_figure),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "number"}]}),
]
"""As people write it: 85, "85mm", "f/5.6"."""
Kept = Annotated[JsonValue, AfterValidator(_kept)]
"""What stands under a key that is not known."""

_OPEN = ConfigDict(
    frozen=True,
    strict=True,
    extra="allow",
    allow_inf_nan=False,
    hide_input_in_errors=True,
    serialize_by_alias=True,
)


class Subject(BaseModel):
    """One of the things that the picture shows. Further keys are kept."""

    model_config = _OPEN
    __pydantic_extra__: dict[str, Kept]

    description: Words = Field(default="", description="What it is and looks like, in detail.")
    position: Words = Field(default="", description="Where in the frame: center foreground, on the left.")
    action: Words = Field(default="", description="What it does.")
    pose: Words = Field(default="", description="How it stands, sits or lies.")
    color_palette: Palette = Field(default=(), description="Its own colors, each in words or as #RRGGBB.")


class Camera(BaseModel):
    """How the picture was taken. Further keys are kept."""

    model_config = _OPEN
    __pydantic_extra__: dict[str, Kept]

    angle: Words = Field(default="", description="high angle, eye level, low angle, ...")
    distance: Words = Field(default="", description="close-up, medium shot, wide shot, ...")
    focus: Words = Field(default="", description="What is sharp.")
    lens: Figure = Field(default="", description="The kind of lens: macro, 35mm wide angle, ...")
    lens_mm: Figure = Field(default="", alias="lens-mm", description="Focal length in millimeters, such as 85.")
    f_number: Figure = Field(default="", alias="f-number", description="Aperture, such as f/5.6.")
    iso: Figure = Field(default="", alias="ISO", description="Sensitivity, such as 200.")
    depth_of_field: Words = Field(default="", description="shallow with a soft background, deep, ...")


class StructuredPrompt(Node):
    """Write a prompt in FLUX.2's JSON form, field by field; wire it to the setting prompt of TextEncode.

    Fields come in the order of the form, and empty ones are left out. Keys that it does not know are kept as they are,
    after the known ones, here and inside subjects and camera. A color is in words or #RRGGBB.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Kept]
    category: ClassVar[str] = "text"
    aliases: ClassVar[tuple[str, ...]] = ("JSON prompt", "prompt builder")

    paste: Annotated[str, AfterValidator(_prompt)] = Field(
        default="",
        description="A whole JSON prompt as text. The fields below replace what it has, where not empty.",
        json_schema_extra=LONG_TEXT,
    )
    scene: Words = Field(
        default="", description="What the picture shows altogether, in a sentence.", json_schema_extra=LONG_TEXT
    )
    subjects: Annotated[tuple[Subject, ...], Strict(False)] = Field(
        default=(), description="The things it shows, the most important first."
    )
    style: Words = Field(default="", description="The kind of picture: product photograph, watercolor, ...")
    color_palette: Palette = Field(default=(), description="Colors of the picture, each in words or as #RRGGBB.")
    lighting: Words = Field(default="", description="Where light comes from, and how hard it is.")
    mood: Words = Field(default="", description="What it feels like.")
    background: Words = Field(default="", description="What is behind and under the subjects.")
    composition: Words = Field(default="", description="How they are arranged: rule of thirds, centered, ...")
    camera: Camera | None = Field(default=None, description="How the picture was taken.")

    def text(self) -> str:
        """The prompt. The same settings give the same bytes."""
        return write_prompt(in_order(self._document(), KEYS))

    def known_outputs(self) -> tuple[str]:
        """The prompt: it needs no running."""
        return (self.text(),)

    def run(self, ctx: Context) -> str:
        """The prompt, and a warning for each key that seems to be misspelt."""
        for place, near in misspelt(self._document(), KEYS):
            ctx.warn(f"{place} is kept as it is, but is no key of FLUX.2's prompts: did you mean {near}?")
        return self.text()

    def _document(self) -> dict[str, Any]:
        own = self.model_dump(mode="json", by_alias=True, exclude={"paste"})
        given = {key: value for key, value in own.items() if key not in KEYS[""] or not is_empty(value)}
        return read_prompt(self.paste) | given


def _names(model: type[BaseModel]) -> tuple[str, ...]:
    return tuple(field.alias or name for name, field in model.model_fields.items())


KEYS: Final[Keys] = {
    "": tuple(name for name in _names(StructuredPrompt) if name != "paste"),
    "subjects": _names(Subject),
    "camera": _names(Camera),
}
