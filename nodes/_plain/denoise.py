"""Denoise and VAEDecode: together they are one call of a pipeline."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from limner.nodes._plain.literal import call, literal
from limner.nodes._plain.pipelines import Models, Pipeline, check_models
from limner.nodes._plain.script import NoPlainForm
from limner.nodes._plain.step import Drawing, Emitter, Pictures, Prompt, Step
from limner.nodes.specs import VAE

_STOCK_LAYERS = {"dev": (10, 20, 30), "klein": (9, 18, 27)}
_STOCK_LENGTH = 512


def denoise(step: Step) -> tuple[Drawing]:
    """What is to be drawn; the call is written where it is decoded."""
    return (Drawing(step, step.inputs["transformer"], step.inputs["conditioning"], step.inputs.get("references")),)


def decode(step: Step) -> tuple[Pictures]:
    """Write the call of a pipeline."""
    drawing: Drawing = step.inputs["latent"]
    pipe = _pipeline(step, step.inputs["vae"], drawing)
    pipe.adapters.set(drawing.transformer.loras)
    count: int = vars(drawing.step.node)["batch"]
    pictures = step.script.name("images")
    arguments = [*_prompt(drawing, pipe), *_size(drawing, pipe), *_noise(drawing, count)]
    if not pipe.decodes_apart:
        step.script.add(f"{pictures} = {call(pipe.name, *arguments)}.images")
        return (Pictures(pictures, count),)
    latents = call(pipe.name, *arguments, 'output_type="latent"')
    step.script.add(
        f"latents = {latents}.images",
        "with torch.no_grad():  # in the precision of the VAE",
        f"    pixels = {pipe.name}.vae.decode(latents.to({pipe.name}.vae.dtype), return_dict=False)[0]",
        f"{pictures} = {pipe.name}.image_processor.postprocess(pixels)",
    )
    return (Pictures(pictures, count),)


def _pipeline(step: Step, vae: VAE, drawing: Drawing) -> Pipeline:
    """The pipeline that draws. Raises NoPlainForm where the models would not be one."""
    prompt, references = drawing.prompt, drawing.references
    check_models(prompt.text_encoder, drawing.transformer.base, vae, step.device)
    if len({one.device for one in (drawing.step, step, *([references.step] if references else []))}) > 1:
        raise NoPlainForm("transformer and VAE compute on different devices")
    if references and (references.vae, references.step.offload) != (vae, step.offload):
        raise NoPlainForm("references are encoded by another VAE, or offloaded in another way")
    offload = (prompt.step.offload, drawing.step.offload, step.offload)
    attention: str = vars(drawing.step.node)["attention"]
    text_encoder = prompt.text_encoder if prompt.step.device == step.device else None
    return step.pipelines.get(Models(text_encoder, drawing.transformer.base, vae, step.device, offload, attention))


def _prompt(drawing: Drawing, pipe: Pipeline) -> list[str]:
    """The prompt; encoded before, where that is done on another device."""
    prompt, step = drawing.prompt, drawing.prompt.step
    reading = _reading(prompt, pipe)
    is_guided = _is_guided(drawing, pipe)
    if pipe.models.text_encoder is not None:
        arguments = [f"prompt={prompt.prompt}", *reading]
        if is_guided and (negative := prompt.negative) is not None:
            arguments.append(f"negative_prompt_embeds={_encoded(step, pipe, negative, reading)}")
        return arguments
    apart = step.pipelines.get(Models(prompt.text_encoder, None, None, step.device, (step.offload,) * 3))
    device = step.script.constant("device", pipe.models.device)
    arguments = [f"prompt_embeds={_encoded(step, apart, prompt.prompt, reading)}.to({device})"]
    if is_guided:
        negative = _encoded(step, apart, prompt.negative or literal(""), reading)
        arguments.append(f"negative_prompt_embeds={negative}.to({device})")
    return arguments


def _is_guided(drawing: Drawing, pipe: Pipeline) -> bool:
    """Whether the model reads a negative prompt as well."""
    known = pipe.models.checkpoint
    guidance = vars(drawing.step.node)["guidance"]
    strength = known.settings.defaults.guidance if guidance is None else guidance
    return known.index.family == "klein" and not known.index.is_distilled and bool(strength > 1)


def _reading(prompt: Prompt, pipe: Pipeline) -> list[str]:
    """How the text encoder is read, where that is not the pipeline's default."""
    step, index, text = prompt.step, pipe.models.checkpoint.index, pipe.models.checkpoint.settings.text
    length = vars(step.node)["max_length"]
    arguments = []
    if "max_length" in step.wired or (length or text.max_sequence_length) != _STOCK_LENGTH:
        note = "" if length else "tokens; what this model was trained with"
        name = step.constant("max_length", "max_sequence_length", note, length or text.max_sequence_length)
        arguments.append(f"max_sequence_length={name}")
    if text.out_layers != _STOCK_LAYERS[index.family]:
        note = "whose hidden states this model reads"
        layers = step.script.constant("text_encoder_out_layers", text.out_layers, note)
        arguments.append(f"text_encoder_out_layers={layers}")
    return arguments


def _encoded(step: Step, pipe: Pipeline, prompt: str, reading: Sequence[str]) -> str:
    """Write the encoding of a prompt; gives the name of what comes of it."""
    name = step.script.name("prompt_embeds" if prompt == step.constant("prompt") else "negative_prompt_embeds")
    encode = call(f"{pipe.name}.encode_prompt", f"prompt={prompt}", *reading)
    step.script.add("with torch.no_grad():", textwrap.indent(f"{name}, _ = {encode}", "    "))
    return name


def _size(drawing: Drawing, pipe: Pipeline) -> list[str]:
    """References, and the size where the first of them does not give it."""
    own, arguments = pipe.models.checkpoint.settings.defaults, []
    if drawing.references is not None:
        arguments.append(f"image={drawing.references.pictures.code}")
    for side in ("width", "height"):
        value = vars(drawing.step.node)[side]
        if value is not None or drawing.references is None:
            arguments.append(f"{side}={drawing.step.constant(side, value=value or getattr(own, side))}")
    return [*arguments, *_sampling(drawing, pipe)]


def _sampling(drawing: Drawing, pipe: Pipeline) -> list[str]:
    step, known = drawing.step, pipe.models.checkpoint
    own, index = known.settings.defaults, known.index
    node: dict[str, Any] = vars(step.node)
    steps = step.constant("steps", value=own.steps if node["steps"] is None else None)
    if index.is_distilled:
        return [f"num_inference_steps={steps}", "guidance_scale=1.0"]  # it would only warn of another
    guidance = step.constant("guidance", value=own.guidance if node["guidance"] is None else None)
    return [f"num_inference_steps={steps}", f"guidance_scale={guidance}"]


def _noise(drawing: Drawing, count: int) -> list[str]:
    """Generators of the CPU, so that a seed is the same noise on every device; one a picture."""
    step, seed = drawing.step, drawing.step.constant("seed")
    if count == 1 and "batch" not in step.wired:
        return [f"generator={_generator(seed)}"]
    batch = step.constant("batch")
    return [
        f"num_images_per_prompt={batch}",
        f"generator=[{_generator(f'{seed} + number')} for number in range({batch})]",
    ]


def _generator(seed: str) -> str:
    return f"torch.Generator({literal('cpu')}).manual_seed({seed})"


DENOISE = Emitter(
    denoise,
    frozenset({"steps", "guidance", "seed", "batch", "width", "height", "attention"}),
    frozenset({"transformer", "conditioning", "references"}),
)
VAE_DECODE = Emitter(decode, frozenset(), frozenset({"vae", "latent"}))
