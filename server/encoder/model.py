"""The text encoder behind the service: loaded once, described, and asked for one request at a time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from limner.engine.errors import Cancelled
from limner.engine.keys import what_computes
from limner.engine.models import Models, Report
from limner.nodes._flux2.source import identify
from limner.nodes._remote.protocol import EncodeRequest, EncoderModel, TensorDtype
from limner.nodes.specs import TextEncoder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from limner.nodes._flux2.live import LiveTextEncoder


@dataclass
class Encoder:
    """A text encoder that answers requests. Its methods block: they are called in a thread, one at a time."""

    spec: TextEncoder
    device: str
    models: Models
    software: Mapping[str, str] = field(default_factory=dict)
    hardware: Mapping[str, str] = field(default_factory=dict)
    """The model of each device, by name."""

    def load(self, report: Report) -> EncoderModel:
        """Load, encode once to warm up, and say what encodes. Raises ModelError, DeviceError, Cancelled."""
        with self.models.hold(self.spec, self.device, report) as live:
            return self._describe(live, self._encode(live, "", None))

    def answer(self, request: EncodeRequest, model: EncoderModel, is_abandoned: Callable[[], bool]) -> bytes:
        """The body of the answer. Each prompt is encoded by itself, so that a batch is equal to single ones.

        Raises Cancelled between two prompts where nobody waits for the answer any more.
        """
        from limner.nodes._flux2.encoded import dump_encoded
        from limner.nodes._flux2.prompt_length import find_cut

        texts = [*request.prompts, *([request.negative_prompt] if model.uses_negative else [])]
        tensors = []
        with self.models.hold(self.spec, self.device) as live:
            for text in texts:
                if is_abandoned():
                    raise Cancelled
                tensors.append(self._encode(live, text, request.max_length))
            cuts = [find_cut(live, text, request.max_length) for text in texts]
        count = len(request.prompts)
        return dump_encoded(tensors[:count], tensors[count] if model.uses_negative else None, model, cuts)

    def _encode(self, live: LiveTextEncoder, text: str, max_length: int | None) -> Tensor:
        from limner.nodes._flux2.text import encode_prompt

        return encode_prompt(live, text, max_length, self.device)

    def _describe(self, live: LiveTextEncoder, sample: Tensor) -> EncoderModel:
        """What encodes, with the shape and the dtype as they came out."""
        _, length, width = sample.shape
        quantization = self.spec.quantization
        facts: dict[str, Any] = {
            "computed_by": what_computes(self.device, self.software, self.hardware),
            "dtype": cast("TensorDtype", str(sample.dtype).removeprefix("torch.")),
            "layers": list(live.settings.out_layers),
            "width": width,
            "max_length": length,
            "uses_negative": live.uses_negative,
        }
        hidden = {
            "weights": identify(self.spec.source, self.spec.revision),
            "precision": self.spec.dtype,
            "quantization": None if quantization is None else asdict(quantization),
        }
        digest = hashlib.sha256(json.dumps(facts | hidden, sort_keys=True).encode()).hexdigest()
        return EncoderModel(protocol=1, identity=f"sha256:{digest}", source=_name(self.spec), **facts)


def _name(spec: TextEncoder) -> str:
    """What the model is called, without where it lies on this machine."""
    source = spec.source
    name = source if source == "tiny" or not Path(source).expanduser().is_dir() else Path(source).resolve().name
    return name[:200] + (f" in {spec.quantization.method}" if spec.quantization is not None else "")
