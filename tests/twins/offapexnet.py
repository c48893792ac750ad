"""Random twins of Off-ApexNet, and their arrays as jmer has them."""

from collections.abc import Mapping

import numpy as np
import torch

from jmer.models.offapexnet import OffApexNetConfig
from jmer.peers.offapexnet import OffApexNet
from jmer.weights.torch_names import PathArrays


def random_twin(config: OffApexNetConfig, classes: int, seed: int) -> OffApexNet:
    """A twin in evaluation mode."""
    torch.manual_seed(seed)
    return OffApexNet(config, classes).eval()


def image(flow: np.ndarray) -> torch.Tensor:
    """jmer's flow [b, h, w, 3], channels first."""
    return torch.tensor(flow.transpose(0, 3, 1, 2).copy())


def arrays(tensors: Mapping[str, torch.Tensor], config: OffApexNetConfig) -> PathArrays:
    """jmer's arrays by path, of a state (or gradients by the same names) of a twin."""
    state = {name: value.detach().numpy() for name, value in tensors.items()}
    names = ("u", "v") if config.streams == "separate" else ("uv",)
    flat: PathArrays = {}
    for i, name in enumerate(names):
        for ours, theirs in (("conv1", "first"), ("conv2", "second")):
            kernel = state[f"{theirs}.{name}.weight"].transpose(2, 3, 1, 0)
            flat[f"params.streams.{i}.{ours}.kernel"] = kernel
            flat[f"params.streams.{i}.{ours}.bias"] = state[f"{theirs}.{name}.bias"]
    # Each stream is flattened with its channels first there, and last here.
    side = config.size // 4
    there = (len(names), config.filters[1], side, side)
    order = np.arange(np.prod(there)).reshape(there).transpose(0, 2, 3, 1).ravel()
    layers = [f"dense.{3 * i + 1}" for i in range(len(config.hidden))] + ["fc"]
    for i, theirs in enumerate(layers):
        ours = "head" if theirs == "fc" else f"dense.{i}"
        kernel = state[f"{theirs}.weight"].T
        flat[f"params.{ours}.kernel"] = kernel[order] if i == 0 else kernel
        flat[f"params.{ours}.bias"] = state[f"{theirs}.bias"]
    return {path: np.ascontiguousarray(value) for path, value in flat.items()}
