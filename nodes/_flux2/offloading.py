"""Where the weights of a live module wait: the hooks of diffusers and accelerate, put on once, when it is loaded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import torch
from accelerate import cpu_offload_with_hook  # type: ignore[import-untyped]  # it has no types
from accelerate.hooks import CpuOffload, UserCpuOffloadHook, remove_hook_from_module  # type: ignore[import-untyped]  # likewise
from bitsandbytes.nn.modules import Linear4bit
from diffusers.hooks import group_offloading
from diffusers.hooks.hooks import HookRegistry, ModelHook
from diffusers.models.autoencoders.autoencoder_kl_flux2 import AutoencoderKLFlux2
from torch import Tensor, nn

from limner.engine.footprint import Footprint
from limner.engine.offload import Offload
from limner.nodes._flux2.size import module_bytes, tensors_bytes

_VAE_PARTS: Final = ("encoder", "decoder", "quant_conv", "post_quant_conv")
"""What of a VAE is called as a module. ``encode`` and ``decode`` pass by its own ``forward``, where diffusers' hook for
whatever is in no block would be, and its statistics are read without any call: they stay where they are."""
_STATE_HOOK: Final = "quantization_state"
_groups: Any = group_offloading


def put_hooks(module: nn.Module, device: str, offload: Offload) -> None:
    """Let the weights of a module wait as its policy says. They are where it was loaded, and leave that place now."""
    if offload.mode in ("model", "group"):
        remove_hook_from_module(module, recurse=True)  # what loading leaves on bitsandbytes' models, to keep them there
    if offload.mode == "model":
        cpu_offload_with_hook(module, torch.device(device))
    elif offload.mode == "group":
        for _, part in parts(module):
            group_part(part, device, offload)
        for layer in module.modules() if torch.device(device).type != "cpu" else ():
            if isinstance(layer, Linear4bit):
                HookRegistry.check_if_exists_or_initialize(layer).register_hook(_StateFollows(device), _STATE_HOOK)


def parts(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """What group offloading is applied to, each for itself."""
    if isinstance(module, AutoencoderKLFlux2):
        for name in _VAE_PARTS:
            if (part := getattr(module, name, None)) is not None:
                yield name, part
    else:
        yield "all", module


def group_part(part: nn.Module, device: str, offload: Offload, folder: str | None = None) -> None:
    """Put diffusers' group offloading on a part. With ``folder``, groups wait in files there."""
    _groups.apply_group_offloading(
        part,
        onload_device=torch.device(device),
        offload_device=torch.device("cpu"),
        offload_type=f"{offload.level}_level",
        num_blocks_per_group=offload.blocks_per_group if offload.level == "block" else None,
        use_stream=offload.stream,
        record_stream=offload.record_stream,
        low_cpu_mem_usage=offload.low_cpu_mem,
        offload_to_disk_path=folder,
    )
    part.register_forward_hook(_leave_after_error, always_call=True)


def wait_as_nothing(group: Any, shapes: Mapping[Tensor, torch.Size]) -> None:
    """Let the tensors of a group whose file is complete wait without memory: a shape and a dtype, and one number.

    diffusers puts an empty tensor of full size in the place of each. It is never written to, but it is allocated: all
    of them together are as large as the model, and those that malloc puts between other blocks keep it from reusing or
    giving back what is around them.
    """
    stand_ins = {tensor: torch.zeros((), dtype=tensor.dtype).expand(shape) for tensor, shape in shapes.items()}

    def let_go() -> None:
        if group.stream is not None and not group.record_stream:  # what computes may still read the tensors
            group._torch_accelerator_module.current_stream().synchronize()
        for tensor, stand_in in stand_ins.items():
            tensor.data = stand_in

    group._offload_to_disk = let_go
    let_go()


@contextmanager
def hooks_anew(module: nn.Module) -> Iterator[None]:
    """A block in which diffusers may put its hooks on a module anew; what waits on disk waits as before at its end.

    In it, what waits is as diffusers left it: it saves tensors whose file it does not find, and only whole ones.
    """
    for group in _on_disk(module):
        for tensor in group.tensor_to_key:
            tensor.data = torch.empty_like(tensor.data)
    try:
        yield
    finally:
        for group in _on_disk(module):
            wait_as_nothing(group, {tensor: tensor.shape for tensor in group.tensor_to_key})


def _on_disk(module: nn.Module) -> Iterator[Any]:
    return (group for _, group in named_groups(module) if group.offload_to_disk_path)


def place(module: nn.Module, device: str) -> None:
    """Move a module with the hook of ``model``: to the device that it computes on, or to wait on the CPU."""
    hook: Any = module._hf_hook
    assert isinstance(hook, CpuOffload), "put on when it was loaded"
    if device == "cpu":
        UserCpuOffloadHook(module, hook).offload()
    else:
        hook.pre_forward(module)


