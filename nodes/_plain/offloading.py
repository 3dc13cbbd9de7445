"""Where the weights of a pipeline wait."""

from __future__ import annotations

from collections.abc import Mapping

from limner.engine.offload import Offload
from limner.nodes._plain.literal import call, literal
from limner.nodes._plain.script import NoPlainForm, Script


def offload_lines(script: Script, pipe: str, device: str, policies: Mapping[str, Offload]) -> list[str]:
    """What puts the components of a pipeline in place. Raises NoPlainForm."""
    modes = {name: policy.mode for name, policy in policies.items()}
    for policy in policies.values():
        for _, why, _ in policy.problems(device):
            raise NoPlainForm(f"offload {policy}: {why}")
    if set(modes.values()) == {"model"}:
        return [f"{pipe}.enable_model_cpu_offload(device={script.constant('device', device)})"]
    if "model" in modes.values():
        raise NoPlainForm(
            "a pipeline offloads all of its models as a whole, or none", hint="give all nodes one offload"
        )
    if modes.get("vae") == "group":
        raise NoPlainForm("diffusers alone cannot offload this VAE by groups", hint="leave offload out at its nodes")
    if "group" not in modes.values():
        return [] if device == "cpu" else [f"{pipe}.to({script.constant('device', device)})"]
    lines = []
    for name, policy in policies.items():
        if policy.mode == "group":
            lines.append(_group(script, f"{pipe}.{name}", device, policy))
        elif device != "cpu":
            lines.append(f"{pipe}.{name}.to({script.constant('device', device)})")
    return lines


def _group(script: Script, module: str, device: str, policy: Offload) -> str:
    script.use("diffusers.hooks", "apply_group_offloading")
    arguments = [
        module,
        f"onload_device=torch.device({script.constant('device', device)})",
        'offload_device=torch.device("cpu")',
        f'offload_type="{policy.level}_level"',
    ]
    if policy.level == "block":
        arguments.append(f"num_blocks_per_group={policy.blocks_per_group}")
    for name, keyword in (("stream", "use_stream"), ("record_stream",) * 2, ("low_cpu_mem", "low_cpu_mem_usage")):
        if getattr(policy, name):
            arguments.append(f"{keyword}=True")
    if policy.disk is not None:
        arguments.append(f"offload_to_disk_path={literal(policy.disk)}")
    return call("apply_group_offloading", *arguments)
