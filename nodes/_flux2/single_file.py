"""One file with a component's weights: BFL's, ComfyUI's or diffusers' names, read as those of the module. No torch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from limner.engine.errors import ModelError
from limner.nodes._flux2.shapes import Shapes
from limner.nodes._flux2.single_file_names import Names
from limner.nodes._flux2.weights import Stored, read_metadata, read_tensors, shorten

_PREFIXES: Final = ("model.diffusion_model.", "diffusion_model.", "first_stage_model.", "vae.")
"""What ComfyUI and trainers put before every name."""
_SCALES: Final = (".scale_weight", ".weight_scale")
"""ComfyUI's older name, and the one of BFL and newer ComfyUI: what fp8 weights are to be multiplied by."""
_SCALED: Final = "scaled_fp8"
"""ComfyUI's mark of a file whose fp8 weights all have scales; newer ones mark each layer with ``.comfy_quant``."""
_QUANTIZED: Final = "_quantization_metadata"
"""The same in the header of a file."""
_BESIDE: Final = (".scale_input", ".input_scale", ".weight_scale_2", ".comfy_quant", _SCALED)
"""For multiplying in fp8, for 4 bits (which are refused), and marks; weights that are unpacked need none of them."""
FLOATS: Final = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2")


@dataclass(frozen=True)
class Piece(Stored):
    """A tensor of a module, made from one of a file; ``shape`` and ``size_bytes`` are its own."""

    rows: tuple[int, int] = (0, 1)
    """Which of how many equal parts, by rows: BFL keeps query, key and value in one."""
    is_swapped: bool = False
    """Whether its halves change places: BFL's last modulation is (shift, scale), that of diffusers (scale, shift)."""
    scale: str = ""
    """The tensor that it is to be multiplied by, of one number or one a row of the whole; empty for none."""
    scale_shape: tuple[int, ...] = ()


@dataclass(frozen=True)
class _Found:
    """What a file gives a module."""

    pieces: Mapping[str, Stored]
    """By their names in the module."""
    unknown: list[str]
    """Names that belong to nothing."""
    twice: list[str]
    """Names of pieces that another name gives too."""
    unscaled: list[str]
    """Names of fp8 weights that are marked as scaled, and have no scale."""


@dataclass(frozen=True)
class FileLayout:
    """What a file holds, and what it is to hold."""

    path: Path
    tensors: Mapping[str, Stored]
    """By their bare names."""
    names: Names
    expected: Shapes
    """By the names of the module."""

    def pieces(self) -> dict[str, Stored]:
        """Every tensor of the module. Raises ModelError where the file is not exactly that module's weights."""
        found = _find(self)
        for fault in _faults(self.path, found, self.expected):
            raise ModelError(fault, hint="give the base that the file was made for")
        return dict(found.pieces)

    def faults(self) -> Iterator[str]:
        """Everything that makes the file not exactly the module's weights."""
        return _faults(self.path, _find(self), self.expected)

    def share(self) -> float:
        """How much of the module the file has, in the right shapes: 1 where nothing is wrong."""
        pieces = _find(self).pieces
        same = sum(name in pieces and pieces[name].shape == shape for name, shape in self.expected.items())
        return same / len(self.expected)


def read_bare(path: Path) -> dict[str, Stored]:
    """The tensors of a file in safetensors or GGUF by their bare names. Raises ModelError."""
    if path.suffix == ".gguf":
        from limner.nodes._flux2.gguf_file import read_gguf

        tensors = read_gguf(path)
    else:
        tensors = read_tensors(path)
    prefix = next((p for p in _PREFIXES if any(name.startswith(p) for name in tensors)), "")
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}


def _find(file: FileLayout) -> _Found:
    pieces: dict[str, Stored] = {}
    unknown, twice, unscaled = [], [], []
    tensors = file.tensors
    is_scaled = _is_scaled(file)
    for key, tensor in tensors.items():
        if key.endswith((*_SCALES, *_BESIDE)):
            continue
        targets = [key] if key in file.expected else file.names(key)
        scale = next((tensors[s] for s in _scale_names(key) if s in tensors), None)
        twice += [key for target in targets if target in pieces][:1]
        for index, target in enumerate(targets):
            pieces[target] = _piece(tensor, (index, len(targets)), target, scale)
        if not targets:
            unknown.append(key)
        elif scale is None and is_scaled and key.endswith(".weight") and tensor.dtype.startswith("F8"):
            unscaled.append(key)
    unknown += [key for key in tensors if key.endswith(_SCALES) and f"{key.rpartition('.')[0]}.weight" not in tensors]
    return _Found(pieces, unknown, twice, unscaled)


