"""What the nodes that compute will hold and need, from what is known of their inputs. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from limner.engine.errors import Fault, GraphError, ModelError
from limner.engine.forecast import Added, Forecast
from limner.nodes._flux2 import activations
from limner.nodes._flux2.activations import DenoiseSize
from limner.nodes._flux2.known import KnownComponent, known
from limner.nodes._flux2.speed import PLAIN, Speed, cache_bytes, check_speed
from limner.nodes._flux2.text_layers import layers_to_keep
from limner.nodes._flux2.weigh import unpacked_bytes
from limner.nodes._flux2.writing import MAX_NEW_TOKENS, MAX_READ_TOKENS, writing_bytes, writing_fault
from limner.nodes.sizes import MAX_REFERENCE_PIXELS, PictureSizes, PromptSize, as_reference, skipped_steps
from limner.nodes.specs import VAE, TextEncoder, TextGenerator, Transformer

_SIDE = int(MAX_REFERENCE_PIXELS**0.5)
UNKNOWN_REFERENCE = PictureSizes(((_SIDE, _SIDE),))
"""What a reference is taken for of which nothing is known."""


def encode_prompt(spec: TextEncoder, max_length: int | None, device: str, *, with_negative: bool = True) -> Forecast:
    """Encoding one prompt, or two where the model reads a negative one. Raises ModelError."""
    component = known(spec)
    tokens = max_length or component.settings.text.max_sequence_length
    is_led_away = component.index.family == "klein" and not component.index.is_distilled
    prompts = 2 if is_led_away and with_negative else 1
    layers = layers_to_keep(component.folder)
    working = activations.encode_prompt_bytes(component.config, layers, tokens, component.itemsize(spec, device))
    return Forecast(
        outputs=(PromptSize(tokens, prompts, _text_width(component)),),
        holds=(spec,),
        working_bytes=working + unpacked_bytes(spec, device, tokens),
        passes=prompts,
        note=f"{tokens:,} tokens",
        resolved={"max_length": tokens},
    )


def write_prompt(spec: TextEncoder, device: str) -> Forecast:
    """Writing a prompt. Raises GraphError for a text encoder that cannot, ModelError."""
    generator = TextGenerator.of(spec)
    component = known(generator)
    if (fault := writing_fault(spec, component)) is not None:
        raise GraphError([fault])
    working = writing_bytes(component, component.itemsize(generator, device))
    return Forecast(
        holds=(generator,),
        working_bytes=working + unpacked_bytes(generator, device, MAX_READ_TOKENS),
        passes=MAX_NEW_TOKENS,
        note=f"reads {MAX_READ_TOKENS:,} tokens and writes up to {MAX_NEW_TOKENS}",
    )


def encode_references(spec: VAE, pictures: PictureSizes, device: str) -> Forecast:
    """Encoding one picture after the other, none larger than a reference. Raises ModelError."""
    scaled = pictures  # what is only guessed at stays known as that
    if pictures is not UNKNOWN_REFERENCE:
        scaled = PictureSizes(tuple(map(as_reference, pictures.sizes)))
    return encode_pictures(spec, scaled, device)


def encode_pictures(spec: VAE, scaled: PictureSizes, device: str) -> Forecast:
    """Encoding one picture after the other, of just these sizes. Raises ModelError."""
    component = known(spec)
    itemsize = component.itemsize(spec, device)
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
    strength: float = 1.0
    """The share of the steps that is run."""
    speed: Speed = PLAIN
    cfg: float | None = None
    """How far a negative prompt is led away from, whatever the model; None: as the model's pipeline does it."""


