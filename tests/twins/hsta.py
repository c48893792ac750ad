"""Random twins of HSTA, and arrays as they see them.

The twin has the entries of the authors' code, `hsta_model_core/_model_hsta.py` of
OceanSummerDay/HSTA_MER. It was compared once with that file's modules, without dropout,
in two small configurations (1 and 2, 2 and 1 units in each of 3 layers; frames of 22
pixels, so that both streams leave some out): the same 312 names at the paper's size,
81,887,623 parameters, and with the same random weights the same logits to 2e-7. There
the two special frames are the last of one clip tensor, after normalisation; here they
come apart.
"""

from collections.abc import Mapping

import numpy as np
import torch

from jmer.models.hsta import HstaConfig
from jmer.peers.hsta import HSTA
from jmer.weights import torch_names


def random_twin(config: HstaConfig, seed: int, classes: int = 5) -> HSTA:
    """A twin in evaluation mode, none of whose arrays is trivial or regular."""
    torch.manual_seed(seed)
    twin = HSTA(config, classes).eval()
    with torch.no_grad():
        for name, value in twin.named_parameters():
            wide = value.shape[-1] ** -0.5 if name.endswith("weight") else 0.3
            value.copy_(torch.randn(value.shape) * wide)
            if "norm" in name and name.endswith("weight"):
                value.add_(1)
    return twin


def seen(frames: np.ndarray) -> torch.Tensor:
    """jmer's frames [b, t, h, w, c] with channels first."""
    return torch.tensor(frames).movedim(-1, 1)


def arrays(state: Mapping[str, torch.Tensor]) -> torch_names.PathArrays:
    """NumPy copies of a state dictionary."""
    return {name: value.detach().numpy().copy() for name, value in state.items()}