def regroup(module: nn.Module) -> None:
    """Make layers that were added to a module part of its groups: adapters, which have just been put on.

    Groups that wait on disk are left as they are: their files hold the base. What was added goes to the device.
    """
    if (hook := _groups._get_top_level_group_offload_hook(module)) is None:
        return
    if hook.config.offload_to_disk_path is None:
        _groups._maybe_remove_and_reapply_group_offloading(module)
        return
    for tensor in outside_groups(module):
        tensor.data = tensor.data.to(hook.config.onload_device)


def footprint(module: nn.Module, device: str, offload: Offload) -> Footprint:
    """What a module takes of each device, waiting and held."""
    if offload.mode != "group":
        return Footprint.of(module_bytes(module), device, offload)
    outside = tensors_bytes(outside_groups(module))
    grouped = 0 if offload.disk else module_bytes(module) - outside
    at_once = group_bytes(module, offload)
    there = "cpu" if not offload.disk or device == "cpu" else device
    waiting = {there: grouped + outside}
    if device == "cpu":
        return Footprint(waiting, {"cpu": grouped + outside + (at_once if offload.disk else 0)})
    return Footprint(waiting, waiting | {device: waiting.get(device, 0) + at_once})


def group_bytes(module: nn.Module, offload: Offload) -> int:
    """The most that group offloading brings to the device at once.

    The group of a module stays there while those of its submodules come and go; with a stream, the next is there too.
    """
    found: dict[str, Any] = dict(named_groups(module))
    sizes = {id(group): _group_size(group) for group in found.values()}
    most = 0
    for name in found:
        atoms = name.split(".")
        around = {id(found[path]) for i in range(len(atoms) + 1) if (path := ".".join(atoms[:i])) in found}
        most = max(most, sum(sizes[one] for one in around))
    return most + (max(sizes.values(), default=0) if offload.stream else 0)


def named_groups(module: nn.Module) -> Iterator[tuple[str, Any]]:
    """The groups of a module, by the names of the modules that bring them."""
    for name, submodule in module.named_modules():
        registry = getattr(submodule, "_diffusers_hook", None)
        if registry is not None and (hook := registry.get_hook(_groups._GROUP_OFFLOADING)) is not None:
            yield name, hook.group


def _tensors(group: Any) -> Iterator[Tensor]:
    for module in group.modules:
        yield from module.parameters()
        yield from module.buffers()
    yield from group.parameters
    yield from group.buffers


def _group_size(group: Any) -> int:
    """Bytes of a group when it is there; on disk, that is what its tensors will have, not what they have now."""
    on_disk: Iterable[Tensor] = getattr(group, "tensor_to_key", ())
    return sum(tensor.nbytes for tensor in on_disk) or tensors_bytes(_tensors(group))


def outside_groups(module: nn.Module) -> list[Tensor]:
    """The tensors that no group brings and takes away."""
    inside = {id(tensor) for _, group in named_groups(module) for tensor in _grouped(group)}
    tensors: Iterable[Tensor] = (*module.parameters(), *module.buffers())
    return [tensor for tensor in tensors if id(tensor) not in inside]


def _grouped(group: Any) -> Iterable[Tensor]:
    """What a group moves; of one on disk, what its file holds."""
    on_disk: Iterable[Tensor] = getattr(group, "tensor_to_key", ())
    return on_disk or _tensors(group)


def _leave_after_error(part: nn.Module, args: Any, output: Any) -> None:
    """Let all groups wait again when a call has raised: their own hooks hear only of calls that return."""
    if output is not None:
        return
    for group in {id(group): group for _, group in named_groups(part)}.values():
        group.offload_()
    for module in part.modules():
        registry: HookRegistry | None = getattr(module, "_diffusers_hook", None)
        for hook in registry.hooks.values() if registry is not None else ():
            if isinstance(hook, _StateFollows):
                hook.put_back()
            elif isinstance(hook, _groups.LazyPrefetchGroupOffloadingHook):
                hook.execution_order.clear()  # the next call begins the list anew


class _StateFollows(ModelHook):
    """Brings what 4-bit weights are unpacked with to where that happens, and back: no parameter, so no group has it.

    A hundredth of the weights with double quantization, a ninth without. With a stream, groups leave by taking the
    tensors in RAM up again; so does this, and nothing is copied back.
    """

    def __init__(self, device: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # diffusers leaves its hooks untyped
        self._device = torch.device(device)
        self._waiting: list[tuple[Any, str, Tensor]] = []

    def initialize_hook(self, module: Any) -> Any:
        """Let the state wait on the CPU from now on."""
        state = module.weight.quant_state
        state.to(torch.device("cpu"))
        for one in (state, state.state2) if state.nested else (state,):
            for name in ("absmax", "code", "offset"):
                if isinstance(tensor := getattr(one, name), Tensor):
                    self._waiting.append((one, name, tensor))
        return module

    def pre_forward(self, module: Any, *args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Copy the state to the device."""
        module.weight.quant_state.to(self._device)
        return args, kwargs

    def post_forward(self, module: Any, output: Any) -> Any:
        """Let the copy go."""
        self.put_back()
        return output

    def put_back(self) -> None:
        """Take up what waited."""
        for state, name, tensor in self._waiting:
            setattr(state, name, tensor)