def _is_scaled(file: FileLayout) -> bool:
    """Whether weights in fp8 are scaled: then one without its scale would be another number."""
    if any(key.endswith((*_SCALES, ".comfy_quant", _SCALED)) for key in file.tensors):
        return True
    return file.path.suffix != ".gguf" and _QUANTIZED in read_metadata(file.path)


def _scale_names(key: str) -> Iterator[str]:
    layer, _, kind = key.rpartition(".")
    return (f"{layer}{suffix}" for suffix in _SCALES if kind == "weight")


def _piece(tensor: Stored, rows: tuple[int, int], target: str, scale: Stored | None) -> Piece:
    shape = tensor.shape
    if shape and not shape[0] % rows[1]:
        shape = (shape[0] // rows[1], *shape[1:])
    if len(shape) == 4 and shape[2:] == (1, 1) and ".attentions." in target:
        shape = shape[:2]  # a convolution over one pixel, which diffusers writes as a linear layer
    return Piece(
        tensor.path,
        tensor.key,
        tensor.dtype,
        shape,
        tensor.size_bytes // rows[1],
        rows,
        is_swapped=target.startswith("norm_out.") and tensor.key.rpartition(".")[0].endswith("adaLN_modulation.1"),
        scale="" if scale is None else scale.key,
        scale_shape=() if scale is None else scale.shape,
    )


def _faults(path: Path, file: _Found, expected: Shapes) -> Iterator[str]:
    """All that is wrong, the most telling first: another size of model explains every shape that differs."""
    pieces = file.pieces
    found, wanted = _size(pieces), _size(expected)
    if found[:2] != wanted[:2] and pieces:
        yield f"{path} has {found[0]} double and {found[1]} single blocks, and the base {wanted[0]} and {wanted[1]}"
    if file.unknown:
        yield f"{path} has unknown weights: {shorten(file.unknown)}"
    if file.twice:
        yield f"{path} has weights that another name gives too: {shorten(file.twice)}"
    if file.unscaled:
        yield f"{path} is marked as scaled and lacks the scales of {shorten(file.unscaled)}"
    if missing := [name for name in expected if name not in pieces]:
        yield f"{path} lacks weights: {shorten(missing)}"
    if extra := [name for name in pieces if name not in expected]:
        yield f"{path} has weights that the base has not: {shorten(extra)}"
    plain = {name: piece for name, piece in pieces.items() if _is_readable(path, piece)}
    if packed := [f"{name} ({pieces[name].dtype})" for name in pieces.keys() - plain.keys()]:
        yield f"{path} is quantized in a way that is not read: {shorten(packed)}; take it in bfloat16 or fp8"
    if other := [_differs(n, p, expected[n]) for n, p in plain.items() if n in expected and p.shape != expected[n]]:
        yield f"{path} misfits the base: {shorten(other)}"
    if scales := [_scale_key(piece) for piece in plain.values() if _has_other_scale(piece)]:
        yield f"{path} has scales that are not read: {shorten(set(scales))}"


def _differs(name: str, piece: Stored, shape: tuple[int, ...]) -> str:
    return f"{name} ({'x'.join(map(str, piece.shape))} for {'x'.join(map(str, shape))})"


def _is_readable(path: Path, piece: Stored) -> bool:
    if path.suffix == ".gguf":
        return True  # its reader knows the types
    return piece.dtype in FLOATS or piece.key.endswith("num_batches_tracked")


def _has_other_scale(piece: Stored) -> bool:
    """Whether the scale is neither one number nor one a row: blocks, as of mxfp8 and nvfp4, are not read."""
    if not isinstance(piece, Piece) or not piece.scale:
        return False
    return math.prod(piece.scale_shape) not in (1, piece.shape[0] * piece.rows[1])


def _scale_key(piece: Stored) -> str:
    return piece.scale if isinstance(piece, Piece) else ""


def _size(names: Mapping[str, object]) -> tuple[int, int]:
    """How many double and single blocks."""
    parts = [name.split(".") for name in names]
    double = {part[1] for part in parts if part[0] == "transformer_blocks"}
    return len(double), len({part[1] for part in parts if part[0] == "single_transformer_blocks"})
