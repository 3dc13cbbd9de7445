"""What a GGUF file says of its tensors, through the package ``gguf``, which is optional. Imports no torch."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from limner.engine.errors import ModelError
from limner.nodes._flux2.weights import Stored


def read_gguf(path: Path) -> dict[str, Stored]:
    """The tensors of a file, from its header, with GGML's names of types. Raises ModelError."""
    return {
        tensor.name: Stored(
            path,
            tensor.name,
            tensor.tensor_type.name,
            tuple(int(size) for size in reversed(tensor.shape)),  # GGML counts from the innermost
            int(tensor.n_bytes),
        )
        for tensor in open_gguf(path).tensors
    }


def open_gguf(path: Path) -> Any:
    """A reader of a file, which maps it and reads no weight. Raises ModelError."""
    if find_spec("gguf") is None:
        raise ModelError(f"{path} needs gguf to be read", hint='pip install "limner[gguf]"')
    from gguf import GGUFReader

    try:
        return GGUFReader(path)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, IndexError, TypeError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} is not GGUF: {error}", hint="download the file again") from error
