"""Reading one plain tensor that ``torch.save`` wrote, and refusing everything else that such a file may be."""

from __future__ import annotations

import io
import pickletools
import warnings
import zipfile
from typing import Final

import torch
from torch import Tensor

_GLOBALS: Final = frozenset(
    {
        "collections OrderedDict",
        "torch BFloat16Storage",
        "torch FloatStorage",
        "torch HalfStorage",
        "torch._utils _rebuild_tensor_v2",
    }
)
"""All that the pickle of a tensor of floats names. torch allows more, among that what takes memory without end."""
_UNUSED: Final = frozenset({"STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4", "LONG_BINPUT", "PUT"})
"""Other ways to name something, and to ask for a long memory, which such a pickle does not use."""
MAX_PICKLE_BYTES: Final = 16 << 10
MAX_FILES: Final = 32


def read_tensor(content: bytes, max_bytes: int) -> Tensor:
    """The tensor of a blob, contiguous, on the CPU. Raises ValueError where the blob holds anything else.

    Nothing of it is run, and no more than ``max_bytes`` are unpacked.
    """
    archive = _checked_copy(content, max_bytes)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tensor = torch.load(archive, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever the broken part of a file leads to
        raise ValueError(f"torch cannot read it: {type(error).__name__}") from None
    if type(tensor) is not Tensor or tensor.layout is not torch.strided or tensor.device.type != "cpu":
        raise ValueError("it holds no plain tensor")
    if tensor.numel() * tensor.element_size() > max_bytes:  # a view may be larger than what it looks at
        raise ValueError(f"its tensor is larger than {max_bytes} bytes")
    return tensor.detach().contiguous()


def _checked_copy(content: bytes, max_bytes: int) -> io.BytesIO:
    """The archive written anew from what was looked at, so that torch cannot read another part of it than was checked.

    Raises ValueError for no archive, packed or many files, and a pickle that names what is no tensor's.
    """
    copy = io.BytesIO()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(copy, "w", zipfile.ZIP_STORED) as new:
            files = archive.infolist()
            names = {file.filename.lower() for file in files}  # torch finds names in any case
            if not len(names) == len(files) <= MAX_FILES or any(f.compress_type != zipfile.ZIP_STORED for f in files):
                raise ValueError("it is packed, or of many files")
            if sum(file.file_size for file in files) > max_bytes + MAX_PICKLE_BYTES:
                raise ValueError(f"it holds more than {max_bytes} bytes")
            pickles = [file for file in files if file.filename.lower().endswith(".pkl")]
            if len(pickles) != 1 or pickles[0].file_size > MAX_PICKLE_BYTES:
                raise ValueError("it is not one saved tensor")
            _check_pickle(archive.read(pickles[0]))
            for file in files:
                new.writestr(file.filename, archive.read(file))
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"it is not what torch.save writes: {type(error).__name__}") from None
    copy.seek(0)
    return copy


def _check_pickle(content: bytes) -> None:
    """Look at the instructions without following them. Raises ValueError for any that a plain tensor does not need."""
    for code, argument, _ in pickletools.genops(content):
        if code.name == "GLOBAL" and argument not in _GLOBALS:
            raise ValueError(f"it names {argument!r}, which no embedding needs")
        if code.name in _UNUSED:
            raise ValueError(f"it uses {code.name}, which no embedding needs")
