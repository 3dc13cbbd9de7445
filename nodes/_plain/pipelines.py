"""The pipelines of a script: one for each set of models, with its quantization, LoRAs and offloading."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from limner.engine.offload import NONE, Offload
from limner.nodes._flux2.known import KnownComponent, known
from limner.nodes._flux2.source import local_folder
from limner.nodes._plain.adapters import Adapters
from limner.nodes._plain.literal import call, literal
from limner.nodes._plain.offloading import offload_lines
from limner.nodes._plain.quantized import quantized_loading
from limner.nodes._plain.script import NoPlainForm, Script
from limner.nodes.specs import VAE, Flux2Spec, Quantizable, TextEncoder, Transformer

CLASSES: Final = {"dev": "Flux2Pipeline", "klein": "Flux2KleinPipeline"}
_COMPONENTS: Final = ("text_encoder", "transformer", "vae")
_COMMIT: Final = re.compile(r"hub:.*@([0-9a-f]{40})")


@dataclass(frozen=True)
class Models:
    """What a pipeline is made of, and where it computes."""

    text_encoder: TextEncoder | None
    transformer: Transformer | None
    """Without LoRAs: these come and go."""
    vae: VAE | None
    device: str
    offload: tuple[Offload, Offload, Offload]
    """Of text encoder, transformer and VAE."""
    attention: str = ""

    @property
    def parts(self) -> tuple[Flux2Spec[Any], ...]:
        """Those that it has."""
        return tuple(part for part in (self.text_encoder, self.transformer, self.vae) if part is not None)

    @property
    def absent(self) -> list[str]:
        """What the pipeline is told to do without."""
        left_out = [name for name in ("text_encoder", "transformer", "vae") if getattr(self, name) is None]
        return [*left_out, *(["tokenizer"] if self.text_encoder is None else [])]

    @property
    def dtypes(self) -> dict[str, str]:
        """The precision of each, in torch's words."""
        return {part.component: known(part).dtype(part, self.device) for part in self.parts}

    @property
    def checkpoint(self) -> KnownComponent:
        """What is known of the model that they are of. Raises ModelError."""
        return known(self.parts[0])


@dataclass(frozen=True)
class Pipeline:
    """A pipeline that the script has."""

    name: str
    models: Models
    adapters: Adapters = field(compare=False)

    @property
    def decodes_apart(self) -> bool:
        """Whether the VAE has another precision than the latents, which the pipeline does not bring together."""
        return len({self.models.dtypes[name] for name in ("transformer", "vae")}) > 1


class Pipelines:
    """Writes the loading of each pipeline where it is first needed."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._made: dict[Models, Pipeline] = {}

    def get(self, models: Models) -> Pipeline:
        """The pipeline of these models. Raises NoPlainForm for a policy of offloading, ModelError."""
        if models not in self._made:
            name = self._script.name("pipe" if models.transformer is not None else "text_pipe")
            self._load(name, models)
            self._made[models] = Pipeline(name, models, Adapters(self._script, name))
        return self._made[models]

    def _load(self, name: str, models: Models) -> None:
        script = self._script
        cls = CLASSES[models.checkpoint.index.family]
        script.use("torch")
        script.use("diffusers", cls)
        source = model_arguments(script, models.parts[0])
        given = [f"{absent}=None" for absent in models.absent]
        given += [
            f"{part.component}={quantized_loading(script, part, source, models.device)}"
            for part in models.parts
            if isinstance(part, Quantizable) and (part.quantization or known(part).quantization)
        ]
        lines = [f"{name} = " + call(f"{cls}.from_pretrained", *source, *given, _dtypes(models.dtypes))]
        if models.attention:
            attention = script.constant("attention", models.attention)
            lines.append(f"{name}.transformer.set_attention_backend({attention})")
        policies: dict[str, Offload] = {
            part.component: models.offload[_COMPONENTS.index(part.component)] for part in models.parts
        }
        script.add(*lines, *offload_lines(script, name, models.device, policies))


def model_arguments(script: Script, spec: Flux2Spec[Any]) -> list[str]:
    """How ``from_pretrained`` is told of a source."""
    folder, note = local_folder(spec.source), ""
    if spec.source == "tiny":
        note = "the model inside Limner: copy the folder to where Limner is not installed"
    arguments = [script.constant("model", spec.source if folder is None else str(folder), note)]
    commit = _COMMIT.fullmatch(spec.identity)
    if folder is None and (revision := spec.revision or (commit[1] if commit else None)):
        arguments.append(f"revision={script.constant('revision', revision)}")
    return arguments


def _dtypes(dtypes: Mapping[str, str]) -> str:
    if len(set(dtypes.values())) == 1:
        return f"dtype=torch.{next(iter(dtypes.values()))}"
    inside = ", ".join(f"{literal(name)}: torch.{dtype}" for name, dtype in dtypes.items())
    return f"dtype={{{inside}}}"


def check_models(text_encoder: TextEncoder, transformer: Transformer, vae: VAE, device: str) -> None:
    """Raise NoPlainForm for models that no stock pipeline takes together."""
    models = Models(text_encoder, transformer, vae, device, (NONE, NONE, NONE))
    if len({(part.source, part.revision) for part in models.parts}) > 1:
        raise NoPlainForm("text encoder, transformer and VAE are not of one model")
    if any(part.file is not None for part in models.parts):
        raise NoPlainForm("a model of a single file is read by Limner's own code")
    precision = models.dtypes
    is_dev = models.checkpoint.index.family == "dev"
    if precision["text_encoder"] != precision["transformer"] or (
        is_dev and precision["vae"] != precision["transformer"]
    ):
        found = ", ".join(f"{name} {dtype}" for name, dtype in precision.items())
        raise NoPlainForm(f"a stock pipeline has one precision, and this is {found}", hint="set dtype in LoadModel")
