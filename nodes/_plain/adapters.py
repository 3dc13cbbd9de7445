"""The LoRAs of a pipeline: loaded where they are first needed, switched where the next call needs others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from limner.nodes._flux2.hub_file import HubFile
from limner.nodes._flux2.lora_file import lora_source
from limner.nodes._flux2.weights import read_tensors
from limner.nodes._plain.literal import call, literal
from limner.nodes._plain.script import Script, identifier
from limner.nodes.specs import LoRA


class Adapters:
    """What is on the transformer at this point of the script."""

    def __init__(self, script: Script, pipe: str) -> None:
        self._script = script
        self._pipe = pipe
        self._loaded: dict[tuple[str, str, int], str] = {}
        self._active: tuple[LoRA, ...] = ()
        self._was_on = False

    def set(self, loras: Sequence[LoRA]) -> None:
        """Write what brings the transformer from the LoRAs that it has to these. Those of weight 0 add nothing."""
        wanted = tuple(lora for lora in loras if lora.weight)
        if wanted == self._active:
            return
        lines: list[str] = []
        names: list[str] = []
        for index, lora in enumerate(wanted):
            same = sum((one.path, one.revision) == (lora.path, lora.revision) for one in wanted[:index])
            key = lora.path, lora.revision, same
            if key not in self._loaded:
                self._loaded[key] = self._new_name(lora)
                lines.append(self._load(lora, self._loaded[key]))
            names.append(self._loaded[key])
        if not wanted:
            lines.append(f"{self._pipe}.disable_lora()")
        else:
            if self._was_on and not self._active:
                lines.append(f"{self._pipe}.enable_lora()")
            weights = [
                self._script.constant("lora_weight", lora.weight, of=name)
                for lora, name in zip(wanted, names, strict=True)
            ]
            lines.append(f"{self._pipe}.set_adapters({literal(names)}, [{', '.join(weights)}])")
        self._script.add(*lines)
        self._active, self._was_on = wanted, True

    def _new_name(self, lora: LoRA) -> str:
        wanted = candidate = identifier(lora.name)
        number = 2
        while candidate in self._loaded.values():
            candidate, number = f"{wanted}_{number}", number + 1
        return candidate

    def _load(self, lora: LoRA, adapter: str) -> str:
        source, script = lora_source(lora.path), self._script
        if isinstance(source, HubFile):
            arguments = [script.constant("lora", source.repo, of=adapter)]
            arguments += [f"weight_name={literal(source.path)}"] if source.path else []
            arguments += [f"revision={literal(lora.revision)}"] if lora.revision else []
        else:
            arguments = [script.constant("lora", str(source), of=adapter)]
            if _is_scaled(source):
                script.warnings.append(
                    f"{source}: Limner folds its alpha into the weights, diffusers multiplies with it"
                )
        return call(f"{self._pipe}.load_lora_weights", *arguments, f"adapter_name={literal(adapter)}")


def _is_scaled(path: Path) -> bool:
    """Whether a file brings an alpha of its own. Where there is none, it counts 1 in both."""
    return any(name.endswith(".alpha") for name in read_tensors(path))
