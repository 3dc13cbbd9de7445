"""Groups that wait on disk: their files are written from the checkpoint, group by group, and never taken for another's.

diffusers writes such files itself, but from a module that is in RAM as a whole, and it takes any file of the right name
for its own. Here they are complete before its hooks are put on, which then only read.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import diffusers
import torch
from safetensors import safe_open
from torch import Tensor, nn

from limner.engine.errors import ModelError
from limner.engine.offload import Offload
from limner.engine.user_path import user_path
from limner.nodes._flux2.group_files import Layout, intact_groups, write_groups
from limner.nodes._flux2.offloading import group_part, named_groups, outside_groups, parts
from limner.nodes._flux2.read_stored import read_stored
from limner.nodes._flux2.weights import Stored

_STALE_S: Final = 24 * 3600.0
"""How old an unfinished folder is when it is taken for what a process left that is gone."""

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
    _replace_meta(module, lambda tensor: torch.empty(tensor.shape, dtype=_as(tensor.dtype, dtype)))
    for name, part in parts(module):
        group_part(part, device, offload, str(folder / name))
    if _layout_of(module, folder) != layout:
        raise ModelError(f"{folder} holds other groups than diffusers makes here", hint="remove that folder")
    names = {id(tensor): name for name, tensor in _named_tensors(module)}
    for tensor in outside_groups(module):
        if (name := names[id(tensor)]) in stored:
            tensor.data = _read(stored[name], dtype)
    return module.eval()


def _folder(module: nn.Module, stored: Mapping[str, Stored], dtype: torch.dtype, offload: Offload) -> Path:
    """One folder for every class, source, precision and way of grouping: none reads what another wrote."""
    assert offload.disk is not None, "the policy names a disk"
    files = sorted({tensor.path for tensor in stored.values()})
    try:
        stamps = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    except OSError as error:
        raise ModelError(f"{error.filename} cannot be read: {error.strerror or error}") from error
    what = [type(module).__name__, stamps, str(dtype), offload.level, offload.blocks_per_group, diffusers.__version__]
    return user_path(offload.disk) / hashlib.sha256(json.dumps(what).encode()).hexdigest()[:24]


def _make_files(
    folder: Path, module: nn.Module, stored: Mapping[str, Stored], dtype: torch.dtype, offload: Offload
) -> Layout:
    """Fill the folder; it is there as a whole or not at all. What diffusers calls the files, and what goes into each,
    is seen from those that it writes of a module whose weights have no content.
    """
    computed = {name: tensor.clone() for name, tensor in _named_tensors(module) if name not in stored}
    _replace_meta(module, lambda tensor: torch.empty(0, dtype=_as(tensor.dtype, dtype)))
    plain = offload.model_copy(update={"stream": False, "record_stream": False})
    with _unfinished(folder) as made:
        for name, part in parts(module):
            group_part(part, "cpu", plain, str(made / name))
        layout = _layout_of(module, made)
        write_groups(made, layout, lambda name: _read(stored[name], dtype) if name in stored else computed[name])
    return layout


@contextmanager
def _unfinished(folder: Path) -> Iterator[Path]:
    """A folder to fill, which takes its name when it is complete. Raises ModelError where the disk refuses."""
    made = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_left_over(folder)
        made = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", suffix=".part", dir=folder.parent))
        yield made
        shutil.rmtree(folder, ignore_errors=True)  # what was there is broken
        made.rename(folder)
    except OSError as error:
        raise ModelError(
            f"groups of layers cannot be kept in {folder.parent}: {error.strerror or error}",
            hint="make room there, or name another folder under offload.disk",
        ) from error
    finally:
        if made is not None:
            shutil.rmtree(made, ignore_errors=True)


def _remove_left_over(folder: Path) -> None:
    for left in folder.parent.glob(f"{folder.name}.*.part"):
        if time.time() - left.stat().st_mtime > _STALE_S:
            shutil.rmtree(left, ignore_errors=True)


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
    """A tensor as loading gives it: mapped where its precision is the file's, else copied."""
    with safe_open(stored.path, framework="pt") as file:
        tensor = read_stored(file, stored)
    return tensor.to(_as(tensor.dtype, dtype))


def _layout_of(module: nn.Module, folder: Path) -> Layout:
    """What diffusers will look for in which file."""
    names = {id(tensor): name for name, tensor in _named_tensors(module)}
    return {
        Path(group.safetensors_file_path).relative_to(folder).as_posix(): {
            key: names[id(tensor)] for tensor, key in group.tensor_to_key.items()
        }
        for _, group in named_groups(module)
    }