def denoise(spec: Transformer, drawing: Drawing, device: str) -> Forecast:
    """All steps of one drawing; says what each reference adds, and what one more would.

    Raises ModelError, also for a way of being fast that the model has not, and GraphError for a conditioning of another
    model.
    """
    component = known(spec)
    _check_width(drawing.prompt, component)
    check_speed(drawing.speed, component.index.family, component.settings.mag_ratios)
    own = component.settings.defaults
    sizes = drawing.references.sizes if drawing.references is not None else ()
    first = sizes[0] if sizes else (own.width, own.height)
    size = (drawing.width or first[0], drawing.height or first[1])
    steps = drawing.steps or own.steps
    guidance = own.guidance if drawing.guidance is None else drawing.guidance
    is_led_away = component.index.family == "klein" and not component.index.is_distilled and guidance > 1
    if drawing.cfg is not None:
        is_led_away = drawing.cfg != 1
    prompts = 2 if is_led_away else 1
    itemsize = component.itemsize(spec, device)
    text = drawing.prompt.tokens if drawing.prompt else component.settings.text.max_sequence_length
    own_tokens, references = PictureSizes((size,)).tokens, [PictureSizes((one,)).tokens for one in sizes]

    def working(reference_tokens: int) -> int:
        pictures = own_tokens + reference_tokens
        read = DenoiseSize(text, pictures, drawing.batch, itemsize)
        unpacked = unpacked_bytes(spec, device, drawing.batch * (text + pictures))
        kept = cache_bytes(drawing.speed, component.config, read, reference_tokens, prompts)
        return activations.denoise_bytes(component.config, read, prompts) + kept + unpacked

    total = sum(references)
    needed = working(total)
    adds = [
        Added(f"image {number}", tokens, needed - working(total - tokens))
        for number, tokens in enumerate(references, start=1)
    ]
    one = UNKNOWN_REFERENCE.tokens
    more = Added("a reference of 1 MP", one, working(total + one) - needed)
    note = f"{text + own_tokens + total:,} tokens"
    if references:
        note += f": {text:,} of text, {own_tokens:,} of the picture, {total:,} of {_counted(len(references))}"
    return Forecast(
        outputs=(PictureSizes((size,) * drawing.batch),),
        holds=(spec,),
        working_bytes=needed,
        passes=(steps - skipped_steps(steps, drawing.strength)) * prompts,
        note=f"{note}; {_said(adds, more)}",
        adds=(*adds, more),
        resolved={"steps": steps, "guidance": guidance} | _known_size(drawing, size),
    )


def _text_width(component: KnownComponent) -> int | None:
    """How wide the embeddings of a text encoder are."""
    text = component.config.get("text_config", component.config)
    hidden = text.get("hidden_size") if isinstance(text, dict) else None
    return hidden * len(component.settings.text.out_layers) if isinstance(hidden, int) else None


def _check_width(prompt: PromptSize | None, component: KnownComponent) -> None:
    """Raise GraphError for a conditioning that a transformer cannot read, which a run would find out after loading."""
    reads = component.config.get("joint_attention_dim", 15360)
    if prompt is not None and prompt.width is not None and prompt.width != reads:
        message = f"the conditioning is of width {prompt.width}, and this transformer reads {reads}"
        raise GraphError([Fault(message, hint="take text encoder and transformer from the same model")])


def refuse_early(spec: Transformer, speed: Speed) -> None:
    """Raise ModelError for what a model cannot do, where that is known without loading it."""
    if speed == PLAIN:
        return
    try:
        component = known(spec)
    except ModelError:
        return  # it is told when the model is there
    check_speed(speed, component.index.family, component.settings.mag_ratios)


def _known_size(drawing: Drawing, size: tuple[int, int]) -> dict[str, int]:
    """Width and height, unless they are those of a reference that is only guessed at."""
    if drawing.references is UNKNOWN_REFERENCE:
        return {}
    return {"width": size[0], "height": size[1]}


def decode(spec: VAE, latents: PictureSizes, device: str) -> Forecast:
    """Decoding a batch at once. Raises ModelError."""
    component = known(spec)
    working = activations.decode_bytes(component.config, latents.pixels, component.itemsize(spec, device))
    return Forecast((latents,), (spec,), working, 1, f"{len(latents.sizes)} x {_megapixels(latents)}")


def _said(references: Sequence[Added], more: Added) -> str:
    """``image 1 and 2 add 4,096 tokens and 1.07 GB each; ...``, those that add the same together."""
    parts = []
    for _, group in groupby(references, key=lambda added: (added.tokens, added.working_bytes)):
        first, *rest = group
        names = f"{first.name} to {rest[-1].name}" if rest else first.name
        parts.append(f"{names} {'add' if rest else 'adds'} {_cost(first)}{' each' if rest else ''}")
    return "; ".join([*parts, f"{more.name} would add {_cost(more)}"])


def _cost(added: Added) -> str:
    return f"{added.tokens:,} tokens and {added.working_bytes / 1e9:.2f} GB"


def _counted(references: int) -> str:
    return "1 reference" if references == 1 else f"{references} references"


def _megapixels(pictures: PictureSizes) -> str:
    return f"{pictures.pixels / len(pictures.sizes) / 1e6:.2g} MP"
