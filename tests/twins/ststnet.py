"""Random twins of STSTNet, and arrays as they see them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from jmer.peers.ststnet import STSTNet
from jmer.weights import torch_names


def random_twin(seed: int, **options: Any) -> STSTNet:
    """A twin in evaluation mode, none of whose arrays is trivial or regular."""
    torch.manual_seed(seed)
    twin = STSTNet(**options).eval()
    for name, value in twin.state_dict().items():
        if "bn" in name and value.is_floating_point():
            value.copy_(torch.randn(value.shape) * 0.3)
            if name.endswith(("weight", "var")):
                value.add_(1).abs_().add_(0.1)
    return twin


def image(flow: np.ndarray) -> torch.Tensor:
    """jmer's flow [b, h, w, 3] as the authors read it: blue first, channels first."""
    return torch.tensor(flow[..., ::-1].transpose(0, 3, 1, 2).copy())


def arrays(state: Mapping[str, torch.Tensor]) -> torch_names.PathArrays:
    """NumPy copies of a state dictionary."""
    return {name: value.detach().numpy().copy() for name, value in state.items()}
