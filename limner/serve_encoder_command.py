"""``limner serve-encoder``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from limner.engine.errors import DeviceError, InputError, suggest
from limner.interrupts import INTERRUPTED
from limner.nodes._remote.protocol import DEFAULT_PORT
from limner.nodes.specs import Dtype, Quantization, QuantizationMethod, TextEncoder
from limner.options import DebugOption
from limner.terminal import err, friendly, out

if TYPE_CHECKING:
    from pydantic import SecretStr

    from limner.nodes._remote.protocol import EncoderModel
    from limner.server.encoder.model import Encoder


@friendly
def serve_encoder(
    model: Annotated[
        str, typer.Option("--model", "-m", metavar="SOURCE", help="tiny, a folder in diffusers layout, or a hub id.")
    ] = "tiny",
    revision: Annotated[str | None, typer.Option(metavar="NAME", help="A branch, tag or commit of a hub id.")] = None,
    dtype: Annotated[Dtype, typer.Option(help="Precision of the weights; auto: as stored.")] = "auto",
    quantize: Annotated[QuantizationMethod | None, typer.Option(help="Fewer bits, as the node Quantize.")] = None,
    double_quant: Annotated[
        bool, typer.Option("--double-quant", help="For nf4 and fp4: quantize the scales too.")
    ] = False,
    device: Annotated[
        str, typer.Option("--device", "-d", metavar="NAME", help="Where it computes: cpu, cuda:0, mps.")
    ] = "auto",
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where to listen. Beyond this machine only with a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = DEFAULT_PORT,
    token_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A file that holds the token alone; otherwise [cyan]LIMNER_TOKEN[/]."),
    ] = None,
    queue: Annotated[int, typer.Option(min=0, max=1000, help="Requests that may wait; one more gets a 429.")] = 8,
    timeout_s: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=1, help="How long a request may wait and compute.")
    ] = 300.0,
    debug: DebugOption = False,
) -> None:
    """Serve a text encoder to other machines: the node RemoteEncode is its client.

    The model is loaded at once. Then two lines go to stdout: where the service is, and the identity of its model, which
    a graph may [cyan]expect[/]. Ctrl-C ends it once the requests at hand are answered.

    It speaks plain HTTP and listens on this machine only. For others, forward the port with
    [cyan]ssh -L 8765:127.0.0.1:8765 machine[/], or put a server in front of it that speaks HTTPS, and set a token.
    """
    from limner.server.encoder.serve import serve
    from limner.server.listening import listen

    token = _token(token_file)
    quantization = None if quantize is None else _quantization(quantize, double_quant=double_quant)
    if quantization is None and double_quant:
        raise InputError("--double-quant is for --quantize nf4 and fp4")
    encoder = _encoder(TextEncoder(model, revision, dtype, quantization=quantization), device)
    with listen(host, port, has_token=token is not None) as server:
        err.print(Text(f"loading {encoder.spec} on {encoder.device}"))
        is_ready = serve(encoder, server, token, queue=queue, timeout_s=timeout_s, on_ready=_say_ready)
    if not is_ready:
        raise typer.Exit(INTERRUPTED)


def _say_ready(url: str, model: EncoderModel) -> None:
    err.print(Text(f"{model.source}: {model.dtype}, layers {model.layers}, computed by {model.computed_by}"))
    out.print(f"ready: {url}\nmodel: {model.identity}")
    out.file.flush()


def _token(token_file: Path | None) -> SecretStr | None:
    from limner.nodes._remote.token import DEFAULT_ENV, env_token, read_token

    return read_token(token_file) if token_file is not None else env_token(DEFAULT_ENV)


def _quantization(method: QuantizationMethod, *, double_quant: bool) -> Quantization:
    from limner.nodes.quantize import Quantize

    for setting, message in Quantize(method=method, double_quant=double_quant).problems():
        raise InputError(f"--{'quantize' if setting == 'method' else setting.replace('_', '-')} {message}")
    return Quantization(method, double_quant)


def _encoder(spec: TextEncoder, device: str) -> Encoder:
    """The encoder, not loaded yet. Raises ModelError, DeviceError where it never can be."""
    from limner.engine.memory_plan import usable_bytes
    from limner.engine.pool import ModelPool
    from limner.nodes._flux2.device import find_devices
    from limner.nodes._flux2.on_demand import OnDemandLoader
    from limner.nodes._flux2.source import find, local_folder
    from limner.server.encoder.model import Encoder
    from limner.versions import computing_software

    if local_folder(spec.source) is not None:
        find(spec.source, "text_encoder", spec.revision)
    devices = find_devices()
    if device != "auto" and device not in devices:
        raise DeviceError(f"--device {device}: this machine has no such", hint=suggest(device, ["auto", *devices]))
    pool = ModelPool(OnDemandLoader(), usable_bytes(devices, {}))
    hardware = {name: found.model for name, found in devices.items()}
    return Encoder(spec, devices.default if device == "auto" else device, pool, computing_software(), hardware)
