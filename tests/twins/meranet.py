"""Random twins of MERANet and its baseline, and their arrays as jmer's."""

from collections.abc import Mapping

import torch

from jmer.models.meranet import MeranetConfig, Resnet3dConfig
from jmer.weights import torch_names


def random_twin(config: Resnet3dConfig, classes: int, seed: int = 0) -> torch.nn.Module:
    """A twin in evaluation mode, none of whose arrays is trivial or regular."""
    torch.manual_seed(seed)
    twin = config.peer(classes).eval()
    for name, value in twin.named_buffers():
        if value.is_floating_point():
            value.copy_(torch.rand(value.shape) + 0.5 * name.endswith("var"))
    with torch.no_grad():
        for name, value in twin.named_parameters():
            if value.ndim == 1:
                value.copy_(torch.randn(value.shape) * 0.3 + name.endswith("weight"))
            elif "gate" in name:
                value.mul_(3)
    return twin


def arrays(state: Mapping[str, torch.Tensor]) -> torch_names.PathArrays:
    """NumPy copies of a state dictionary."""
    return {name: value.detach().numpy().copy() for name, value in state.items()}


def as_ours(
    config: Resnet3dConfig, tensors: Mapping[str, torch.Tensor]
) -> torch_names.PathArrays:
    """Arrays by path of a twin's state dictionary, or of one of its gradients."""
    state = arrays(tensors)
    found = torch_names.r3d_18(state) | torch_names.linear(state, "fc", "head")
    for stage in range(4):
        for block in range(2):
            source = f"layer{stage + 1}.{block}.gate"
            target = f"trunk.stages.{stage}.{block}.gate.gates"
            found |= _gates(config, state, source, target)
    return found


def _gates(
    config: Resnet3dConfig, state: torch_names.TorchState, source: str, target: str
) -> torch_names.PathArrays:
    found: torch_names.PathArrays = {}
    if not isinstance(config, MeranetConfig):
        return found
    attn = config.attn
    if attn in ("ca", "both"):
        layer = torch_names.conv if config.ca_shared == "conv" else torch_names.linear
        for name in ("squeeze", "excite"):
            found |= layer(state, f"{source}.channel.{name}", f"{target}.0.{name}")
    if attn in ("st", "both"):
        path = f"{target}.{1 if attn == 'both' else 0}.conv"
        found |= torch_names.conv(state, f"{source}.space_time.conv", path)
    return found
