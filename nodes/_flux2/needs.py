"""What the nodes that compute will hold and need, from what is known of their inputs. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from limner.engine.forecast import Forecast
from limner.nodes._flux2 import activations
from limner.nodes._flux2.activations import DenoiseSize
from limner.nodes._flux2.known import KnownComponent, known
from limner.nodes._flux2.text_layers import layers_to_keep
from limner.nodes._flux2.weigh import unpacked_bytes
from limner.nodes.sizes import MAX_REFERENCE_PIXELS, PictureSizes, PromptSize, as_reference
from limner.nodes.specs import VAE, TextEncoder, Transformer

_SIDE = int(MAX_REFERENCE_PIXELS**0.5)
UNKNOWN_REFERENCE = PictureSizes(((_SIDE, _SIDE),))
"""What a reference is taken for of which nothing is known."""


def encode_prompt(spec: TextEncoder, max_length: int | None, device: str) -> Forecast:
    """Encoding one prompt, or two where the model reads a negative one. Raises ModelError."""
    component = known(spec)
    tokens = max_length or component.settings.text.max_sequence_length
    prompts = 2 if component.index.family == "klein" and not component.index.is_distilled else 1
    layers = layers_to_keep(component.folder)
    working = activations.encode_prompt_bytes(component.config, layers, tokens, component.itemsize(spec, device))
    return Forecast(
        outputs=(PromptSize(tokens, prompts),),
        holds=(spec,),
        working_bytes=working + unpacked_bytes(spec, device, tokens),
        passes=prompts,
        note=f"{tokens:,} tokens",
    )


def encode_references(spec: VAE, pictures: PictureSizes, device: str) -> Forecast:
    """Encoding one picture after the other. Raises ModelError."""
    component = known(spec)
    itemsize = component.itemsize(spec, device)
    scaled = PictureSizes(tuple(map(as_reference, pictures.sizes)))
    working = max(
        activations.encode_bytes(component.config, width * height, itemsize) for width, height in scaled.sizes
    )
    return Forecast((scaled,), (spec,), working, len(scaled.sizes), f"{len(scaled.sizes)} x {_megapixels(scaled)}")


@dataclass(frozen=True)
class Drawing:
    """What ``Denoise`` is told: settings, and what is known of its wires."""

    steps: int | None
    guidance: float | None
    batch: int
    width: int | None
    height: int | None
    prompt: PromptSize | None
    references: PictureSizes | None


def denoise(spec: Transformer, drawing: Drawing, device: str) -> Forecast:
    """All steps of one drawing; says what one more reference would add. Raises ModelError."""
    component = known(spec)
    own = component.settings.defaults
    first = drawing.references.sizes[0] if drawing.references is not None else (own.width, own.height)
    size = (drawing.width or first[0], drawing.height or first[1])
    steps = drawing.steps or own.steps
    guidance = own.guidance if drawing.guidance is None else drawing.guidance
    prompts = 2 if component.index.family == "klein" and not component.index.is_distilled and guidance > 1 else 1
    read = _read(component, drawing, size, component.itemsize(spec, device))
    more = DenoiseSize(read.text_tokens, read.picture_tokens + UNKNOWN_REFERENCE.tokens, read.batch, read.itemsize)
    working = activations.denoise_bytes(component.config, read, prompts)
    added = activations.denoise_bytes(component.config, more, prompts) - working
    note = f"{read.text_tokens + read.picture_tokens:,} tokens"
    if drawing.references is not None:
        note += f", {drawing.references.tokens:,} of them of {len(drawing.references.sizes)} reference(s)"
    return Forecast(
        outputs=(PictureSizes((size,) * drawing.batch),),
        holds=(spec,),
        working_bytes=working + unpacked_bytes(spec, device, drawing.batch * (read.text_tokens + read.picture_tokens)),
        passes=steps * prompts,
        note=f"{note}; a reference of 1 MP adds {UNKNOWN_REFERENCE.tokens:,} and {added / 1e9:.2f} GB",
    )


def decode(spec: VAE, latents: PictureSizes, device: str) -> Forecast:
    """Decoding a batch at once. Raises ModelError."""
    component = known(spec)
    working = activations.decode_bytes(component.config, latents.pixels, component.itemsize(spec, device))
    return Forecast((latents,), (spec,), working, 1, f"{len(latents.sizes)} x {_megapixels(latents)}")


def _read(component: KnownComponent, drawing: Drawing, size: tuple[int, int], itemsize: int) -> DenoiseSize:
    text = drawing.prompt.tokens if drawing.prompt else component.settings.text.max_sequence_length
    pictures = PictureSizes((size,)).tokens + (drawing.references.tokens if drawing.references else 0)
    return DenoiseSize(text, pictures, drawing.batch, itemsize)


def _megapixels(pictures: PictureSizes) -> str:
    return f"{pictures.pixels / len(pictures.sizes) / 1e6:.2g} MP"
