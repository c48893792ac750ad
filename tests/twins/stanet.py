"""Random twins of STANet, and arrays as they and jmer see them."""

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
import torch

from jmer.models.stanet import STANetConfig
from jmer.peers.stanet import SpatialAttention, STANet
from jmer.weights import torch_names

Twin = TypeVar("Twin", bound=torch.nn.Module)


def randomise(module: Twin, seed: int) -> Twin:
    """In evaluation mode, with no normalisation trivial or regular."""
    torch.manual_seed(seed)
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            for value in (part.weight.data, part.running_var):
                assert value is not None
                value.copy_(1 + 0.3 * torch.rand(value.shape))
            for value in (part.bias.data, part.running_mean):
                assert value is not None
                value.copy_(0.3 * torch.randn(value.shape))
    return module.eval()


def random_twin(config: STANetConfig, classes: int, seed: int) -> STANet:
    torch.manual_seed(seed)
    return randomise(STANet(config, classes), seed)


def random_attention(channels: int, outputs: int, levels: int) -> SpatialAttention:
    torch.manual_seed(0)
    return randomise(SpatialAttention(channels, outputs, levels), 1)


def channels_first(flow: np.ndarray) -> torch.Tensor:
    return torch.tensor(flow).movedim(-1, 1)


def arrays(state: Mapping[str, torch.Tensor]) -> torch_names.PathArrays:
    """NumPy copies of a state dictionary."""
    return {name: value.detach().numpy().copy() for name, value in state.items()}


def ours(tensors: Mapping[str, torch.Tensor]) -> torch_names.PathArrays:
    """jmer's arrays by path, of a state (or gradients by the same names) of a twin."""
    state = arrays(tensors)
    flat = torch_names.resnet18(state, "trunk") | torch_names.linear(
        state, "fc", "head"
    )
    if "attention.mask.weight" in state:
        flat |= attention(state, "attention", "attention")
    if "lstm.weight_ih_l0" in state:
        flat |= torch_names.lstm(state, "lstm", "lstm")
    return flat


def attention(
    state: torch_names.TorchState, source: str, target: str
) -> torch_names.PathArrays:
    """The same of the spatial attention branch alone."""
    flat = torch_names.conv(state, f"{source}.mask", f"{target}.mask")
    for name in state:
        if name.startswith(f"{source}.") and name.endswith(".0.weight"):
            layer = name.removeprefix(f"{source}.").removesuffix(".0.weight")
            path = f"{target}.{layer}".replace("bottom.0", "bottom")
            flat |= torch_names.conv(state, f"{source}.{layer}.0", f"{path}.conv")
            flat |= torch_names.batch_norm(state, f"{source}.{layer}.1", f"{path}.norm")
    return flat
