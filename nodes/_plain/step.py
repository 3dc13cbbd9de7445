"""One node as its emitter sees it, and what travels on the wires of a script."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from limner.engine.node import Node
from limner.engine.offload import Offload
from limner.nodes._plain.pipelines import Pipelines
from limner.nodes._plain.script import Script
from limner.nodes.specs import VAE, TextEncoder, Transformer


@dataclass(frozen=True)
class Known:
    """A value that needs no computing, under the name of its constant."""

    value: Any
    code: str


@dataclass(frozen=True)
class Pictures:
    """An expression that gives a list of PIL pictures."""

    code: str
    count: int


@dataclass(frozen=True)
class Step:
    """A node, its inputs as the emitters before it gave them, and the script that it adds to."""

    id: str
    node: Node
    inputs: Mapping[str, Any]
    """By port; a list where several wires are taken."""
    wired: Mapping[str, Known]
    """Settings that come from other nodes."""
    device: str
    offload: Offload
    script: Script
    pipelines: Pipelines

    def constant(self, setting: str, name: str = "", note: str = "", value: Any = None) -> str:
        """How the script calls a setting; ``value`` is what it comes to, where the setting leaves that open."""
        if setting in self.wired:
            return self.wired[setting].code
        value = getattr(self.node, setting) if value is None else value
        return self.script.constant(name or setting, value, note, of=self.id)


@dataclass(frozen=True)
class Emitter:
    """What writes the nodes of one type.

    ``settings`` and ``inputs`` are those that it knows. A node that uses another is refused, so that what is added to
    a node type later is never left out in silence.
    """

    emit: Callable[[Step], tuple[Any, ...]]
    settings: frozenset[str] = frozenset()
    inputs: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Prompt:
    """A prompt that is to be encoded."""

    step: Step
    text_encoder: TextEncoder
    prompt: str

    @property
    def negative(self) -> str | None:
        """The negative one, where there is one; a constant only of scripts that use it."""
        is_given = "negative_prompt" in self.step.wired or vars(self.step.node)["negative_prompt"]
        return self.step.constant("negative_prompt") if is_given else None


@dataclass(frozen=True)
class References:
    """Pictures that are to be encoded."""

    step: Step
    vae: VAE
    pictures: Pictures


@dataclass(frozen=True)
class Drawing:
    """Latents: a call of a pipeline that is still to be written, because it decodes as well."""

    step: Step
    transformer: Transformer
    prompt: Prompt
    references: References | None
