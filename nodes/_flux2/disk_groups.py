"""Groups that wait on disk: their files are written from the checkpoint, group by group, and never taken for another's.

diffusers writes such files itself, but from a module that is in RAM as a whole, and it takes any file of the right name
for its own. Here they are complete before its hooks are put on, which then only read.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Final

import diffusers
import torch
import transformers
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from limner.engine.errors import ModelError
from limner.engine.offload import Offload
from limner.engine.user_path import user_path
from limner.nodes._flux2.group_files import Layout, intact_groups, new_groups, write_groups
from limner.nodes._flux2.offloading import group_part, named_groups, outside_groups, parts, wait_as_nothing
from limner.nodes._flux2.read_stored import read_stored
from limner.nodes._flux2.weights import Stored

_FORMAT: Final = 1
"""To be raised when what is written changes, for the same weights."""

Build = Callable[[], nn.Module]
"""Makes a module on the meta device, but for buffers that no file has."""


def load_on_disk(
    build: Build, stored: Mapping[str, Stored], dtype: torch.dtype, device: str, offload: Offload
) -> nn.Module:
    """A module whose weights are in files, and come one group at a time; no more of them is in RAM, not even now.

    The files stay for the next time. Raises ModelError where they cannot be kept, or are not those of the module.
    """
    module = build()
    _check_names(module, stored)
    folder = _folder(module, stored, dtype, offload)
    layout = intact_groups(folder)
    if layout is None:
        layout = _make_files(folder, build(), stored, dtype, offload)
    with suppress(OSError):
        os.utime(folder)  # the time of its last use, for who clears up
    shapes = {name: tensor.shape for name, tensor in _named_tensors(module)}
    _replace_meta(module, lambda tensor: torch.empty(0, dtype=_as(tensor.dtype, dtype)))
    try:
        for name, part in parts(module):
            group_part(part, device, offload, str(folder / name))
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{folder} is not usable: {error}") from error
    if _layout_of(module, folder) != layout:
        raise ModelError(f"{folder} holds other groups than diffusers makes here", hint="remove that folder")
    check_groups(module)
    names = {id(tensor): name for name, tensor in _named_tensors(module)}
    for _, group in named_groups(module):
        wait_as_nothing(group, {tensor: shapes[names[id(tensor)]] for tensor in group.tensor_to_key})
    for tensor in outside_groups(module):
        if (name := names[id(tensor)]) in stored:
            tensor.data = _read(stored[name], dtype)
    return module.eval()


def check_groups(module: nn.Module) -> None:
    """Raise ModelError where groups wait on disk and their files are not those that were written.

    To be asked when hooks have been put on: what diffusers does not find then, it writes, from tensors without content.
    """
    for folder in {Path(path).parent for _, group in named_groups(module) if (path := group.offload_to_disk_path)}:
        if intact_groups(folder) != _layout_of(module, folder):
            raise ModelError(f"{folder} was removed or changed while it was in use", hint="run again: it is made anew")


def _folder(module: nn.Module, stored: Mapping[str, Stored], dtype: torch.dtype, offload: Offload) -> Path:
    """One folder for all that decides on the bytes and on the way of grouping: none reads what another wrote.

    Of a configuration, that is what is computed from it: the tensors that no file has. Raises ModelError.
    """
    assert offload.disk is not None, "the policy names a disk"
    try:
        paths = {path: str(path.resolve()) for path in {tensor.path for tensor in stored.values()}}
        stamps = sorted((paths[path], path.stat().st_size, path.stat().st_mtime_ns) for path in paths)
    except OSError as error:
        raise ModelError(f"{error.filename} cannot be read: {error.strerror or error}") from error
    tensors = {name: asdict(tensor) | {"path": paths[tensor.path]} for name, tensor in stored.items()}
    computed = {name: _sha256(tensor) for name, tensor in _named_tensors(module) if name not in stored}
    versions = [_FORMAT, diffusers.__version__, transformers.__version__]
    what = [versions, type(module).__name__, str(dtype), offload.level, offload.blocks_per_group, stamps]
    text = json.dumps([what, tensors, computed], sort_keys=True)
    return user_path(offload.disk) / hashlib.sha256(text.encode()).hexdigest()[:24]


def _sha256(tensor: Tensor) -> str:
    return hashlib.sha256(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()).hexdigest()


def _make_files(
    folder: Path, module: nn.Module, stored: Mapping[str, Stored], dtype: torch.dtype, offload: Offload
) -> Layout:
    """Fill the folder, unless somebody else has by now; it is there as a whole or not at all.

    What diffusers calls the files, and what goes into each, is seen from those that it writes of a module whose weights
    have no content.
    """
    computed = {name: tensor.clone() for name, tensor in _named_tensors(module) if name not in stored}
    _replace_meta(module, lambda tensor: torch.empty(0, dtype=_as(tensor.dtype, dtype)))
    plain = offload.model_copy(update={"stream": False, "record_stream": False})
    with new_groups(folder) as made:
        if isinstance(made, dict):
            return made
        for name, part in parts(module):
            group_part(part, "cpu", plain, str(made / name))
        layout = _layout_of(module, made)
        write_groups(made, layout, lambda name: _read(stored[name], dtype) if name in stored else computed[name])
    return layout


def _check_names(module: nn.Module, stored: Mapping[str, Stored]) -> None:
    """Raise ModelError for weights that the module lacks, and for files that lack some of its."""
    wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    files = " and ".join(sorted({tensor.path.name for tensor in stored.values()}))
    for names, what in (
        (wanted.keys() - stored.keys(), "lacks"),
        (stored.keys() - wanted.keys(), "has unknown"),
        ({name for name in wanted.keys() & stored.keys() if wanted[name] != stored[name].shape}, "misfits"),
    ):
        if names:
            raise ModelError(f"{files} {what} weights: {', '.join(sorted(names)[:3])}")


def _named_tensors(module: nn.Module) -> Iterable[tuple[str, Tensor]]:
    return (*module.named_parameters(), *module.named_buffers())


def _replace_meta(module: nn.Module, stand_in: Callable[[Tensor], Tensor]) -> None:
    """Put something in the place of every weight. A tensor of the meta device cannot be given content later."""
    for name, tensor in _named_tensors(module):
        if not tensor.is_meta:
            continue
        owner, _, attribute = name.rpartition(".")
        part = module.get_submodule(owner)
        if isinstance(tensor, nn.Parameter):
            part._parameters[attribute] = nn.Parameter(stand_in(tensor), requires_grad=False)
        else:
            part._buffers[attribute] = stand_in(tensor)


def _as(own: torch.dtype, wanted: torch.dtype) -> torch.dtype:
    """Floats have the wanted precision; counts stay."""
    return wanted if own.is_floating_point else own


def _read(stored: Stored, dtype: torch.dtype) -> Tensor:
    """A tensor as loading gives it: mapped where its precision is the file's, else copied. Raises ModelError."""
    try:
        with safe_open(stored.path, framework="pt") as file:
            tensor = read_stored(file, stored)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{stored.path} cannot be read: {error}") from error
    return tensor.to(_as(tensor.dtype, dtype))


def _layout_of(module: nn.Module, folder: Path) -> Layout:
    """What diffusers will look for in which file. With a stream, it has a group of nothing for its own use."""
    names = {id(tensor): name for name, tensor in _named_tensors(module)}
    return {
        Path(group.safetensors_file_path).relative_to(folder).as_posix(): {
            key: names[id(tensor)] for tensor, key in group.tensor_to_key.items()
        }
        for _, group in named_groups(module)
        if group.tensor_to_key
    }
